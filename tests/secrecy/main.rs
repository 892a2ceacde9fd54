//! Nothing that the program writes shows a vehicle or a secret.
//!
//! The program runs as it is shipped, at its most talkative, and gets requests of every kind.
//! Then all that it has written, its metrics and what operators are shown are searched, and every
//! answer that is its own: what a caller sent may stand in that caller's own 400, and nowhere
//! else.

#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

mod cases;
mod exchange;
mod faults;
mod panics;
#[path = "../support/program.rs"]
#[allow(dead_code, reason = "each test binary uses its own part")]
mod program;
mod secrets;
#[path = "../support/watch.rs"]
#[allow(dead_code, reason = "each test binary uses its own part")]
mod watch;

use std::{fs, path::PathBuf, process::Command};

use serde_json::json;
use vingate::sandbox::{Handle, Sandbox};

use self::{
    cases::{BATCH, Case, batch},
    exchange::{exchange, operate, over_http2, searched, status},
    faults::faults,
    program::Program,
    secrets::{ACCOUNT, ADMIN_TOKEN, ISSUER, JWT_SECRET, SUBJECT, Secrets, TYPED, token},
};

#[tokio::test]
async fn nothing_written_as_json_shows_a_vehicle_or_a_secret() {
    nothing_shows("json").await;
}

#[tokio::test]
async fn nothing_written_as_text_shows_a_vehicle_or_a_secret() {
    nothing_shows("text").await;
}

async fn nothing_shows(format: &str) {
    let sandbox = Sandbox::spawn().await.unwrap();
    let keys = File::write(&format!("keys-{format}"), PUBLISHED);
    let text = configuration(format, &sandbox.url());
    let text = text.replace("[auth]", &format!("[auth]\njwks_url = \"{}\"", keys.path()));
    let file = File::write(format, &text);
    let environment = [("SYNC", ACCOUNT), ("JWT", JWT_SECRET), ("ADMIN", ADMIN_TOKEN)];
    let mut program = Program::start(&["serve", "--config", file.path()], &environment);
    let (gateway, admin) = program.addresses().await;

    let good = token(json!({}));
    let bad = cases::bad_tokens();
    let tokens = bad.iter().map(|(_, token)| token).chain([&good]);
    // The VIN that somebody takes for a token is looked for as a VIN.
    let tokens = tokens
        .map(String::as_str)
        .filter(|token| token.contains('.'));
    let secrets = Secrets::all(tokens);

    let mut ids = Vec::new();
    let mut ask = async |case: Case| {
        let response = exchange(gateway, case.request.as_bytes()).await;
        assert_eq!(status(&response), case.status, "{}\n{response}", case.request);
        searched(&secrets, &case.request, &response);
        ids.extend(case.id);
    };
    for case in cases::of_a_caller(&good) {
        ask(case).await;
    }
    for case in cases::of_nobody(&bad, &good) {
        ask(case).await;
    }
    for (nth, (faults, status)) in faults().into_iter().enumerate() {
        sandbox.set_faults(faults);
        let body = &batch(&TYPED);
        let row = (status, "GET", BATCH, &[("cache-control", "no-store")][..], &**body);
        ask(Case::new(format!("fault-{nth}-"), &good, row)).await;
    }
    for (request, expected) in cases::malformed(&good) {
        let response = exchange(gateway, request.as_bytes()).await;
        assert!(expected == 0 || status(&response) == expected, "{request}\n{response}");
        searched(&secrets, &request, &response);
    }
    over_http2(gateway, &good, &secrets).await;
    let shown = operate(admin, &secrets).await;
    assert!(carried(&sandbox), "neither vehicle nor account went upstream");
    sandbox.stop().await;
    for (nth, (method, target, body)) in
        [("GET", BATCH, batch(&TYPED)), ("PATCH", "/api/3vw-zx21c04m000001", String::new())]
            .iter()
            .enumerate()
    {
        let row = (502, *method, *target, &[("cache-control", "no-store")][..], &**body);
        ask(Case::new(format!("alone-{nth}-"), &good, row)).await;
    }

    let (code, written) = program.stop().await;
    assert_eq!(code, Some(0), "{written}");
    let left_out = written
        .lines()
        .find(|line| line.contains("published keys left out"));
    assert!(left_out.is_some_and(|line| line.matches("it is ").count() >= 2), "{written}");
    for id in ids {
        assert!(written.contains(&id), "{id} is not in the log:\n{written}");
    }
    // Two who guess within ten seconds, from one address.
    let refused = written
        .lines()
        .filter(|line| line.contains("admin token refused"));
    let refused: Vec<_> = refused.collect();
    assert!(matches!(refused[..], [line] if line.contains("127.0.0.1")), "{refused:?}");
    let purges = written.lines().filter(|line| line.contains("cache purged"));
    let purges: Vec<_> = purges.collect();
    assert_eq!(purges.len(), 3, "{written}");
    for (line, parts) in
        purges
            .iter()
            .zip([&["vin, plate"][..], &["account, plate", "fleet"], &["everything"]])
    {
        assert!(line.contains("127.0.0.1") && parts.iter().all(|it| line.contains(it)), "{line}");
    }
    assert!(written.contains("DEBUG") && written.contains("ERROR"), "{written}");
    for (what, text) in [("log", &written), ("operators' view", &shown)] {
        let found = secrets.found_in(text);
        assert!(found.is_empty(), "the {what} shows {found:?}:\n{text}");
    }
}

