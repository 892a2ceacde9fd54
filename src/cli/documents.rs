//! `vingate completions` and `vingate man`: what follows from the command line itself.

use clap::Command;
use clap_complete::{Shell, generate};
use clap_mangen::Man;

use super::{BadUsage, Outcome, print_bytes};

/// Prints the script for `shell` that completes `program`.
pub(super) fn completions(shell: Shell, mut program: Command) -> Outcome {
    let (name, mut script) = (program.get_name().to_owned(), Vec::new());
    generate(shell, &mut program, name, &mut script);
    print_bytes(&script)
}

/// Prints the page of `program`, or of its subcommand of this name.
pub(super) fn man(name: Option<&str>, mut program: Command) -> Outcome {
    program.build();
    let command = match name {
        None => Some(&program),
        Some(name) => program.find_subcommand(name),
    };
    let command = command.ok_or_else(|| BadUsage("there is no such command".into()))?;
    let (mut page, source) = (Vec::new(), concat!("vingate ", env!("CARGO_PKG_VERSION")));
    // Built, a subcommand calls itself "vingate-check", which is also the name of its page.
    Man::new(command.clone()).source(source).render(&mut page)?;
    print_bytes(&page)
}
