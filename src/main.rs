//! The vingate program: arguments to a subcommand, and its exit status.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Parser, Subcommand};
use vingate::cli;

/// The cheapest of those tried. Without transparent huge pages: they would make a gateway hold
/// half as much memory again, and save no time that could be measured.
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
    /// Runs the gateway.
    Serve(File),
    /// Says everything that is wrong with a configuration file.
    Check(File),
    /// Runs a gateway in front of a sandbox, with a token and lines to paste.
    Demo {
        /// Where the gateway listens.
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
        listen: SocketAddr,
    },
    /// Runs the documented Sync API in memory.
    Sandbox {
        /// Where it listens.
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8081")]
        listen: SocketAddr,
    },
    /// Signs a token with a configured HS256, HS384 or HS512 key.
    Token {
        #[command(flatten)]
        file: File,
        /// For whom: the claim `sub`.
        #[arg(long, value_name = "S")]
        subject: String,
        /// The claim `scope`, separated by blanks.
        #[arg(long, value_name = "A B")]
        scope: Option<String>,
        /// How long it is good.
        #[arg(long, value_name = "TIME", default_value = "1h", value_parser = humantime::parse_duration)]
        ttl: Duration,
    },
    /// Prints the JSON Schema of the configuration file, for editors.
    Schema,
}

#[derive(Args)]
struct File {
    /// The configuration file.
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
