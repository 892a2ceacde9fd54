//! A gateway in front of a sandbox, and a client to ask it.
#![allow(dead_code, unused_imports, reason = "each test binary uses its own part")]

mod exposition;
mod fleet;
mod manager;
mod program;
pub(crate) mod watch;
mod wire;

use std::{ffi::OsString, net::SocketAddr, path::Path, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header::AUTHORIZATION};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{
    sync::oneshot,
    task::JoinHandle,
    time::{sleep, timeout},
};
use vingate::{
    app::{App, Control, ReloadOutcome},
    auth,
    config::Config,
    sandbox,
    vehicle::{Plate, Vehicle, Vin},
};

pub(crate) use self::{
    exposition::Exposition,
    fleet::{Dice, Typed, fleet},
    manager::Manager,
    program::Program,
    wire::Wire,
};

pub(crate) const BATCH: &str = "/api/batch/scraping/";

/// 32 bytes, as HS256 wants them.
pub(crate) const SECRET: &str = "a-secret-of-tests-a-secret-of-tests!";

/// A gateway that runs until it is dropped or stopped, with the sandbox behind it.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) admin: SocketAddr,
    pub(crate) sandbox: sandbox::Handle,
    control: Control,
    client: Client<HttpConnector, Full<Bytes>>,
    issuer: auth::Config,
    token: String,
    stop: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
}

