//! Subcommands that talk to a running gateway, as processes.

use std::{
    fmt::Write as _,
    fs,
    path::PathBuf,
    process::{Output, Stdio},
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpListener,
    process::{Child, Command},
    time::timeout,
};
use vingate::sandbox::{Class, Faults, Only};

use crate::support::{Gateway, PATIENCE, eventually, spelled};

/// A CSV that is gone with the test.
struct Csv(PathBuf);

impl Csv {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("vingate-{name}-{}.csv", std::process::id()));
        fs::write(&path, text).unwrap();
        Self(path)
    }

    /// With so many vehicles that Sync knows.
    fn of_vehicles(name: &str, gateway: &Gateway, count: usize) -> Self {
        let mut text = String::from("vin,plate\n");
        for vehicle in gateway.sandbox.vehicles(Class::Finished).take(count) {
            let (vin, plate) = spelled(&vehicle);
            writeln!(text, "{vin},{plate}").unwrap();
        }
        Self::new(name, &text)
    }
}

impl Drop for Csv {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

/// `vingate` with the tokens that a gateway asks for.
fn command(gateway: &Gateway, arguments: &[&str]) -> Command {
    let token = gateway.authorization().strip_prefix("Bearer ").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_vingate"));
    command
        .args(arguments)
        .env("VINGATE_TOKEN", token)
        .env("VINGATE_ADMIN_TOKEN", "ADMIN_TOKEN_OF_TESTS")
        .kill_on_drop(true);
    command
}

async fn ended(
    child: impl Future<Output = std::io::Result<Output>>,
) -> (Option<i32>, String, String) {
    let output = timeout(PATIENCE, child).await.expect("it ends").unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

async fn warm(gateway: &Gateway, csv: &Csv, more: &[&str]) -> (Option<i32>, String, String) {
    let url = format!("http://{}", gateway.address);
    let mut command = command(gateway, &["warm", "--url", &url]);
    ended(command.args(more).arg(&csv.0).output()).await
}

fn interrupt(child: &Child) {
    let kill = format!("kill -INT {}", child.id().unwrap());
    let sent = std::process::Command::new("/bin/sh")
        .args(["-c", &kill])
        .status();
    assert!(sent.unwrap().success());
}

#[tokio::test]
async fn a_fleet_is_warmed_once() {
    let gateway = Gateway::start("").await;
    let csv = Csv::of_vehicles("once", &gateway, 1_200);
    let (status, out, errors) = warm(&gateway, &csv, &[]).await;
    assert_eq!((status, errors.as_str()), (Some(0), ""));
    assert!(out.starts_with("1200 vehicles in "), "{out}");
    assert!(out.ends_with(": 1200 fetched, 0 held before, 0 failed\n"), "{out}");
    assert_eq!(gateway.sandbox.counters().batches, 3);
    let (status, out, _) = warm(&gateway, &csv, &["--batch", "100", "--parallel", "5"]).await;
    assert_eq!(status, Some(0));
    assert!(out.ends_with(": 0 fetched, 1200 held before, 0 failed\n"), "{out}");
    assert_eq!(gateway.sandbox.counters().batches, 3);
}

#[tokio::test]
async fn what_was_interrupted_goes_on_where_it_stopped() {
    let gateway = Gateway::start("").await;
    let csv = Csv::of_vehicles("interrupted", &gateway, 1_000);
    gateway.sandbox.set_faults([
        Faults { calls: Some(3), ..Faults::default() },
        Faults { hang: true, ..Faults::default() },
    ]);
    let url = format!("http://{}", gateway.address);
    let arguments = ["warm", "--url", &url, "--batch", "100", "--parallel", "1"];
    let mut command = command(&gateway, &arguments);
    let command = command.arg(&csv.0).stdout(Stdio::piped());
    let child = command.stderr(Stdio::piped()).spawn().unwrap();
    gateway.until(|seen| seen.hanging == 1).await;
    interrupt(&child);
    // What is under way is waited for.
    tokio::time::sleep(Duration::from_millis(50)).await;
    gateway.sandbox.clear_faults();
    let (status, out, errors) = ended(child.wait_with_output()).await;
    assert_eq!(status, Some(1), "{out} {errors}");
    assert!(out.contains("not asked for"), "{out}");

    let before = gateway.sandbox.counters().vehicles;
    assert!(before < 1_000);
    assert_eq!(warm(&gateway, &csv, &[]).await.0, Some(0));
    assert_eq!(gateway.sandbox.counters().vehicles, 1_000, "it asks only for the rest");
}

#[tokio::test]
async fn lines_that_name_no_vehicle_are_named_and_left_out() {
    let gateway = Gateway::start("").await;
    let csv = Csv::new(
        "bad",
        "3VWFE21C04M000001,MFF956M\n3VWFE21C04M00000,MFF956M\n\n1N4MUZFY2GA189462\n",
    );
    let (status, out, errors) = warm(&gateway, &csv, &[]).await;
    assert_eq!(status, Some(1));
    assert!(out.ends_with(" 0 failed; 2 lines left out\n"), "{out}");
    for line in [
        "vingate: line 2 VIN has 16 characters, a VIN has 17\n",
        "vingate: line 4 has no plate behind a comma\n",
    ] {
        assert!(errors.contains(line), "{errors}");
    }
    assert!(!errors.contains("3VWFE"), "{errors}");
}

#[tokio::test]
async fn standard_input_is_a_list_too() {
    let gateway = Gateway::start("").await;
    let url = format!("http://{}", gateway.address);
    let mut command = command(&gateway, &["warm", "--url", &url, "-"]);
    let piped = Stdio::piped;
    let mut child = command.stdin(piped()).stdout(piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"3VWFE21C04M000001,MFF956M").await.unwrap();
    drop(input);
    let (status, out, _) = ended(child.wait_with_output()).await;
    assert_eq!(status, Some(0));
    assert!(out.starts_with("1 vehicle in "), "{out}");
}

#[tokio::test]
async fn a_client_whose_credential_passes_through_is_warmed_with_it() {
    let gateway = Gateway::start("# no accounts\n[auth]\nenabled = false").await;
    let csv = Csv::of_vehicles("credential", &gateway, 10);
    let url = format!("http://{}", gateway.address);
    let mut command = command(&gateway, &["warm", "--url", &url]);
    let command = command.arg(&csv.0);
    for (headers, said) in [
        ("X-API-Key: a\nAuthorization: Basic b", ": 10 fetched, 0 held before, 0 failed\n"),
        ("authorization:Basic b\nx-api-key: a", ": 0 fetched, 10 held before, 0 failed\n"),
        ("Authorization: Basic b", ": 10 fetched, 0 held before, 0 failed\n"),
    ] {
        let (status, out, errors) = ended(command.env("VINGATE_HEADERS", headers).output()).await;
        assert_eq!(status, Some(0), "{errors}");
        assert!(out.ends_with(said), "{headers}: {out}");
    }
    let (status, _, errors) = ended(command.env("VINGATE_HEADERS", "Basic b").output()).await;
    assert_eq!(status, Some(1));
    assert_eq!(errors, "vingate: VINGATE_HEADERS needs lines such as Name: value\n");
}

#[tokio::test]
async fn a_gateway_that_says_when_is_asked_then() {
    let gateway = Gateway::start("[upstream.retry]\nmax_attempts = 1").await;
    let csv = Csv::of_vehicles("later", &gateway, 10);
    let headers = [("retry-after".to_owned(), "1".to_owned())].into();
    let busy = Faults { calls: Some(1), status: Some(503), headers, ..Faults::default() };
    gateway.sandbox.set_faults([busy]);
    let (status, out, errors) = warm(&gateway, &csv, &[]).await;
    assert_eq!(status, Some(0), "{errors}");
    assert!(out.ends_with(": 10 fetched, 0 held before, 0 failed\n"), "{out}");
}

/// The gateway responds as if all were well, but for its `Cache-Status`.
#[tokio::test]
async fn what_stays_stale_because_sync_fails_has_failed() {
    let lifetimes = "[cache]\nstale_while_revalidate = \"0s\"\n[cache.ttl]\nfinished = \"0s\"";
    let gateway = Gateway::start(&format!("{lifetimes}\n[upstream.retry]\nmax_attempts = 1")).await;
    let csv = Csv::of_vehicles("stale", &gateway, 2);
    assert_eq!(warm(&gateway, &csv, &[]).await.0, Some(0));
    let fails = Faults { status: Some(500), ..Faults::default() };
    gateway.sandbox.set_faults([fails]);
    let (status, out, errors) = warm(&gateway, &csv, &[]).await;
    assert_eq!(status, Some(1), "{out}");
    assert!(out.ends_with(": 0 fetched, 0 held before, 2 failed\n"), "{out}");
    let why = "vingate: lines 2 to 3: 2 of 2 still stale, because Sync responded 500\n";
    assert!(errors.starts_with(why), "{errors}");
}

#[tokio::test]
async fn a_gateway_that_refuses_for_good_is_not_asked_again() {
    let gateway = Gateway::start("").await;
    let csv = Csv::of_vehicles("refused", &gateway, 20);
    let url = format!("http://{}", gateway.address);
    let mut command =
        command(&gateway, &["warm", "--url", &url, "--batch", "1", "--parallel", "1"]);
    let command = command.arg(&csv.0).env("VINGATE_TOKEN", "none");
    let (status, out, errors) = ended(command.output()).await;
    assert_eq!(status, Some(1));
    assert!(errors.contains("vingate: line 2 failed: "), "{errors}");
    assert!(errors.contains("401 Unauthorized"), "{errors}");
    assert!(out.contains("1 failed, 19 not asked for"), "{out}");

    let (status, _, errors) = ended(command.arg("--url=http://127.0.0.1:1").output()).await;
    assert_eq!(status, Some(2), "{errors}");
}

#[tokio::test]
async fn what_was_under_way_when_a_gateway_refused_for_good_is_named() {
    let gateway = Gateway::start("").await;
    let csv = Csv::of_vehicles("under-way", &gateway, 20);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let arguments = ["warm", "--url", &url, "--batch", "1", "--parallel", "2"];
    let refuse = async {
        let (mut first, _) = listener.accept().await.unwrap();
        let (mut second, _) = listener.accept().await.unwrap();
        // Both, before one is answered: its connection would be there for the other request.
        for stream in [&mut first, &mut second] {
            assert!(stream.read(&mut [0; 1024]).await.unwrap() > 0);
        }
        for stream in [&mut first, &mut second] {
            let response = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n";
            stream.write_all(response).await.unwrap();
        }
    };
    let mut command = command(&gateway, &arguments);
    let warm = ended(command.arg(&csv.0).output());
    let ((status, out, errors), ()) = tokio::join!(warm, refuse);
    assert_eq!(status, Some(1));
    assert!(out.ends_with(" 2 failed, 18 not asked for\n"), "{out}");
    for line in ["line 2", "line 3"] {
        assert!(errors.contains(&format!("vingate: {line} failed: ")), "{errors}");
    }
}

#[tokio::test]
async fn a_purge_says_how_many() {
    let gateway = Gateway::start("[admin]\ntoken = { env = \"ADMIN_TOKEN_OF_TESTS\" }").await;
    let vehicles = gateway.hold(3).await;
    let admin = format!("http://{}", gateway.admin);
    let vin = vehicles[0].vin.as_str();
    for (arguments, status, said) in [
        (&["--vin", vin][..], Some(0), "1 vehicle purged\n"),
        (&["--vin", vin], Some(0), "0 vehicles purged\n"),
        (&["--account", "none"], Some(1), "400 Bad Request: There is no such account."),
        (&["--vin", "x"], Some(2), "has 1 character, "),
        (&[], Some(2), "required"),
        (&["--all", "--vin", vin], Some(2), "cannot be used with"),
        (&["--all"], Some(0), "2 vehicles purged\n"),
    ] {
        let mut command = command(&gateway, &["purge", "--admin", &admin]);
        let (code, out, errors) = ended(command.args(arguments).output()).await;
        assert_eq!(code, status, "{arguments:?}: {out} {errors}");
        assert!(out.contains(said) || errors.contains(said), "{arguments:?}: {out} {errors}");
    }
    let mut command = command(&gateway, &["purge", "--all", "--admin", &admin]);
    let (code, _, errors) = ended(command.env_remove("VINGATE_ADMIN_TOKEN").output()).await;
    assert_eq!(code, Some(1));
    assert!(errors.contains("401 Unauthorized: The admin token is needed."), "{errors}");
    let mut command = command_to_nobody();
    let (code, _, errors) = ended(command.output()).await;
    assert_eq!(code, Some(1));
    assert!(errors.starts_with("vingate: cannot reach http://127.0.0.1:1/: "), "{errors}");
}

fn command_to_nobody() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vingate"));
    command.args(["purge", "--all", "--admin", "http://127.0.0.1:1"]);
    command
}

#[tokio::test]
async fn says_why_a_vehicle_is_served_as_it_is() {
    let gateway = Gateway::start("").await;
    let vehicle = gateway.sandbox.vehicles(Class::Finished).next().unwrap();
    let (vin, plate) = spelled(&vehicle);
    let admin = format!("http://{}", gateway.admin);
    let explain = async |more: &[&str]| {
        let arguments = ["explain", "--admin", &admin, "--vin", vin, "--plate", plate];
        ended(command(&gateway, &arguments).args(more).output()).await
    };
    let (status, out, _) = explain(&[]).await;
    let never = "all: not held: the next request needs it from Sync; no drop is remembered\n";
    assert_eq!((status, out.as_str()), (Some(0), never));

    let patch = http::Request::patch(format!("/api/v2/vehicles/{vin}/status"));
    let patch = patch
        .header("content-type", "application/json")
        .header("x-request-id", "patch-1");
    gateway
        .send(patch, "{\"vehicleStatusId\":4}")
        .await
        .expect(204);
    gateway.batch(&[(vin, plate)]).await.expect(200);
    let (_, out, _) = explain(&["--account", "all"]).await;
    assert!(out.starts_with("all: held since "), "{out}");
    assert!(out.contains(" UTC (finished), fresh until "), "{out}");
    assert!(out.ends_with(" UTC by PATCH of a status (request patch-1)\n"), "{out}");
    assert_eq!(explain(&["--account", "none"]).await.0, Some(1));

    let fails = Faults { status: Some(501), ..Faults::default() };
    gateway.sandbox.set_faults([fails]);
    let reload = [("cache-control", "no-cache")];
    gateway
        .batch_with(&[(vin, plate)], &reload)
        .await
        .expect(501);
    let (_, out, _) = explain(&[]).await;
    assert!(out.starts_with("all: held since "), "{out}");
    assert!(out.contains("; the last call, at ") && out.ends_with(" failed: 5xx\n"), "{out}");
}

#[tokio::test]
async fn an_explanation_has_what_programs_want_and_no_result() {
    let gateway = Gateway::start("").await;
    let vehicle = gateway.sandbox.vehicles(Class::Pending).next().unwrap();
    let (vin, plate) = spelled(&vehicle);
    gateway.batch(&[(vin, plate)]).await.expect(200);
    let ask = async |body: serde_json::Value| {
        let request = http::Request::post("/explain").header("content-type", "application/json");
        gateway.admin(request, body.to_string()).await
    };
    let said = ask(serde_json::json!({ "vin": vin, "plate": plate }))
        .await
        .expect(200)
        .json();
    let account = &said["accounts"][0];
    assert_eq!(account["account"], "all");
    assert_eq!((&account["held"], &account["class"]), (&true.into(), &"pending".into()));
    assert_eq!(
        account["stale_until"], account["fresh_until"],
        "only what is finished is refreshed"
    );
    assert_eq!(account["last_call"]["outcome"], "2xx");
    assert!(account["last_invalidation"].is_null());
    gateway.purge().await;
    let said = ask(serde_json::json!({ "vin": vin, "plate": plate }))
        .await
        .expect(200)
        .json();
    assert_eq!(said["accounts"][0]["held"], false);
    let dropped = &said["accounts"][0]["last_invalidation"];
    assert_eq!(dropped["cause"], "purge");
    assert_eq!(dropped["request_id"].as_str().unwrap().len(), 32);
    for (body, status) in [
        (serde_json::json!({ "vin": vin }), 400),
        (serde_json::json!({ "vin": vin, "plate": plate, "more": 1 }), 400),
        (serde_json::json!({ "vin": "x", "plate": plate }), 400),
    ] {
        ask(body).await.expect(status);
    }
    gateway
        .admin(http::Request::get("/explain"), "")
        .await
        .expect(405);
}

/// A purge tells what dropped a vehicle last. What keeps it from being stored is still the write.
#[tokio::test]
async fn an_explanation_has_how_long_nothing_is_stored() {
    let gateway = Gateway::start("").await;
    let vehicle = gateway.sandbox.vehicles(Class::Finished).next().unwrap();
    let (vin, plate) = spelled(&vehicle);
    let fails = Faults { only: Only::Writes, status: Some(503), ..Faults::default() };
    gateway.sandbox.set_faults([fails]);
    let patch = http::Request::patch(format!("/api/v2/vehicles/{vin}/status"));
    let patch = patch.header("content-type", "application/json");
    gateway
        .send(patch, "{\"vehicleStatusId\":4}")
        .await
        .expect(503);
    gateway.purge().await;
    let ask = http::Request::post("/explain").header("content-type", "application/json");
    let body = serde_json::json!({ "vin": vin, "plate": plate });
    let said = gateway.admin(ask, body.to_string()).await.expect(200);
    let account = &said.json()["accounts"][0];
    assert_eq!(account["last_invalidation"]["cause"], "purge");
    assert!(account["held_off_until"].is_string(), "{account}");
    assert!(
        account["words"]
            .as_str()
            .unwrap()
            .contains("; nothing is stored until ")
    );
}

#[tokio::test]
async fn shows_the_figures_of_a_running_gateway() {
    let gateway = Gateway::start("").await;
    gateway.hold(3).await;
    let admin = format!("http://{}", gateway.admin);
    // It takes its first figures when it starts.
    eventually(async || {
        let status = gateway.admin(http::Request::get("/status"), "").await;
        status.expect(200).json()["last_minute"]["requests_per_second"].is_number()
    })
    .await;
    let arguments = ["status", "--admin", &admin];
    let (status, out, errors) = ended(command(&gateway, &arguments).output()).await;
    assert_eq!(status, Some(0), "{errors}");
    assert!(out.starts_with("vingate ") && out.lines().nth(1) == Some("ready"), "{out}");
    assert!(
        out.lines()
            .any(|line| line.split_whitespace().eq(["entries", "3"])),
        "{out}"
    );
    assert!(out.contains("\nin the last "), "{out}");
    let (_, out, _) = ended(command(&gateway, &arguments).arg("--json").output()).await;
    let status: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&status["figures"]["entries"], &status["ready"]), (&3.0.into(), &true.into()));
    assert_eq!(status["sums"]["vehicles"], 3.0);
    assert_eq!(status["state"], "ready");
    for (name, value) in [
        ("capacity", f64::from(512 << 20)),
        ("batch_requests", 1.0),
        ("batch_vehicles", 3.0),
        ("tokens.accepted", 1.0),
        ("tokens.expired", 0.0),
    ] {
        assert_eq!(status["figures"][name], value, "{name}");
    }
    let values = status["history"]["figures"]["entries"].as_array().unwrap();
    assert_eq!(values.len(), status["history"]["at"].as_array().unwrap().len());
    assert_eq!(values.last(), Some(&3.0.into()));
}

