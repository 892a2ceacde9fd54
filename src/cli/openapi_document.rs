//! `vingate openapi`: the description of what clients can ask for.

use std::process::ExitCode;

use super::{exit, print};
use crate::gateway::OPENAPI;

/// Prints the document.
pub(super) fn run() -> ExitCode {
    exit(print(OPENAPI.trim_end()))
}
