//! `vingate status`: the figures of the status page in a terminal.

use std::{
    fmt::Write as _,
    io::{IsTerminal as _, stdout},
    time::{Duration, UNIX_EPOCH},
};

use http::Method;
use serde_json::{Map, Value};
use tokio::time::sleep;

use super::{Outcome, print, remote::Remote, report, stop_signal};

/// How figures are shown.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form {
    /// Again and again.
    pub(super) watch: bool,
    /// As JSON, one line each time.
    pub(super) json: bool,
}

const EVERY: Duration = Duration::from_secs(2);

/// In seconds since 1970. Later times cannot be written (RFC 3339).
const YEAR_10000: f64 = 253_402_300_800.0;

/// Clears a terminal.
const CLEAR: &str = "\x1b[2J\x1b[H";

/// What is shown of the last minute: where it is, what it is called, in how many of which unit.
const LAST_MINUTE: [(&str, &str, f64, &str); 9] = [
    ("/requests_per_second", "requests", 1.0, " /s"),
    ("/vehicles_per_second", "vehicles", 1.0, " /s"),
    ("/vehicles_without_call", "vehicles answered without a call", 100.0, " %"),
    ("/calls_per_second", "calls to Sync", 1.0, " /s"),
    ("/batch_calls_spared_per_second", "batch calls spared, at least", 1.0, " /s"),
    ("/request_seconds/median", "time of a request, median", 1000.0, " ms"),
    ("/request_seconds/p99", "time of a request, 99 %", 1000.0, " ms"),
    ("/call_seconds/median", "time of a call to Sync, median", 1000.0, " ms"),
    ("/call_seconds/p99", "time of a call to Sync, 99 %", 1000.0, " ms"),
];

/// Prints the figures.
pub(super) async fn run(remote: &Remote, form: Form) -> Outcome {
    let stop = stop_signal()?;
    tokio::select! {
        shown = show(remote, form) => shown,
        () = stop => Ok(()),
    }
}

async fn show(remote: &Remote, form: Form) -> Outcome {
    loop {
        match remote.json(Method::GET, "/status", "").await {
            Ok(status) => {
                let text = if form.json { status.to_string() } else { table(&status) };
                let clears = form.watch && !form.json && stdout().is_terminal();
                print(format_args!("{}{text}", if clears { CLEAR } else { "" }))?;
            }
            // A gateway that restarts is there again soon.
            Err(error) if form.watch => report(error),
            Err(error) => return Err(error),
        }
        if !form.watch {
            return Ok(());
        }
        sleep(EVERY).await;
    }
}

/// Whether all is well, how it went lately, and each figure that is not zero.
fn table(status: &Value) -> String {
    let uptime = Duration::from_secs(status["uptime_seconds"].as_u64().unwrap_or_default());
    let text = |name: &str| status[name].as_str().unwrap_or_default();
    let (version, state) = (text("version"), text("state"));
    let uptime = humantime::format_duration(uptime);
    let mut text = format!("vingate {version}, running for {uptime}\n{state}");
    // Writing to a string does not fail.
    if let Some(seconds) = status["last_minute"]["seconds"].as_u64() {
        let _ = write!(text, "\n\nin the last {seconds} s");
        for (name, label, factor, unit) in LAST_MINUTE {
            let value = status["last_minute"].pointer(name).and_then(Value::as_f64);
            let value = value.map_or("–".to_owned(), |value| rounded(value * factor) + unit);
            let _ = write!(text, "\n  {label:<32} {value:>24}");
        }
        let _ = write!(text, "\n\nsince the start, or now");
    }
    let none = Map::new();
    let figures = status["figures"].as_object().unwrap_or(&none);
    for (name, value) in figures {
        let value = value.as_f64().unwrap_or_default();
        // Bounds of buckets are for charts.
        if value != 0.0 && !name.contains("_within.") {
            let label = name.replace(['.', '_'], " ");
            let _ = write!(text, "\n  {label:<32} {:>24}", shown(name, value));
        }
    }
    text
}

/// With as many digits as are of use.
fn rounded(value: f64) -> String {
    match value {
        100.0.. => format!("{value:.0}"),
        1.0.. => format!("{value:.1}"),
        _ => format!("{value:.2}"),
    }
}

/// A figure as people read it: memory in MiB, points in time in UTC.
fn shown(name: &str, value: f64) -> String {
    match name {
        "bytes" | "capacity" | "memory" => format!("{:.1} MiB", value / f64::from(1 << 20)),
        "certificate_until" | "keys_fetched" | "last_reload"
            if (0.0..YEAR_10000).contains(&value) =>
        {
            let at = UNIX_EPOCH + Duration::from_secs_f64(value);
            humantime::format_rfc3339_seconds(at).to_string()
        }
        _ if value.fract() == 0.0 => format!("{value}"),
        _ => format!("{value:.3}"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn shows_the_state_the_last_minute_and_what_is_not_zero() {
        let status = json!({
            "version": "1.2.3", "state": "not ready: jwks", "uptime_seconds": 90,
            "last_minute": {
                "seconds": 61, "requests_per_second": 2.0, "vehicles_without_call": 0.7512,
                "request_seconds": { "median": 0.000123, "p99": 0.2 },
            },
            "figures": {
                "requests.batch": 40.0, "breaker": 0.0, "call_seconds": 1.5, "bytes": 3145728,
                "last_reload": 1.0, "calls_within.0.5": 3,
            },
        });
        let lines = table(&status);
        let lines: Vec<_> = lines
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        let expected = [
            "vingate 1.2.3, running for 1m 30s",
            "not ready: jwks",
            "",
            "in the last 61 s",
            "requests 2.0 /s",
            "vehicles –",
            "vehicles answered without a call 75.1 %",
            "calls to Sync –",
            "batch calls spared, at least –",
            "time of a request, median 0.12 ms",
            "time of a request, 99 % 200 ms",
            "time of a call to Sync, median –",
            "time of a call to Sync, 99 % –",
            "",
            "since the start, or now",
            "bytes 3.0 MiB",
            "call seconds 1.500",
            "last reload 1970-01-01T00:00:01Z",
            "requests batch 40",
        ];
        assert_eq!(lines, expected);
    }
}