/// A gateway that is restarted does not end it.
#[tokio::test]
async fn watches_a_gateway_that_does_not_respond_now_and_then() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let admin = format!("http://{}", listener.local_addr().unwrap());
    let mut watching = Command::new(env!("CARGO_BIN_EXE_vingate"))
        .args(["status", "--watch", "--json", "--admin", &admin])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut out = BufReader::new(watching.stdout.take().unwrap()).lines();
    let mut errors = BufReader::new(watching.stderr.take().unwrap()).lines();
    for _ in 0..2 {
        // It hangs up.
        drop(listener.accept().await.unwrap());
        let line = timeout(PATIENCE, errors.next_line())
            .await
            .unwrap()
            .unwrap();
        assert!(line.unwrap().starts_with("vingate: cannot reach "));
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 1024];
        assert!(stream.read(&mut request).await.unwrap() > 0);
        let response = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
        stream.write_all(response.as_bytes()).await.unwrap();
        let line = timeout(PATIENCE, out.next_line()).await.unwrap().unwrap();
        assert_eq!(line.as_deref(), Some("{}"));
    }
    interrupt(&watching);
    let ended = timeout(PATIENCE, watching.wait()).await.unwrap().unwrap();
    assert_eq!(ended.code(), Some(0));
}

#[tokio::test]
async fn the_page_may_run_nothing_but_its_own() {
    let gateway = Gateway::start("").await;
    let page = gateway.admin(http::Request::get("/"), "").await.expect(200);
    let policy = page.field("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; style-src 'sha256-"), "{policy}");
    assert!(policy.contains("script-src 'sha256-") && !policy.contains("unsafe"), "{policy}");
    assert!(page.text().starts_with("<!doctype html>"));
}
