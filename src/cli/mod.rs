//! The subcommands, one a file.

pub mod check;
pub mod demo;
pub mod sandbox;
pub mod schema;
pub mod serve;
pub mod token;

use std::{
    io,
    process::{self, ExitCode},
};

use tokio::signal::unix::{SignalKind, signal};

use crate::config::Problems;

/// It failed while it ran, or was stopped before it had drained.
const FAILED: i32 = 1;

/// What was asked for cannot be done: bad usage or a bad configuration. Nothing was bound.
const BAD_USAGE: u8 = 2;

/// Ends with SIGTERM or SIGINT; a second one ends the process at once. Made before anything is
/// announced: once an address is printed, a signal must end the process in order.
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

fn refuse(problems: &Problems) -> ExitCode {
    eprintln!("{problems}");
    ExitCode::from(BAD_USAGE)
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("vingate: {error}");
    ExitCode::FAILURE
}

/// The environment of the process.
fn env(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name)
}
