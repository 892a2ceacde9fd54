//! How a gateway ends.

use std::{
    net::SocketAddr,
    num::NonZeroU64,
    path::PathBuf,
    process::{ExitStatus, Stdio},
    time::Duration,
};

use http::Request;
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};
use vingate::sandbox::{Class, Faults, Only, Sandbox};

use crate::support::{ALL, Gateway, PATIENCE, Wire, eventually, spelled, watch};

fn hang() -> Faults {
    Faults { only: Only::All, hang: true, ..Faults::default() }
}

async fn readiness(gateway: &Gateway) -> u16 {
    gateway
        .admin(Request::get("/readyz"), "")
        .await
        .status
        .as_u16()
}

/// A request over the wire that reads `count` bytes.
fn bytes(gateway: &Gateway, count: usize) -> String {
    format!(
        "GET /sandbox/bytes/{count} HTTP/1.1\r\nHost: a\r\nAuthorization: {}\r\n\r\n",
        gateway.own_token()
    )
}

#[tokio::test]
async fn what_is_in_flight_ends_and_nothing_new_begins() {
    let mut gateway = Gateway::start("").await;
    assert_eq!(readiness(&gateway).await, 200);
    let slow =
        Faults { calls: Some(1), hang: false, bytes_per_second: NonZeroU64::new(10_000), ..hang() };
    gateway.sandbox.set_faults(vec![slow, hang()]);
    let mut downloading = Wire::connect(gateway.address).await;
    downloading.send(bytes(&gateway, 5000)).await;
    gateway.until(|seen| seen.others == 1).await;
    let mut waiting = Wire::connect(gateway.address).await;
    waiting.send(bytes(&gateway, 1000)).await;
    let mut uploading = Wire::connect(gateway.address).await;
    uploading
        .send(format!(
            "POST /sandbox/sink HTTP/1.1\r\nHost: a\r\nAuthorization: {}\r\n\
             Content-Length: 10\r\n\r\nhello",
            gateway.own_token()
        ))
        .await;
    let mut idle = Wire::connect(gateway.address).await;
    gateway.until(|seen| seen.hanging == 1).await;
    gateway.until_metric("vingate_http_in_flight", 3.0).await;

    gateway.drain();
    eventually(async || readiness(&gateway).await == 503).await;
    let reasons = gateway.admin(Request::get("/readyz"), "").await.expect(503);
    assert_eq!(reasons.json()["reasons"][0], "draining");
    eventually(async || TcpStream::connect(gateway.address).await.is_err()).await;

    assert_eq!(downloading.response().await.expect(200).body.len(), 5000);
    uploading.send("world").await;
    gateway.until(|seen| seen.hanging == 2).await;
    gateway.sandbox.clear_faults();
    assert_eq!(waiting.response().await.expect(200).body.len(), 1000);
    assert_eq!(uploading.response().await.expect(200).json()["length"], 10);
    assert!(waiting.is_closed().await && uploading.is_closed().await);

    // Who connected just before may still ask once.
    idle.send(bytes(&gateway, 10)).await;
    assert_eq!(idle.response().await.expect(200).body.len(), 10);
    assert!(idle.is_closed().await);
    timeout(PATIENCE, gateway.stop()).await.unwrap();
}

#[tokio::test]
async fn what_does_not_end_in_time_is_cut() {
    let mut gateway = Gateway::start("[server]\ndrain_timeout = \"200ms\"").await;
    gateway.sandbox.set_faults(hang());
    let mut waiting = Wire::connect(gateway.address).await;
    waiting.send(bytes(&gateway, 1000)).await;
    gateway.until(|seen| seen.hanging == 1).await;
    gateway.drain();
    assert!(waiting.is_closed().await);
    timeout(PATIENCE, gateway.stop()).await.unwrap();
}

#[tokio::test]
async fn goes_on_for_a_while_after_it_said_that_it_ends() {
    let mut gateway = Gateway::start("[server]\ndrain_delay = \"1h\"").await;
    let vehicle = gateway.sandbox.vehicles(Class::Finished).next().unwrap();
    gateway.drain();
    eventually(async || readiness(&gateway).await == 503).await;
    let response = gateway.batch(&[spelled(&vehicle)]).await.expect(200);
    assert_eq!(response.text(), gateway.response_for([&vehicle], ALL));
    TcpStream::connect(gateway.address).await.unwrap();
}

#[tokio::test]
async fn a_write_whose_client_is_gone_is_waited_for() {
    let mut gateway = Gateway::start("").await;
    gateway.sandbox.set_faults(hang());
    let mut client = Wire::connect(gateway.address).await;
    client
        .send(format!(
            "PATCH /api/v2/vehicles/3VWFE21C04M000001/status HTTP/1.1\r\nHost: a\r\n\
             Authorization: {}\r\nContent-Length: 21\r\n\r\n{{\"vehicleStatusId\":3}}",
            gateway.own_token()
        ))
        .await;
    gateway.until(|seen| seen.hanging == 1).await;
    drop(client);
    gateway.until_metric("vingate_http_in_flight", 0.0).await;
    gateway.drain();
    eventually(async || TcpStream::connect(gateway.address).await.is_err()).await;
    assert_eq!(readiness(&gateway).await, 503, "it has not ended");
    gateway.sandbox.clear_faults();
    timeout(PATIENCE, gateway.stop()).await.unwrap();
}

/// The program itself, run as its supervisor does.
struct Program {
    process: Child,
    address: SocketAddr,
    folder: PathBuf,
}