/// A response that was read to its end.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Gateway {
    /// With one account for everybody, and whatever else `toml` says.
    pub(crate) async fn start(toml: &str) -> Self {
        Self::in_front_of(sandbox::Sandbox::spawn().await.unwrap(), toml).await
    }

    /// With a sandbox that was set up before.
    pub(crate) async fn in_front_of(sandbox: sandbox::Handle, toml: &str) -> Self {
        watch::begin();
        let text = configuration(toml, &sandbox.url());
        let issuer = parse(&text).reloadable.auth;
        let token = issuer.issue("tester", None, HOUR, now()).unwrap();
        let app = App::build(parse(&text)).unwrap();
        let (address, admin) = app.addresses().unwrap();
        let control = app.control();
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(app.run(async {
            let _ = stopped.await;
        }));
        Self {
            address,
            admin,
            sandbox,
            control,
            client: Client::builder(TokioExecutor::new()).build_http(),
            issuer,
            token: format!("Bearer {token}"),
            stop: Some(stop),
            running,
        }
    }

    /// Sends a request with the tester's token, unless it has an `Authorization` of its own.
    pub(crate) async fn send(
        &self,
        request: http::request::Builder,
        body: impl Into<Bytes>,
    ) -> Response {
        let has_own = request
            .headers_ref()
            .is_some_and(|headers| headers.contains_key(AUTHORIZATION));
        let request = match has_own {
            true => request,
            false => request.header(AUTHORIZATION, &self.token),
        };
        self.send_bare(request, body).await
    }

    /// Sends a request as it is, with a token only if it has one.
    pub(crate) async fn send_bare(
        &self,
        request: http::request::Builder,
        body: impl Into<Bytes>,
    ) -> Response {
        let body = body.into();
        note(&request, &body);
        let mut request = request.body(Full::new(body)).unwrap();
        let target = format!("http://{}{}", self.address, request.uri());
        *request.uri_mut() = target.parse().unwrap();
        Response::read(self.client.request(request).await.unwrap()).await
    }

    /// The `Authorization` of the tester.
    pub(crate) fn authorization(&self) -> &str {
        &self.token
    }

    pub(crate) async fn get(&self, target: &str) -> Response {
        self.send(Request::get(target), "").await
    }

    /// Requests so many vehicles that have results. Afterwards they are held.
    pub(crate) async fn hold(&self, count: usize) -> Vec<Vehicle> {
        let vehicles: Vec<_> = self
            .sandbox
            .vehicles(sandbox::Class::Finished)
            .take(count)
            .collect();
        let typed: Vec<_> = vehicles.iter().map(spelled).collect();
        self.batch(&typed).await.expect(200);
        vehicles
    }

    /// Requests these vehicles as they are typed.
    pub(crate) async fn batch(&self, vehicles: &[(&str, &str)]) -> Response {
        self.batch_with(vehicles, &[]).await
    }

    /// The same with more headers.
    pub(crate) async fn batch_with(
        &self,
        vehicles: &[(&str, &str)],
        headers: &[(&str, &str)],
    ) -> Response {
        let mut request = Request::builder()
            .method(Method::GET)
            .uri(BATCH)
            .header("content-type", JSON);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request, batch_body(vehicles)).await
    }

    /// The response of the admin listener.
    pub(crate) async fn admin(
        &self,
        request: http::request::Builder,
        body: impl Into<Bytes>,
    ) -> Response {
        let body = body.into();
        note(&request, &body);
        let mut request = request.body(Full::new(body)).unwrap();
        *request.uri_mut() = format!("http://{}{}", self.admin, request.uri())
            .parse()
            .unwrap();
        Response::read(self.client.request(request).await.unwrap()).await
    }

    /// The value of `Authorization` for this subject, with these scopes.
    pub(crate) fn token(&self, subject: &str, scope: Option<&str>) -> String {
        let token = self.issuer.issue(subject, scope, HOUR, now()).unwrap();
        format!("Bearer {token}")
    }

    /// The tester's `Authorization`.
    pub(crate) fn own_token(&self) -> &str {
        &self.token
    }

    /// The whole response to a batch for these vehicles with this credential of the upstream, as
    /// the upstream would send it now.
    pub(crate) fn response_for<'a>(
        &self,
        vehicles: impl IntoIterator<Item = &'a Vehicle>,
        credential: &str,
    ) -> String {
        let headers = HeaderMap::from_iter([(AUTHORIZATION, credential.parse().unwrap())]);
        let elements: Vec<_> = vehicles
            .into_iter()
            .filter_map(|vehicle| self.sandbox.element(vehicle, &headers))
            .collect();
        format!(r#"{{"vehicleData":[{}]}}"#, elements.join(","))
    }

    /// The vehicles of every call to the upstream, in order.
    pub(crate) fn requested(&self) -> Vec<Vec<Vehicle>> {
        let calls = self.sandbox.calls().into_iter();
        calls
            .map(|call| call.vehicles)
            .filter(|vehicles| !vehicles.is_empty())
            .collect()
    }

    /// Empties the cache.
    pub(crate) async fn purge(&self) -> Response {
        let request = Request::post("/cache/purge").header("content-type", JSON);
        self.admin(request, "{}").await.expect(200)
    }

    /// Waits until the upstream has seen this.
    pub(crate) async fn until(&self, reached: impl Fn(&sandbox::Counters) -> bool) {
        let seen = timeout(PATIENCE, self.sandbox.until(reached)).await;
        seen.expect("the upstream should have seen it by now");
    }

    /// Waits until a series of `/metrics` has this value.
    pub(crate) async fn until_metric(&self, series: &str, value: f64) {
        eventually(async || self.metric(series).await == value).await;
    }

    /// The value of one series of `/metrics`, 0 if it is not there.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        let text = self.admin(Request::get("/metrics"), "").await.text();
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        line.map_or(0.0, |value| value.parse().unwrap())
    }

    /// Puts what `toml` says now in force. Tokens are still those of the first key.
    pub(crate) fn reload(&self, toml: &str) -> ReloadOutcome {
        let text = configuration(toml, &self.sandbox.url());
        self.control.apply(parse(&text))
    }

    /// Begins to drain the gateway.
    pub(crate) fn drain(&mut self) {
        self.stop.take();
    }

    /// Drains the gateway and waits until it has ended.
    pub(crate) async fn stop(mut self) {
        self.drain();
        (&mut self.running).await.unwrap();
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.running.abort();
    }
}

