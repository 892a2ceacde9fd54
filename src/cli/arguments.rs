//! The command line: every subcommand, its options and what `--help` says of them.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, CommandFactory as _, Parser, Subcommand};

use super::{check, completions, demo, man, sandbox, schema, serve, token};

/// A caching reverse proxy in front of the Sync vehicle API.
#[derive(Parser)]
#[command(
    name = "vingate",
    version,
    after_help = "\
Examples:
  vingate demo                            try it, without anything else
  vingate check --config vingate.toml     list every problem of a configuration
  vingate serve --config vingate.toml     run the gateway

Exit status: 0 success; 1 failed while running; 2 bad usage or bad configuration."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gateway.
    ///
    /// SIGTERM and SIGINT drain it, a second one ends it at once. SIGHUP reads the file again, as
    /// does a change of the file.
    #[command(after_help = "\
Example:
  vingate serve --config /etc/vingate/vingate.toml")]
    Serve(File),
    /// Check a configuration file and print all of its problems.
    #[command(after_help = "\
Example:
  vingate check --config vingate.toml")]
    Check(File),
    /// Run gateway and sandbox in one process; prints a token and commands to paste.
    #[command(after_help = "\
Example:
  vingate demo --listen 127.0.0.1:8000")]
    Demo {
        /// Address that the gateway listens on.
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
        listen: SocketAddr,
    },
    /// Run the documented Sync API in memory.
    #[command(after_help = "\
Example:
  vingate sandbox --listen 127.0.0.1:8001")]
    Sandbox {
        /// Address to listen on.
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8081")]
        listen: SocketAddr,
    },
    /// Sign a token with a configured HS256, HS384 or HS512 key.
    #[command(after_help = "\
Example:
  TOKEN=$(vingate token --config vingate.toml --subject billing --scope \"vehicles:read\")")]
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
    #[command(after_help = "\
Example:
  vingate schema > vingate.schema.json")]
    Schema,
    /// Print a script that completes commands and options in a shell.
    #[command(after_help = "\
Examples:
  vingate completions bash > /etc/bash_completion.d/vingate
  vingate completions fish > ~/.config/fish/completions/vingate.fish")]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page of vingate, or of one of its commands.
    #[command(after_help = "\
Examples:
  vingate man | man -l -
  vingate man check > /usr/local/share/man/man1/vingate-check.1")]
    Man {
        /// The command.
        command: Option<String>,
    },
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

/// Runs the subcommand that the arguments of the process name. What cannot be understood ends it
/// with status 2.
pub fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Serve(file) => serve::run(&file.path),
        Command::Check(file) => check::run(&file.path),
        Command::Demo { listen } => demo::run(listen),
        Command::Sandbox { listen } => sandbox::run(listen),
        Command::Token { file, subject, scope, ttl } => {
            token::run(&file.path, &subject, scope.as_deref(), ttl)
        }
        Command::Schema => schema::run(),
        Command::Completions { shell } => completions::run(shell, Arguments::command()),
        Command::Man { command } => man::run(command.as_deref(), Arguments::command()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example_that_it_understands() {
        for command in Arguments::command().get_subcommands() {
            let name = command.get_name();
            let help = command.get_after_help().map(ToString::to_string);
            let help = help.unwrap_or_else(|| panic!("{name} shows no example"));
            let example = format!("vingate {name}");
            assert!(help.contains(&example), "{name}: {help}");
        }
    }
}
