//! The subcommands.

mod arguments;
mod check;
mod demo;
mod documents;
mod explain;
mod purge;
mod remote;
mod sandbox;
mod serve;
mod show_status;
mod token;
mod warm;

use std::{
    error::Error,
    fmt::Display,
    io::{self, Write as _},
    process::{self, ExitCode},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::signal::unix::{SignalKind, signal};

use crate::config::Problems;

pub use self::arguments::main;

/// It was stopped before it had drained.
const FAILED: i32 = 1;

/// Bad usage or a bad configuration; nothing was bound.
const BAD_USAGE: u8 = 2;

/// What was asked for cannot be understood.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct BadUsage(String);

/// What comes of a subcommand: nothing but what it prints, or why it failed, for people.
type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// The exit status of a subcommand. Why it failed goes to standard error.
fn exit(outcome: Outcome) -> ExitCode {
    let Err(error) = outcome else { return ExitCode::SUCCESS };
    // If standard error cannot be written either, the status still tells.
    if let Some(problems) = error.downcast_ref::<Problems>() {
        let _ = writeln!(io::stderr(), "{problems}");
        ExitCode::from(BAD_USAGE)
    } else {
        report(&error);
        if error.is::<BadUsage>() { ExitCode::from(BAD_USAGE) } else { ExitCode::FAILURE }
    }
}

/// Says on standard error what went wrong.
fn report(text: impl Display) {
    let _ = writeln!(io::stderr(), "vingate: {text}");
}

/// Prints `text` to standard output, which may be closed or full, and flushes it.
fn print(text: impl Display) -> Outcome {
    print_bytes(format!("{text}\n").as_bytes())
}

fn print_bytes(bytes: &[u8]) -> Outcome {
    printed(io::stdout().write_all(bytes))
}

/// What came of printing to standard output, which is flushed.
fn printed(result: io::Result<()>) -> Outcome {
    result
        .and_then(|()| io::stdout().flush())
        .map_err(|error| format!("cannot write to standard output: {error}").into())
}

/// So many of what `one` is called.
fn counted(number: u64, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

/// Ends with SIGTERM or SIGINT; a second one ends the process at once. Made before an address is
/// printed: from then on, a signal must end the process in order.
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut next = async move || {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    Ok(async move {
        next().await;
        tokio::spawn(async move {
            next().await;
            process::exit(FAILED);
        });
    })
}

fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

fn env(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name)
}