impl Response {
    pub(crate) async fn read(response: http::Response<hyper::body::Incoming>) -> Self {
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Self { status: head.status, headers: head.headers, body }
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    /// A field's value, empty if it is not there.
    pub(crate) fn field(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Fails with the body if the status is another.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        assert_eq!(self.status.as_u16(), status, "{}", String::from_utf8_lossy(&self.body));
        self
    }
}

pub(crate) const JSON: &str = "application/json";

/// What the account that everybody has by default sends upstream.
pub(crate) const ALL: &str = "SYNC_ALL";

pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// Since 1970.
pub(crate) fn now() -> Duration {
    std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap()
}

/// A configuration as the program would have it with the variables that tests have.
pub(crate) fn parse(toml: &str) -> Config {
    let env = |name: &str| {
        let value = match name {
            "JWT_SECRET" => SECRET,
            // Any other name is its own value, so that tests can have as many as they like.
            name => name,
        };
        watch::secret(value);
        Some(OsString::from(value))
    };
    Config::parse(toml, Path::new("test.toml"), &env)
        .unwrap_or_else(|problems| panic!("{problems}\n{toml}"))
}

/// Notes what is secret in a request that is about to be sent.
pub(crate) fn note(request: &http::request::Builder, body: &[u8]) {
    watch::sent(request.uri_ref().unwrap().to_string());
    for (name, value) in request.headers_ref().unwrap() {
        watch::sent_field(name.as_str(), value.as_bytes());
    }
    watch::sent(body);
}

/// Waits until something has happened, and fails if it does not.
pub(crate) async fn eventually(mut happened: impl AsyncFnMut() -> bool) {
    let patience = async {
        while !happened().await {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, patience)
        .await
        .expect("it should have happened by now");
}

/// How long anything may take on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A vehicle that is spelled cleanly.
pub(crate) fn vehicle((vin, plate): (&str, &str)) -> Vehicle {
    Vehicle { vin: Vin::parse(vin).unwrap(), plate: Plate::parse(plate).unwrap() }
}

/// A vehicle's spelling, clean.
pub(crate) fn spelled(vehicle: &Vehicle) -> (&str, &str) {
    (vehicle.vin.as_str(), vehicle.plate.as_str())
}

/// The body that asks for these vehicles.
pub(crate) fn batch_body(vehicles: &[(&str, &str)]) -> String {
    let entry = |&(vin, plate): &(&str, &str)| serde_json::json!({"vin": vin, "plate": plate});
    serde_json::json!({"vehicles": vehicles.iter().map(entry).collect::<Vec<_>>()}).to_string()
}

/// The text of a configuration that has what `toml` says and, unless it names accounts of its own,
/// one account for everybody, a key for the tester's token, and free addresses.
pub(crate) fn configuration(toml: &str, upstream: &str) -> String {
    let accounts = match toml.contains("[[account]]") || toml.contains("# no accounts") {
        true => "",
        false => {
            "[[account]]\nname = \"all\"\nvalue = { env = \"SYNC_ALL\" }\nsubjects = [\"*\"]\n"
        }
    };
    format!(
        "{accounts}[[auth.key]]\nid = \"test\"\nalgorithm = \"HS256\"\n\
         secret = {{ env = \"JWT_SECRET\" }}\n{}",
        with_defaults(toml, upstream)
    )
}

/// As talkative as it gets, but where it is measured what a gateway takes.
const LOG: &str = match cfg!(debug_assertions) {
    true => "level = \"trace\"\naccess = \"all\"",
    false => "",
};

/// `toml` with the addresses and the log that every test has, unless it names an upstream, or says
/// what is to be logged.
fn with_defaults(toml: &str, upstream: &str) -> String {
    let mut text = toml.to_owned();
    for (table, line) in [
        ("[server]", "listen = \"127.0.0.1:0\"".to_owned()),
        ("[admin]", "listen = \"127.0.0.1:0\"".to_owned()),
        ("[upstream]", format!("url = \"{upstream}\"")),
        ("[log]", LOG.to_owned()),
    ] {
        match text.contains(table) {
            _ if table == "[upstream]" && text.contains("\nurl = ") => {}
            true if table == "[log]" => {}
            true => text = text.replacen(table, &format!("{table}\n{line}"), 1),
            false => text.push_str(&format!("\n{table}\n{line}\n")),
        }
    }
    text
}
