//! What the cache holds, over a restart of the program.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use http::{
    Method, Request,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use http_body_util::Full;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use vingate::{
    sandbox::{Class, Faults, Handle, Only, Sandbox},
    vehicle::Vehicle,
};

use crate::support::{BATCH, JSON, Program, Response, Wire, batch_body, eventually, note, spelled};

const KEY: &str = "a-key-of-snapshots-a-key-of-snapshots";

/// What the client sends to Sync by way of the gateway.
const CREDENTIAL: &str = "SYNC_OWN";

/// A program that is started again and again in one folder, in front of one sandbox.
struct Place {
    folder: PathBuf,
    sandbox: Handle,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// What is done to a snapshot.
type Change<'a> = &'a dyn Fn(&Path);

struct Running {
    program: Program,
    address: SocketAddr,
    admin: SocketAddr,
}

impl Place {
    async fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("vingate-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("key"), KEY).unwrap();
        let sandbox = Sandbox::spawn().await.unwrap();
        let place =
            Self { folder, sandbox, client: Client::builder(TokioExecutor::new()).build_http() };
        place.configure("");
        place
    }

    fn configure(&self, server: &str) {
        let upstream = self.sandbox.url();
        let text = format!(
            "auth.enabled = false\nupstream.url = \"{upstream}\"\n\
             admin.listen = \"127.0.0.1:0\"\nlog = {{ level = \"trace\", access = \"all\" }}\n\
             [server]\nlisten = \"127.0.0.1:0\"\n{server}\n\
             [cache.snapshot]\nfile = \"snapshot\"\nsecret = {{ file = \"key\" }}\n"
        );
        fs::write(self.folder.join("vingate.toml"), text).unwrap();
    }

    async fn start(&self) -> Running {
        let path = self.folder.join("vingate.toml");
        let arguments = ["serve", "--config", path.to_str().unwrap()];
        let mut program = Program::start(&arguments, &[]);
        let (address, admin) = program.addresses().await;
        Running { program, address, admin }
    }

    fn snapshot(&self) -> PathBuf {
        self.folder.join("snapshot")
    }

    fn vehicles(&self, count: usize) -> Vec<Vehicle> {
        self.sandbox.vehicles(Class::Finished).take(count).collect()
    }

    async fn send(
        &self,
        address: SocketAddr,
        request: http::request::Builder,
        body: String,
    ) -> Response {
        let body = Bytes::from(body);
        note(&request, &body);
        let mut request = request.body(Full::new(body)).unwrap();
        *request.uri_mut() = format!("http://{address}{}", request.uri())
            .parse()
            .unwrap();
        Response::read(self.client.request(request).await.unwrap()).await
    }

    /// Requests vehicles.
    async fn batch(&self, running: &Running, vehicles: &[Vehicle]) -> Response {
        let request = Request::builder()
            .method(Method::GET)
            .uri(BATCH)
            .header(CONTENT_TYPE, JSON)
            .header(AUTHORIZATION, CREDENTIAL);
        let vehicles: Vec<_> = vehicles.iter().map(spelled).collect();
        self.send(running.address, request, batch_body(&vehicles))
            .await
            .expect(200)
    }

    /// Fills the cache and ends, so that there is a snapshot.
    async fn leave(&self, vehicles: &[Vehicle]) {
        let running = self.start().await;
        self.batch(&running, vehicles).await;
        let written = running.stop().await;
        assert!(written.contains("snapshot written"), "{written}");
        assert!(self.snapshot().exists());
    }