impl Program {
    /// In front of `upstream`, with more in its `[server]`.
    async fn start(name: &str, upstream: &str, server: &str) -> Self {
        let id = std::process::id();
        let folder = std::env::temp_dir().join(format!("vingate-drain-{name}-{id}"));
        std::fs::create_dir_all(&folder).unwrap();
        let file = folder.join("vingate.toml");
        let toml = format!(
            "[server]\nlisten = \"127.0.0.1:0\"\n{server}[admin]\nlisten = \"127.0.0.1:0\"\n\
             [upstream]\nurl = \"{upstream}\"\n[auth]\nenabled = false\n\
             [log]\nlevel = \"trace\"\naccess = \"all\""
        );
        std::fs::write(&file, toml).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_vingate"))
            .args(["serve", "--config"])
            .arg(&file)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut log = BufReader::new(process.stderr.take().unwrap()).lines();
        let address = loop {
            let line = timeout(PATIENCE, log.next_line()).await.unwrap().unwrap();
            let line: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
            if let Some(address) = line["gateway"].as_str() {
                break address.parse().unwrap();
            }
        };
        // What it says on is read, so that it never waits for a reader.
        tokio::spawn(async move {
            while let Ok(Some(line)) = log.next_line().await {
                watch::search(&line);
            }
        });
        Self { process, address, folder }
    }

    async fn terminate(&self) {
        let pid = self.process.id().unwrap();
        // A shell has it built in; the program of that name is not everywhere.
        let kill = format!("kill -TERM {pid}");
        let kill = Command::new("/bin/sh").args(["-c", &kill]).status();
        assert!(kill.await.unwrap().success());
    }

    /// The status it exits with.
    async fn ended(mut self) -> Option<i32> {
        let ended: ExitStatus = timeout(PATIENCE, self.process.wait())
            .await
            .unwrap()
            .unwrap();
        std::fs::remove_dir_all(&self.folder).unwrap();
        ended.code()
    }
}

#[tokio::test]
async fn the_program_drains_on_sigterm_and_exits_with_0() {
    let sandbox = Sandbox::spawn().await.unwrap();
    let program = Program::start("requests", &sandbox.url(), "").await;
    let address = program.address;
    sandbox.set_faults(hang());
    let mut wire = Wire::connect(address).await;
    wire.send("GET /sandbox/bytes/100000 HTTP/1.1\r\nHost: a\r\nAuthorization: x\r\n\r\n")
        .await;
    timeout(PATIENCE, sandbox.until(|seen| seen.hanging == 1))
        .await
        .unwrap();
    program.terminate().await;
    eventually(async || TcpStream::connect(address).await.is_err()).await;
    sandbox.clear_faults();
    assert_eq!(wire.response().await.expect(200).body.len(), 100_000);
    assert_eq!(program.ended().await, Some(0));
}

/// Whoever keeps a connection without using it has all that was sent to it.
#[tokio::test]
async fn the_program_does_not_wait_for_idle_connections() {
    let sandbox = Sandbox::spawn().await.unwrap();
    let program = Program::start("idle", &sandbox.url(), "").await;
    let mut wire = Wire::connect(program.address).await;
    wire.send("GET /sandbox/bytes/10 HTTP/1.1\r\nHost: a\r\nAuthorization: x\r\n\r\n")
        .await;
    wire.response().await.expect(200);
    sleep(Duration::from_secs(1)).await;
    program.terminate().await;
    let ended = timeout(Duration::from_secs(4), program.ended()).await;
    assert_eq!(ended.expect("it does not linger"), Some(0));
}

#[tokio::test]
async fn the_second_signal_ends_the_program_at_once() {
    let sandbox = Sandbox::spawn().await.unwrap();
    let program = Program::start("twice", &sandbox.url(), "drain_timeout = \"1h\"\n").await;
    let address = program.address;
    sandbox.set_faults(hang());
    let mut wire = Wire::connect(address).await;
    wire.send("GET /sandbox/bytes/1 HTTP/1.1\r\nHost: a\r\nAuthorization: x\r\n\r\n")
        .await;
    timeout(PATIENCE, sandbox.until(|seen| seen.hanging == 1))
        .await
        .unwrap();
    program.terminate().await;
    eventually(async || TcpStream::connect(address).await.is_err()).await;
    program.terminate().await;
    assert_eq!(program.ended().await, Some(1));
}

/// Nobody knows when a WebSocket ends by itself: it has until `drain_timeout`, and bytes go by
/// as long.
#[tokio::test]
async fn the_program_cuts_a_websocket_when_its_time_is_over_and_exits_with_0() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let upstream = format!("http://{}", listener.local_addr().unwrap());
    let program = Program::start("tunnel", &upstream, "drain_timeout = \"3s\"\n").await;
    let mut caller = Wire::connect(program.address).await;
    let upgrade = "GET /a HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    caller.send(upgrade).await;
    let (stream, _) = listener.accept().await.unwrap();
    let mut upstream = Wire::over(stream);
    upstream.head().await;
    let agreed =
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";
    upstream.send(agreed).await;
    caller.response().await.expect(101);

    let began_at = Instant::now();
    program.terminate().await;
    eventually(async || TcpStream::connect(program.address).await.is_err()).await;
    caller.send("ping").await;
    assert_eq!(upstream.take(4).await, b"ping");
    upstream.send("pong").await;
    assert_eq!(caller.take(4).await, b"pong");
    assert_eq!(program.ended().await, Some(0));
    assert!(began_at.elapsed() >= Duration::from_secs(3), "{:?}", began_at.elapsed());
    assert!(caller.is_closed().await && upstream.is_closed().await);
}
