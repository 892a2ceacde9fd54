//! That every test's log lines are searched, and that what shows in one is found.

use std::{
    env,
    process::{Command, Output},
};

use http::Request;
use tracing::trace;

use crate::support::{
    BATCH, Gateway,
    watch::{self, Watch},
};

/// Set in the process that leaks.
const LEAK: &str = "VINGATE_LEAK";

/// Runs the test of this name in a process of its own, where it is to leak `what`.
fn leak(test: &str, what: &str) -> Output {
    Command::new(env::current_exe().unwrap())
        .args(["--exact", &format!("watched::{test}")])
        .env(LEAK, what)
        .output()
        .unwrap()
}

#[track_caller]
fn assert_found(child: &Output, what: &str) {
    let written = String::from_utf8_lossy(&child.stderr);
    assert!(!child.status.success(), "it went on: {written}");
    assert!(written.contains(&format!("a log line shows {what}: ")), "{written}");
}

/// What every refused request's lines say is the secret here: so the lines of the gateways in
/// this process are written, at the finest level, and searched.
#[tokio::test]
async fn a_line_of_a_gateway_that_shows_a_secret_ends_the_tests() {
    let lines = ["request ended", "request refused"];
    if let Ok(line) = env::var(LEAK) {
        let gateway = Gateway::start("").await;
        watch::secret(&line);
        gateway.send_bare(Request::get(BATCH), "").await;
        return;
    }
    for line in lines {
        let child = leak("a_line_of_a_gateway_that_shows_a_secret_ends_the_tests", line);
        assert_found(&child, "a credential");
        assert!(String::from_utf8_lossy(&child.stderr).contains(line));
    }
}

#[tokio::test]
async fn a_vehicle_in_a_line_at_trace_level_ends_the_tests() {
    if let Ok(plate) = env::var(LEAK) {
        let gateway = Gateway::start("").await;
        gateway.batch(&[("3VWFE21C04M000001", &plate)]).await;
        trace!(target: "vingate", plate, "a leak");
        return;
    }
    let child = leak("a_vehicle_in_a_line_at_trace_level_ends_the_tests", "mff-95 6m");
    assert_found(&child, "a vehicle");
}

#[test]
fn finds_what_was_sent_in_every_spelling() {
    let mut watch = Watch::default();
    watch.note(
        "GET /api/v2/vehicles/1hg%2Dwv82633a004352/status?plate=qzx+77-41 HTTP/1.1\r\n\
         Cookie: session=Kx93vWqLmZ; a=b\r\nAUTHORIZATION: Bearer aGVhZGVy.Y2xhaW1z.c2lnbmVk\r\n\r\n\
         {\"vin\":\"wvw zzz-1jz 3w386752\", \"plate\" : \"\\uff3aUW_991k\"} {\"plate\":\"A1\"} {\"plate\":\"9184E\"}",
    );
    watch.note_credential(" Zq7wXv2kPy");
    for (line, found) in [
        ("account=Zq7wXv2kPy", Some("a credential")),
        ("akx Kx93vWqLmZx", Some("a credential")),
        ("signed with c2lnbmVk.", Some("a token")),
        ("anybody's eyJhbGciOiJub25lIn0", Some("a token")),
        ("anybody's 3vwzx21c04m000009", Some("a vehicle")),
        ("path=/x/1HG-WV82633A004352/y", Some("a vehicle")),
        ("path=/x/1HG%2DWV826%2033A004352?", Some("a vehicle")),
        (r#"{"message":"no WVWZZZ1JZ3W386752 there"}"#, Some("a vehicle")),
        ("the １ＨＧwv82633a0\u{200b}04352", Some("a vehicle")),
        (r#"{"of":"qzx7741"}"#, Some("a vehicle")),
        ("of QZX 77 41 and others", Some("a vehicle")),
        ("plate=ZUW991K", Some("a vehicle")),
        ("aQZX7741", None),
        (r#"{"seconds":8.9184e-5}"#, None),
        (r#"{"plate":"9184e"}"#, Some("a vehicle")),
        ("A1 a=b", None),
        ("0198f3c2-12ab-7cde-89ab-0123456789ab 2026-11-22T03:20:00.123456Z", None),
        ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", None),
    ] {
        assert_eq!(watch.find(line), found, "{line}");
    }
}