/// Operators know whom to speak with, and whoever else reads the log does not.
#[tokio::test]
async fn a_client_that_is_refused_is_named_for_those_who_know_it() {
    let sandbox = Sandbox::spawn().await.unwrap();
    let rate = "limit.rate = { requests_per_second = 1, burst = 1 }\nlimit.max_body";
    let text = configuration("json", &sandbox.url()).replace("limit.max_body", rate);
    let file = File::write("refused", &text);
    let environment = [("SYNC", ACCOUNT), ("JWT", JWT_SECRET), ("ADMIN", ADMIN_TOKEN)];
    let mut program = Program::start(&["serve", "--config", file.path()], &environment);
    let (gateway, _) = program.addresses().await;
    let token = token(json!({}));
    let asks = Case::new("asks".into(), &token, (429, "GET", "/", &[], "")).request;
    // On a slow machine one may come back meanwhile.
    while status(&exchange(gateway, asks.as_bytes()).await) != 429 {}
    // Of whom no more is known than where they are.
    for (target, refusal) in [("/", 401), ("/a/../b", 400)] {
        let asks = Case::new("asks".into(), "", (refusal, "GET", target, &[], "")).request;
        assert_eq!(status(&exchange(gateway, asks.as_bytes()).await), refusal);
    }
    let line = program.line_with("client refused").await;
    let (_, written) = program.stop().await;
    let secrets = Secrets::all([&*token]);
    let found = secrets.found_in(&written);
    assert!(found.is_empty(), "the log shows {found:?}:\n{written}");

    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!((&line["reason"], &line["client"]), (&json!("rate"), &json!("127.0.0.1")));
    let runbook = include_str!("../../deploy/runbook.md");
    let tells = runbook
        .lines()
        .find(|line| line.starts_with("    python3 "));
    let (tells, _) = tells.unwrap().trim().split_once(" https://").unwrap();
    let told = Command::new("/bin/sh")
        .args(["-c", &format!("{tells} {ISSUER} {SUBJECT}")])
        .output();
    let told = String::from_utf8(told.unwrap().stdout).unwrap();
    let client_id = line["client_id"].as_str().unwrap();
    assert_eq!(client_id.len(), 16);
    let ended = written
        .lines()
        .filter(|line| line.contains("request ended"));
    let unknown = |line: &&str| line.contains(":401") || line.contains(":400");
    let named =
        |line: &str| line.contains("127.0.0.1") && (unknown(&line) || line.contains(client_id));
    assert_eq!(ended.clone().filter(unknown).count(), 2, "{written}");
    assert!(ended.clone().count() > 3 && ended.clone().all(named), "{written}");
    // Without Python nothing is told.
    assert!(told.is_empty() || told.trim() == client_id, "{told} and not {client_id}");
}

