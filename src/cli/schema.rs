//! `vingate schema`: the JSON Schema of the configuration file, for editors.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use crate::config;

/// Prints the schema.
pub fn run() -> ExitCode {
    // A reader that has had enough closes the pipe: no reason to panic.
    match writeln!(io::stdout(), "{:#}", config::schema()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}
