//! The file itself, and the program that reads it.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process,
};

use http::Request;
use vingate::sandbox::{Handle, Sandbox};

use super::ONE;
use crate::support::{BATCH, JSON, Program, Response, batch_body, eventually};

/// The program with its file in a folder of its own.
struct Running {
    program: Program,
    folder: PathBuf,
    address: std::net::SocketAddr,
    admin: std::net::SocketAddr,
    sandbox: Handle,
}

/// What became of reloads, by the label of their metric.
const APPLIED: &str = "vingate_config_reloads_total{outcome=\"applied\"}";
const UNCHANGED: &str = "vingate_config_reloads_total{outcome=\"unchanged\"}";
const REFUSED: &str = "vingate_config_reloads_total{outcome=\"refused\"}";
const FAILED: &str = "vingate_config_reloads_total{outcome=\"failed\"}";

impl Running {
    /// With this in the file beside what every test needs, in a folder that `prepare` furnishes.
    async fn start(name: &str, prepare: impl FnOnce(&Path, &str)) -> Self {
        let folder = std::env::temp_dir().join(format!("vingate-{name}-{}", process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("secret"), "SYNC_OLD\n").unwrap();
        let sandbox = Sandbox::spawn().await.unwrap();
        prepare(&folder, &sandbox.url());
        let path = folder.join("vingate.toml");
        let arguments = ["serve", "--config", path.to_str().unwrap()];
        let mut program = Program::start(&arguments, &[]);
        let (address, admin) = program.addresses().await;
        Self { program, folder, address, admin, sandbox }
    }

    /// With a plain file.
    async fn with_a_file(name: &str) -> Self {
        Self::start(name, |folder, upstream| {
            fs::write(folder.join("vingate.toml"), text(upstream, 1)).unwrap();
        })
        .await
    }

    fn text(&self, chunk: u32) -> String {
        text(&self.sandbox.url(), chunk)
    }

    fn write(&self, text: &str) {
        fs::write(self.folder.join("vingate.toml"), text).unwrap();
    }

    async fn send(&self, request: http::request::Builder, body: String) -> Response {
        let client =
            hyper_util::client::legacy::Client::builder(hyper_util::rt::TokioExecutor::new());
        let client = client.build_http::<http_body_util::Full<bytes::Bytes>>();
        let request = request.body(body.into()).unwrap();
        Response::read(client.request(request).await.unwrap()).await
    }

    async fn operate(&self, path: &str) -> Response {
        let request = Request::get(format!("http://{}{path}", self.admin));
        self.send(request, String::new()).await.expect(200)
    }

    async fn batch(&self) {
        let request = Request::get(format!("http://{}{BATCH}", self.address));
        let request = request.header("content-type", JSON);
        self.send(request, batch_body(&[ONE])).await.expect(200);
    }

    async fn chunk(&self) -> u64 {
        self.operate("/config").await.json()["batch"]["chunk"]
            .as_u64()
            .unwrap()
    }

    /// The value of one series of `/metrics`.
    async fn metric(&self, series: &str) -> f64 {
        let text = self.operate("/metrics").await.text();
        let value = text
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.unwrap().parse().unwrap()
    }

    async fn until(&self, series: &str, count: f64) {
        eventually(async || self.metric(series).await >= count).await;
    }

    /// Ends it. Gives what it has written.
    async fn stop(self) -> String {
        let (status, written) = self.program.stop().await;
        assert_eq!(status, Some(0), "{written}");
        fs::remove_dir_all(self.folder).unwrap();
        written
    }
}

/// A file that asks for no token, with an account whose secret stands beside it.
fn text(upstream: &str, chunk: u32) -> String {
    format!(
        "[server]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
         [upstream]\nurl = \"{upstream}\"\n[auth]\nenabled = false\n\
         [[account]]\nname = \"all\"\nvalue = {{ file = \"secret\" }}\nsubjects = [\"*\"]\n\
         [batch]\nchunk = {chunk}\n"
    )
}

#[tokio::test]
async fn a_hangup_reloads_what_is_fine_and_tells_what_is_not() {
    let running = Running::with_a_file("hangup").await;
    let (started_at, last) = (running.metric(LAST_SUCCESS).await, running.metric(APPLIED).await);
    assert!(started_at > 1.0e9 && last == 0.0);
    running.program.hang_up();
    running.until(UNCHANGED, 1.0).await;

    running.write(&running.text(2));
    running.program.hang_up();
    running.until(APPLIED, 1.0).await;
    assert_eq!(running.chunk().await, 2);

    let bad = running.text(3).replace("chunk", "chunks") + "[limit]\nmax_body = \"much\"\n";
    running.write(&bad);
    running.program.hang_up();
    running.until(FAILED, 1.0).await;
    assert_eq!(running.chunk().await, 2);

    running.write(&(running.text(3) + "[cache]\ncapacity = \"1MiB\"\n"));
    let succeeded_at = running.metric(LAST_SUCCESS).await;
    assert!(succeeded_at > started_at);
    running.program.hang_up();
    running.until(REFUSED, 1.0).await;
    assert_eq!(running.chunk().await, 2);
    assert_eq!(running.metric(LAST_SUCCESS).await, succeeded_at);
    running.batch().await;

    let written = running.stop().await;
    for text in [
        "\"changed\":\"batch.chunk\"",
        "vingate.toml:14: batch.chunks: unknown key, did you mean \\\"batch.chunk\\\"?",
        "vingate.toml:16: limit.max_body: found another value, expected a size from ",
        "\"keys\":\"cache.capacity\"",
    ] {
        assert!(written.contains(text), "no {text} in\n{written}");
    }
    assert!(!written.contains("much"), "it may be a secret: {written}");
}

/// Who wrote the file meant it as a whole. Who changes a secret means now.
#[tokio::test]
async fn a_secret_is_read_again_although_the_file_is_not_in_force() {
    let running = Running::with_a_file("waiting").await;
    let sent = async || {
        running.batch().await;
        let calls = running.sandbox.calls();
        calls.last().unwrap().headers["authorization"].clone()
    };
    assert_eq!(running.metric(IN_FORCE).await, 1.0);
    let restart = "[cache]\ncapacity = \"1MiB\"\n[log]\nformat = \"text\"\n";
    running.write(&(running.text(2) + restart));
    running.until(REFUSED, 1.0).await;
    assert_eq!(sent().await, "SYNC_OLD");
    assert_eq!(running.metric(IN_FORCE).await, 0.0);
    fs::write(running.folder.join("secret"), "SYNC_NEW\n").unwrap();
    eventually(async || sent().await == "SYNC_NEW").await;
    // A file that names no secret any more, since it is no TOML.
    running.write("[");
    running.until(FAILED, 1.0).await;
    fs::write(running.folder.join("secret"), "SYNC_NEWEST\n").unwrap();
    eventually(async || sent().await == "SYNC_NEWEST").await;
    assert_eq!((running.chunk().await, running.metric(IN_FORCE).await), (1, 0.0));

    running.write(&running.text(3));
    running.until(APPLIED, 1.0).await;
    assert_eq!((running.chunk().await, running.metric(IN_FORCE).await), (3, 1.0));
    let written = running.stop().await;
    for text in ["\"keys\":\"cache.capacity, log.format\"", "\"changed\":\"account[0].value\""] {
        assert!(written.contains(text), "no {text} in\n{written}");
    }
    assert!(!written.contains("SYNC_"), "{written}");
}

const IN_FORCE: &str = "vingate_config_file_in_force";
const LAST_SUCCESS: &str = "vingate_config_last_reload_success_timestamp_seconds";

#[tokio::test]
async fn a_file_that_is_written_or_renamed_is_read_again() {
    let running = Running::with_a_file("renamed").await;
    running.write(&running.text(2));
    running.until(APPLIED, 1.0).await;
    assert_eq!(running.chunk().await, 2);

    let new = running.folder.join("new");
    fs::write(&new, running.text(3)).unwrap();
    fs::rename(new, running.folder.join("vingate.toml")).unwrap();
    running.until(APPLIED, 2.0).await;
    assert_eq!(running.chunk().await, 3);

    // A bad file is told of once, also when it is gone, and its mending is seen.
    fs::remove_file(running.folder.join("vingate.toml")).unwrap();
    running.until(FAILED, 1.0).await;
    running.batch().await;
    running.write(&running.text(4));
    running.until(APPLIED, 3.0).await;
    assert_eq!((running.chunk().await, running.metric(FAILED).await), (4, 1.0));
    running.stop().await;
}

#[tokio::test]
async fn a_link_that_is_turned_as_kubernetes_does_is_followed() {
    // The file is a link through a link to a folder, and the latter is exchanged.
    let generation = |folder: &Path, name: &str, text: String| {
        fs::create_dir_all(folder.join(name)).unwrap();
        fs::write(folder.join(name).join("vingate.toml"), text).unwrap();
    };
    let running = Running::start("link", |folder, upstream| {
        generation(folder, "..1", text(upstream, 1));
        symlink("..1", folder.join("..data")).unwrap();
        symlink("..data/vingate.toml", folder.join("vingate.toml")).unwrap();
    })
    .await;
    generation(&running.folder, "..2", running.text(2));
    symlink("..2", running.folder.join("..new")).unwrap();
    fs::rename(running.folder.join("..new"), running.folder.join("..data")).unwrap();
    running.until(APPLIED, 1.0).await;
    assert_eq!(running.chunk().await, 2);
    running.stop().await;
}

#[tokio::test]
async fn a_secret_in_a_file_of_its_own_is_read_again() {
    let running = Running::with_a_file("secret").await;
    let sent = || {
        let calls = running.sandbox.calls();
        calls.last().unwrap().headers["authorization"].clone()
    };
    running.batch().await;
    assert_eq!(sent(), "SYNC_OLD");
    fs::write(running.folder.join("secret"), "SYNC_NEW\n").unwrap();
    running.until(APPLIED, 1.0).await;
    running.batch().await;
    assert_eq!(sent(), "SYNC_NEW");

    // Without one the old one stays.
    fs::remove_file(running.folder.join("secret")).unwrap();
    running.until(FAILED, 1.0).await;
    running.batch().await;
    assert_eq!(sent(), "SYNC_NEW");
    let written = running.stop().await;
    assert!(written.contains("\"changed\":\"account[0].value\""), "{written}");
    assert!(!written.contains("SYNC_"), "{written}");
}