/// What is told of a broken configuration does not show the secrets that it leads to.
#[tokio::test]
async fn a_refused_configuration_shows_no_secret() {
    let secrets = Secrets::all([]);
    let lines = format!("{ACCOUNT}\nX: {ACCOUNT}");
    let text = configuration("json", "http://127.0.0.1:1");
    for (command, environment) in [
        ("check", [("SYNC", &*lines), ("JWT", JWT_SECRET), ("ADMIN", ADMIN_TOKEN)]),
        ("check", [("SYNC", ACCOUNT), ("JWT", &JWT_SECRET[..31]), ("ADMIN", ADMIN_TOKEN)]),
        ("check", [("SYNC", ACCOUNT), ("JWT", JWT_SECRET), ("ADMIN", ACCOUNT)]),
        ("serve", [("SYNC", &*lines), ("JWT", ""), ("ADMIN", ACCOUNT)]),
    ] {
        let name = format!("{command}-{}-{}", environment[0].1.len(), environment[1].1.len());
        let file = File::write(&name, &text);
        let arguments = [command, "--config", file.path()];
        let (code, written) = Program::start(&arguments, &environment).end().await;
        assert_eq!(code, Some(2), "{written}");
        assert!(written.contains("a secret") || written.contains("found"), "{written}");
        assert!(secrets.found_in(&written).is_empty(), "{written}");
    }
    let pasted = text.replace("\"64KiB\"", &format!("\"{ACCOUNT}\""));
    let file = File::write("pasted", &pasted);
    let environment = [("SYNC", ACCOUNT), ("JWT", JWT_SECRET), ("ADMIN", ADMIN_TOKEN)];
    let arguments = ["serve", "--config", file.path()];
    let (code, written) = Program::start(&arguments, &environment).end().await;
    assert_eq!(code, Some(2), "{written}");
    assert!(written.contains("limit.max_body: found another value"), "{written}");
    assert!(secrets.found_in(&written).is_empty(), "{written}");
    let misplaced = text
        .replace("{ env = \"SYNC\" }", &format!("\"{ACCOUNT}\""))
        .replace("{ env = \"ADMIN\" }", &format!("{{ env = \"{ADMIN_TOKEN}\" }}"));
    let file = File::write("misplaced", &misplaced);
    let arguments = ["check", "--config", file.path()];
    let (code, written) = Program::start(&arguments, &[("JWT", JWT_SECRET)])
        .end()
        .await;
    assert_eq!(code, Some(2), "{written}");
    assert!(secrets.found_in(&written).is_empty(), "{written}");
}

/// What an issuer publishes by mistake: its secrets, and a vehicle for a name.
const PUBLISHED: &str = r#"{"keys":[
    {"kty":"OKP","crv":"Ed25519","x":"rmHQTPkgDKn-6BKZph45u26EDio_w2oUgu75u9CPkQY"},
    {"kty":"OKP","crv":"Ed25519","x":"rmHQTPkgDKn-6BKZph45u26EDio_w2oUgu75u9CPkQY",
     "d":"operator-token-Wq5zXk81Ys","kid":"3vw-zx21c04m000001"},
    {"kty":"oct","k":"house-secret-Kx93vWqLmZ-house-secret-Kx93vWqLmZ"},
    {"kty":"3vw-zx21c04m000001","kid":["qzx 77-41"]}
]}"#;

/// As talkative as it gets.
fn configuration(format: &str, upstream: &str) -> String {
    format!(
        r#"
server.listen = "127.0.0.1:0"
admin = {{ listen = "127.0.0.1:0", token = {{ env = "ADMIN" }} }}
log = {{ format = "{format}", level = "trace", access = "all" }}
upstream = {{ url = "{upstream}", attempt_timeout = "300ms" }}
batch.max_vehicles = 10
limit.max_body = "64KiB"
[auth]
issuer = "https://house.example"
audience = ["vingate"]
scope = {{ read = "vehicles:read", write = "vehicles:write" }}
key = [{{ id = "house", algorithm = "HS256", secret = {{ env = "JWT" }} }}]
[[account]]
name = "fleet"
value = {{ env = "SYNC" }}
subjects = ["*"]
"#
    )
}

/// Whether vehicles and the account went upstream, so that there is something not to show.
fn carried(sandbox: &Handle) -> bool {
    sandbox.calls().iter().any(|call| {
        let has_account = call
            .headers
            .get("authorization")
            .is_some_and(|value| value == ACCOUNT);
        has_account
            && call
                .body
                .windows(17)
                .any(|bytes| bytes == b"3VWZX21C04M000001")
    })
}

/// A configuration file, as long as this lives.
struct File(PathBuf);

impl File {
    fn write(name: &str, text: &str) -> Self {
        let name = format!("vingate-secrecy-{name}-{}.toml", std::process::id());
        let path = std::env::temp_dir().join(name);
        fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
