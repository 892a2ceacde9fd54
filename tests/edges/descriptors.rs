//! More connections than the system gives descriptors for.

use std::{net::SocketAddr, process::Stdio, time::Duration};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader},
    process::Command,
    time::{sleep, timeout},
};

use crate::{
    caller::{Caller, PATIENCE, exchange, statuses},
    support::watch,
    upstream::Upstream,
};

const ACCEPT: &str = "vingate_http_connection_errors_total{reason=\"accept\"} ";

/// What the admin listener says of connections that could not be accepted, over a connection
/// that it has already.
async fn refused(admin: &mut Caller) -> u64 {
    admin
        .send("GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n")
        .await;
    let head = admin.read_to("\r\n\r\n").await;
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut text = vec![0; length.unwrap().parse().unwrap()];
    admin.stream.read_exact(&mut text).await.unwrap();
    let text = String::from_utf8(text).unwrap();
    let count = text.lines().find_map(|line| line.strip_prefix(ACCEPT));
    count.unwrap().parse().unwrap()
}

/// Who does nothing makes room for who asks, also when it is descriptors that are short.
#[tokio::test]
async fn when_descriptors_run_out_the_idle_make_room() {
    let upstream = Upstream::start().await;
    let file = std::env::temp_dir().join(format!("vingate-descriptors-{}", std::process::id()));
    let toml = format!(
        "server.listen = \"127.0.0.1:0\"\nadmin.listen = \"127.0.0.1:0\"\n\
         auth.enabled = false\nlog = {{ level = \"trace\", access = \"all\" }}\nupstream.url = \"http://{}\"\n",
        upstream.address
    );
    std::fs::write(&file, toml).unwrap();
    let mut program = Command::new("/bin/sh")
        .args(["-c", "ulimit -n 48 && exec \"$0\" serve --config \"$1\""])
        .arg(env!("CARGO_BIN_EXE_vingate"))
        .arg(&file)
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut log = BufReader::new(program.stderr.take().unwrap()).lines();
    let line = timeout(PATIENCE, log.next_line()).await.unwrap().unwrap();
    let line: serde_json::Value = serde_json::from_str(&line.unwrap()).unwrap();
    let address = |name: &str| -> SocketAddr { line[name].as_str().unwrap().parse().unwrap() };
    let (gateway, mut admin) = (address("gateway"), Caller::connect(address("admin")).await);
    assert_eq!(refused(&mut admin).await, 0);

    let mut idle = Vec::new();
    for _ in 0..80 {
        idle.push(Caller::connect(gateway).await);
    }
    // All of them are still there, and yet there is room for a request.
    let response = exchange(gateway, "TRACE /a HTTP/1.1\r\nHost: a\r\n\r\n").await;
    assert_eq!(statuses(&response), [405]);
    assert!(refused(&mut admin).await > 0);

    drop(idle);
    let get = "GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let recovered = async {
        while statuses(&exchange(gateway, get).await) != [200] {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, recovered)
        .await
        .expect("it has descriptors again");
    // Operators are told.
    loop {
        let said = timeout(PATIENCE, log.next_line()).await.unwrap().unwrap();
        let said = said.expect("it says so");
        watch::search(&said);
        if said.contains("connection not accepted") {
            break;
        }
    }
    std::fs::remove_file(file).unwrap();
}
