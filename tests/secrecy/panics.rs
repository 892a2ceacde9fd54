//! Panics: nothing that is sent provokes one, as far as anybody knows, so here is one of our own.

use std::{env::current_exe, panic::catch_unwind, process::Command};

use vingate::telemetry::{self, Format};

use crate::secrets::{Secrets, TYPED};

#[test]
fn a_panic_tells_where_it_was_and_not_why() {
    let child = Command::new(current_exe().unwrap())
        .args(["--ignored", "--exact", "panics::panics_over_a_vehicle", "--nocapture"])
        .output()
        .unwrap();
    assert!(child.status.success());
    let written = [child.stdout, child.stderr].concat();
    let written = String::from_utf8_lossy(&written);
    assert!(written.contains("task panicked") && written.contains("panics.rs:"), "{written}");
    assert!(Secrets::all([]).found_in(&written).is_empty(), "{written}");
}

#[test]
#[ignore = "the test above runs it, in a process of its own"]
fn panics_over_a_vehicle() {
    let level = tracing::Level::TRACE;
    let _log = telemetry::init(Format::Text, level).unwrap();
    assert!(catch_unwind(|| panic!("no such vehicle: {}", TYPED[0].0)).is_err());
}
