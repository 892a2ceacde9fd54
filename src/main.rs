//! The vingate program.

use std::process::ExitCode;

/// The fastest of those tried. Transparent huge pages are off: they would cost half as much memory
/// again and save no measurable time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    vingate::cli::main()
}
