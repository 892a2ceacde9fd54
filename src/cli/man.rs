//! `vingate man`: the manual pages.

use std::{error::Error, process::ExitCode};

use clap_mangen::Man;

use super::{BadUsage, exit, print_bytes};

/// Prints the page of `program`, or of its subcommand of this name.
pub(super) fn run(name: Option<&str>, mut program: clap::Command) -> ExitCode {
    program.build();
    let found = match name {
        None => Some(&program),
        Some(name) => program.find_subcommand(name),
    };
    let command = found
        .cloned()
        .ok_or_else(|| BadUsage("there is no such command".into()).into());
    exit(command.and_then(page).and_then(|page| print_bytes(&page)))
}

fn page(command: clap::Command) -> Result<Vec<u8>, Box<dyn Error>> {
    let mut page = Vec::new();
    let source = concat!("vingate ", env!("CARGO_PKG_VERSION"));
    // Built, a subcommand calls itself "vingate-check", which is also the name of its page.
    Man::new(command).source(source).render(&mut page)?;
    Ok(page)
}
