//! `vingate demo` with replicas.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
};

use crate::{redis_server::RedisServer, support::eventually};

/// Ends when it is dropped.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Sends a GET and gives the response, head and body.
fn get(address: &str, path: &str, token: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let (length, fields) = (body.len(), "Content-Type: application/json\r\nHost: localhost");
    let head = format!("GET {path} HTTP/1.0\r\n{fields}\r\nContent-Length: {length}");
    write!(stream, "{head}\r\nAuthorization: Bearer {token}\r\n\r\n{body}").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

#[tokio::test]
async fn the_demo_shows_two_replicas() {
    let Some(redis) = RedisServer::start(&[]).await else { return };
    let mut child = Command::new(env!("CARGO_BIN_EXE_vingate"))
        .args(["demo", "--listen", "127.0.0.1:0", "--replicas", "2", "--redis"])
        .arg(format!("redis://{}", redis.address))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let printed = BufReader::new(child.stdout.take().unwrap());
    let _demo = Demo(child);
    let (mut addresses, mut token) = (Vec::new(), String::new());
    for line in printed.lines().map_while(Result::ok) {
        if let Some((_, address)) = line.split_once("http://") {
            addresses.push(address.to_owned());
        }
        if let Some((_, printed)) = line.split_once("TOKEN=") {
            token = printed.to_owned();
            break;
        }
    }
    let [first, first_admin, second, second_admin, _sandbox] = &addresses[..] else {
        panic!("{addresses:?}")
    };
    let batch = |gateway: &str| {
        let body = r#"{"vehicles":[{"vin":"3VWFE21C04M000001","plate":"MFF956M"}]}"#;
        get(gateway, "/api/batch/scraping/", &token, body)
    };
    let has = |admin: &str, line: &str| {
        let metrics = get(admin, "/metrics", "none", "");
        metrics.lines().any(|it| it == line)
    };
    for admin in [first_admin, second_admin] {
        eventually(async || {
            has(admin, "vingate_shared_breaker_state 0") && has(admin, "vingate_shared_valid 1")
        })
        .await;
    }
    assert!(batch(first).contains("cache-status: vingate; fwd=miss"));
    eventually(async || has(first_admin, "vingate_shared_fills_total{outcome=\"stored\"} 1")).await;
    let found = batch(second);
    assert!(found.contains("cache-status: vingate; hit"), "{found}");
}
