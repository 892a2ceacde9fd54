//! The vingate program: arguments to a subcommand, and its exit status.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand};
use vingate::cli;

/// The fastest of those tried. Transparent huge pages are off: they would cost half as much memory
/// again and save no measurable time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A caching reverse proxy in front of the Sync vehicle API.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gateway.
    Serve(File),
    /// Check a configuration file and print all of its problems.
    Check(File),
    /// Run gateway and sandbox in one process; prints a token and commands to paste.
    Demo {
        /// Address that the gateway listens on.
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
        listen: SocketAddr,
    },
    /// Run the documented Sync API in memory.
    Sandbox {
        /// Address to listen on.
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8081")]
        listen: SocketAddr,
    },
    /// Sign a token with a configured HS256, HS384 or HS512 key.
    Token {
        #[command(flatten)]
        file: File,
        /// The `sub` claim.
        #[arg(long, value_name = "S")]
        subject: String,
        /// The `scope` claim: scopes, separated by spaces.
        #[arg(long, value_name = "A B")]
        scope: Option<String>,
        /// How long the token is valid.
        #[arg(long, value_name = "TIME", default_value = "1h", value_parser = humantime::parse_duration)]
        ttl: Duration,
    },
    /// Print the JSON Schema of the configuration file, for editors.
    Schema,
}

#[derive(Args)]
struct File {
    /// Configuration file.
    #[arg(
        long = "config",
        value_name = "FILE",
        env = "VINGATE_CONFIG",
        default_value = "config/vingate.toml"
    )]
    path: PathBuf,
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Serve(file) => cli::serve::run(&file.path),
        Command::Check(file) => cli::check::run(&file.path),
        Command::Demo { listen } => cli::demo::run(listen),
        Command::Sandbox { listen } => cli::sandbox::run(listen),
        Command::Token { file, subject, scope, ttl } => {
            cli::token::run(&file.path, &subject, scope.as_deref(), ttl)
        }
        Command::Schema => cli::schema::run(),
    }
}
