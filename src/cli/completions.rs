//! `vingate completions`: what a shell needs to complete commands and options.

use std::process::ExitCode;

use clap_complete::{Shell, generate};

use super::{exit, print_bytes};

/// Prints the script for `shell` that completes `command`.
pub(super) fn run(shell: Shell, mut command: clap::Command) -> ExitCode {
    let (name, mut script) = (command.get_name().to_owned(), Vec::new());
    generate(shell, &mut command, name, &mut script);
    exit(print_bytes(&script))
}
