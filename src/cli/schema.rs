//! `vingate schema`: the JSON Schema of the configuration file, for editors.

use std::process::ExitCode;

use super::{exit, print};
use crate::config;

/// Prints the schema.
pub(super) fn run() -> ExitCode {
    exit(print(format_args!("{:#}", config::schema())))
}