    /// The next start refuses what there is, and asks for all vehicles.
    async fn refuses(&self, vehicles: &[Vehicle], what: &str) {
        let mut running = self.start().await;
        running.program.line_with("snapshot refused").await;
        assert!(!self.snapshot().exists(), "{what}");
        let before = self.sandbox.counters().vehicles;
        self.batch(&running, vehicles).await;
        assert_eq!(self.sandbox.counters().vehicles - before, vehicles.len() as u64, "{what}");
        let written = running.kill().await;
        assert_eq!(written.matches("\"snapshot ").count(), 1, "{what}: {written}");
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

impl Running {
    async fn stop(self) -> String {
        let (code, written) = self.program.stop().await;
        assert_eq!(code, Some(0), "{written}");
        written
    }

    /// Ends it as a crash does.
    async fn kill(self) -> String {
        self.program.crash().await
    }
}

#[tokio::test]
async fn a_restart_asks_nothing_again() {
    let place = Place::new("restart").await;
    let vehicles = place.vehicles(1200);
    let running = place.start().await;
    let before = place.batch(&running, &vehicles).await;
    running.stop().await;
    let file = fs::read(place.snapshot()).unwrap();
    let mode = fs::metadata(place.snapshot()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    shows_nothing(&file, &vehicles);

    let mut running = place.start().await;
    let loaded = running.program.line_with("snapshot loaded").await;
    assert!(loaded.contains("1200"), "{loaded}");
    assert!(!place.snapshot().exists());
    let calls = place.sandbox.counters().batches;
    let after = place.batch(&running, &vehicles).await;
    assert_eq!(place.sandbox.counters().batches, calls);
    assert_eq!(after.body, before.body);
    assert_eq!(after.field("etag"), before.field("etag"));
    assert!(after.field("cache-status").contains("hit=1200"), "{:?}", after.headers);
    // Without an account there is nobody to explain it for; the page counts it.
    let status = place
        .send(running.admin, Request::get("/metrics"), String::new())
        .await;
    assert!(status.text().contains("vingate_cache_entries 1200"));
    // And once more.
    running.stop().await;
    let mut running = place.start().await;
    running.program.line_with("snapshot loaded").await;
    place.batch(&running, &vehicles).await;
    assert_eq!(place.sandbox.counters().batches, calls);
    running.stop().await;
}

fn shows_nothing(file: &[u8], vehicles: &[Vehicle]) {
    let shows = |text: &str| file.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(!shows(KEY) && !shows(CREDENTIAL) && !shows("vehicleData") && !shows("\"vin\""));
    for vehicle in vehicles.iter().take(10) {
        let (vin, plate) = spelled(vehicle);
        assert!(!shows(vin) && !shows(plate));
    }
}

#[tokio::test]
async fn a_crash_leaves_nothing_to_load() {
    let place = Place::new("crash").await;
    let vehicles = place.vehicles(10);
    place.leave(&vehicles).await;
    let mut running = place.start().await;
    running.program.line_with("snapshot loaded").await;
    running.kill().await;
    assert!(!place.snapshot().exists());
    let running = place.start().await;
    let before = place.sandbox.counters().vehicles;
    place.batch(&running, &vehicles).await;
    assert_eq!(place.sandbox.counters().vehicles, before + 10);
    assert!(!running.stop().await.contains("snapshot refused"));
}

#[tokio::test]
async fn what_is_not_the_file_that_was_written_is_refused() {
    let place = Place::new("refused").await;
    let vehicles = place.vehicles(200);
    let (file, copy) = (place.snapshot(), place.folder.join("copy"));
    let cut = |file: &Path| {
        let length = fs::metadata(file).unwrap().len();
        let file = fs::OpenOptions::new().write(true).open(file).unwrap();
        file.set_len(length - 1).unwrap();
    };
    let change = |file: &Path| {
        use std::os::unix::fs::FileExt as _;
        let length = fs::metadata(file).unwrap().len();
        let file = fs::OpenOptions::new()
            .read(true)
            .write(true)
            .open(file)
            .unwrap();
        let mut byte = [0];
        file.read_exact_at(&mut byte, length / 2).unwrap();
        file.write_all_at(&[byte[0] ^ 1], length / 2).unwrap();
    };
    let empty = |file: &Path| fs::write(file, "").unwrap();
    let other_key = |_: &Path| {
        fs::write(place.folder.join("key"), "another-key-another-key-another-key").unwrap();
    };
    let linked = |file: &Path| fs::hard_link(file, &copy).unwrap();
    let again = |file: &Path| {
        // As an editor or a backup would put it back.
        let bytes = fs::read(file).unwrap();
        fs::remove_file(file).unwrap();
        fs::write(file, bytes).unwrap();
    };
    let spoilt: [(&str, Change<'_>); 6] = [
        ("cut", &cut),
        ("changed", &change),
        ("empty", &empty),
        ("put back", &again),
        ("linked", &linked),
        ("another key", &other_key),
    ];
    for (what, change) in spoilt {
        place.leave(&vehicles).await;
        change(&file);
        place.refuses(&vehicles, what).await;
    }
}

#[tokio::test]
async fn a_snapshot_is_used_once() {
    let place = Place::new("once").await;
    let vehicles = place.vehicles(20);
    place.leave(&vehicles).await;
    let copy = place.folder.join("copy");
    fs::copy(place.snapshot(), &copy).unwrap();
    let mut running = place.start().await;
    running.program.line_with("snapshot loaded").await;
    running.kill().await;
    fs::rename(&copy, place.snapshot()).unwrap();
    place.refuses(&vehicles, "used before").await;
}

#[tokio::test]
async fn what_was_dropped_does_not_come_back() {
    let place = Place::new("dropped").await;
    let vehicles = place.vehicles(3);
    let running = place.start().await;
    place.batch(&running, &vehicles).await;
    let purge = Request::post("/cache/purge").header(CONTENT_TYPE, JSON);
    let vin = format!(r#"{{"vin":"{}"}}"#, vehicles[0].vin.as_str());
    place.send(running.admin, purge, vin).await.expect(200);
    running.stop().await;
    let mut running = place.start().await;
    running.program.line_with("snapshot loaded").await;
    let response = place.batch(&running, &vehicles).await;
    let status = response.field("cache-status");
    assert!(status.contains("hit=2") && status.contains("miss=1"), "{status}");
    running.stop().await;
}

fn patch(vehicle: &Vehicle) -> String {
    format!(
        "PATCH /api/v2/vehicles/{}/status HTTP/1.1\r\nHost: a\r\nAuthorization: {CREDENTIAL}\r\n\
         Content-Type: application/json\r\nContent-Length: 21\r\n\r\n{{\"vehicleStatusId\":3}}",
        vehicle.vin.as_str()
    )
}

#[tokio::test]
async fn nothing_is_written_while_it_is_unknown_what_a_write_did() {
    let place = Place::new("unknown").await;
    place.configure("drain_timeout = \"200ms\"");
    let vehicles = place.vehicles(3);
    // It is cut at the end of the drain.
    let running = place.start().await;
    place.batch(&running, &vehicles).await;
    let hang = Faults { only: Only::Writes, hang: true, ..Faults::default() };
    place.sandbox.set_faults(hang);
    let mut client = Wire::connect(running.address).await;
    client.send(patch(&vehicles[0])).await;
    eventually(async || place.sandbox.counters().hanging == 1).await;
    let written = running.stop().await;
    assert!(written.contains("snapshot not written") && !place.snapshot().exists(), "{written}");

    // It failed in a way that says nothing.
    let fail = Faults { only: Only::Writes, status: Some(500), ..Faults::default() };
    place.sandbox.set_faults(fail);
    let running = place.start().await;
    place.batch(&running, &vehicles).await;
    let mut client = Wire::connect(running.address).await;
    client.send(patch(&vehicles[0])).await;
    client.response().await.expect(500);
    let written = running.stop().await;
    assert!(written.contains("snapshot not written") && !place.snapshot().exists(), "{written}");
}
