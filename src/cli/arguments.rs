//! The command line: every subcommand, its options and what `--help` says of them.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, CommandFactory as _, Parser, Subcommand, builder::NonEmptyStringValueParser};
use http::Uri;

use super::{
    Outcome, check, demo, documents, exit,
    explain::{self, Subject},
    print, printed,
    purge::{self, Filter},
    remote::{self, Remote},
    sandbox,
    serve::{self, block_on},
    show_status::{self, Form},
    token,
    warm::{self, Pace},
};
use crate::{config, gateway::OPENAPI, shared_tier::ServerUrl};

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
Examples:
  vingate check --config vingate.toml
  vingate check --explain cache.ttl.finished")]
    Check {
        #[command(flatten)]
        file: File,
        /// Say what this key is for instead, and what it is in the file.
        #[arg(long, value_name = "KEY")]
        explain: Option<String>,
    },
    /// Run gateway and sandbox in one process; prints a token and commands to paste.
    #[command(after_help = "\
Examples:
  vingate demo --listen 127.0.0.1:8000
  vingate demo --replicas 2 --redis redis://127.0.0.1:6379")]
    Demo {
        /// Address that the gateway listens on; further replicas take free ports of the loopback. The
        /// page is on port 9090, or on a free one if that is taken.
        #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
        listen: SocketAddr,
        /// So many gateways in front of one sandbox. More than one share a Redis.
        #[arg(long, value_name = "N", default_value = "1", requires = "redis")]
        #[arg(value_parser = clap::value_parser!(u8).range(1..=8))]
        replicas: u8,
        /// The Redis that they share: redis://HOST:PORT, or rediss:// for TLS.
        #[arg(long, value_name = "URL")]
        redis: Option<ServerUrl>,
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
        #[arg(long, value_name = "S", value_parser = NonEmptyStringValueParser::new())]
        subject: String,
        /// The `scope` claim: scopes, separated by spaces.
        #[arg(long, value_name = "A B")]
        scope: Option<String>,
        /// How long the token is valid: a second or longer.
        #[arg(long, value_name = "TIME", default_value = "1h", value_parser = lifetime)]
        ttl: Duration,
    },
    /// Print the JSON Schema of the configuration file, for editors.
    #[command(after_help = "\
Example:
  vingate schema > vingate.schema.json")]
    Schema,
    /// Print the OpenAPI 3.1 document of what clients can ask for.
    #[command(
        name = "openapi",
        after_help = "\
Example:
  vingate openapi > openapi.json"
    )]
    OpenApi,
    /// Print the figures of a running gateway: what its status page shows.
    ///
    /// Whether all is well, rates of the last minute, and each figure that is not zero: counts since
    /// the start, or what is so now. Figures are named after metrics: "vehicles hit" are those of
    /// vingate_cache_vehicles_total with the outcome hit.
    #[command(after_help = "\
Examples:
  vingate status
  vingate status --watch
  vingate status --json | jq .figures.entries")]
    Status {
        #[command(flatten)]
        admin: Admin,
        /// Print them again every two seconds, until you end it. If the gateway does not respond, say so
        /// and go on.
        #[arg(long)]
        watch: bool,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Say why a running gateway serves a vehicle as it does.
    ///
    /// For each account: whether the vehicle is held, since when and until when it is fresh, and
    /// what dropped it last. Its results are not shown.
    #[command(after_help = "\
Example:
  vingate explain --vin 3VWFE21C04M000001 --plate MFF956M")]
    Explain {
        #[command(flatten)]
        admin: Admin,
        #[command(flatten)]
        subject: Subject,
    },
    /// Drop what a running gateway holds of a vehicle, a plate, an account, or everything.
    ///
    /// What is dropped is fetched again when it is asked for. Entries have to match every option.
    #[command(after_help = "\
Examples:
  vingate purge --vin 3VWFE21C04M000001
  vingate purge --account fleet --plate MFF956M
  vingate purge --all --admin http://10.0.0.7:9090")]
    Purge {
        #[command(flatten)]
        admin: Admin,
        #[command(flatten)]
        filter: Filter,
    },
    /// Ask a running gateway for all vehicles of a CSV, so that its cache holds them.
    ///
    /// Lines are `vin,plate`, in any spelling; a first line may say which columns are `vin` and
    /// `plate`. A comma, semicolon or tab separates them: whichever the first line has. What the
    /// gateway holds already costs no call to Sync. Ends with status 1 if a line was left out, or a
    /// vehicle was not asked for, could not be had, or stays stale because Sync fails.
    #[command(after_help = "\
Examples:
  vingate warm fleet.csv
  cut -d, -f2,3 export.csv | vingate warm --rate 500 -
  VINGATE_TOKEN=$(cat token) vingate warm --url https://vingate.internal fleet.csv
  VINGATE_HEADERS=\"X-API-Key: $(cat key)\" vingate warm fleet.csv")]
    Warm {
        /// Gateway. $VINGATE_TOKEN is the token, if it asks for one. $VINGATE_HEADERS has further
        /// headers, a line each: where credentials are passed through to Sync, those of the client
        /// whose cache is to hold the vehicles.
        #[arg(
            long,
            value_name = "URL",
            default_value = remote::GATEWAY,
            value_parser = remote::url
        )]
        url: Uri,
        /// Vehicles of a request.
        #[arg(long, value_name = "N", default_value = "500", value_parser = count::<10_000>)]
        batch: usize,
        /// Requests at once.
        #[arg(long, value_name = "N", default_value = "2", value_parser = count::<64>)]
        parallel: usize,
        /// Vehicles a second at most.
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        rate: Option<u32>,
        /// CSV with VINs and plates; `-`: standard input.
        file: PathBuf,
    },
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

#[derive(Args)]
struct Admin {
    /// Admin listener of the gateway. It has no TLS: reach it on its machine, over a network that
    /// you trust, or through a tunnel or proxy of your own. $VINGATE_ADMIN_TOKEN is its token, if it
    /// has one.
    #[arg(
        long = "admin",
        value_name = "URL",
        default_value = remote::ADMIN,
        value_parser = remote::url
    )]
    url: Uri,
}

/// Runs the subcommand that the arguments of the process name. What cannot be understood ends it
/// with status 2.
pub fn main() -> ExitCode {
    exit(match Arguments::try_parse() {
        Ok(arguments) => run(arguments.command),
        // What is asked for may be the help.
        Err(error) if error.use_stderr() => error.exit(),
        Err(error) => printed(error.print()),
    })
}

fn run(command: Command) -> Outcome {
    match command {
        Command::Serve(file) => serve::run(&file.path),
        Command::Check { file, explain: None } => check::run(&file.path),
        Command::Check { file, explain: Some(key) } => check::explain(&file.path, &key),
        Command::Demo { listen, replicas, redis } => {
            block_on(None, demo::run(listen, replicas, redis.as_ref()))
        }
        Command::Sandbox { listen } => block_on(None, sandbox::run(listen)),
        Command::Token { file, subject, scope, ttl } => {
            token::run(&file.path, &subject, scope.as_deref(), ttl)
        }
        Command::Schema => print(format_args!("{:#}", config::schema())),
        Command::OpenApi => print(OPENAPI.trim_end()),
        Command::Status { admin, watch, json } => {
            block_on(None, show_status::run(&admin.remote()?, Form { watch, json }))
        }
        Command::Explain { admin, subject } => {
            block_on(None, explain::run(&admin.remote()?, &subject))
        }
        Command::Purge { admin, filter } => block_on(None, purge::run(&admin.remote()?, &filter)),
        Command::Warm { url, batch, parallel, rate, file } => {
            let remote = Remote::new(&url, "VINGATE_TOKEN")?.with_headers("VINGATE_HEADERS")?;
            block_on(None, warm::run(&remote, &file, Pace { batch, parallel, rate }))
        }
        Command::Completions { shell } => documents::completions(shell, Arguments::command()),
        Command::Man { command } => documents::man(command.as_deref(), Arguments::command()),
    }
}

/// Of a token, whose times are whole seconds.
fn lifetime(text: &str) -> Result<Duration, String> {
    let lifetime = humantime::parse_duration(text).map_err(|error| error.to_string())?;
    if lifetime < Duration::from_secs(1) {
        return Err("expected one second or more".into());
    }
    Ok(lifetime)
}

/// A number from 1 to `MAX`.
fn count<const MAX: usize>(text: &str) -> Result<usize, String> {
    let number = text
        .parse()
        .ok()
        .filter(|number| (1..=MAX).contains(number));
    number.ok_or_else(|| format!("expected a number from 1 to {MAX}"))
}

impl Admin {
    fn remote(&self) -> Outcome<Remote> {
        Remote::new(&self.url, "VINGATE_ADMIN_TOKEN")
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
    fn a_token_needs_a_subject_and_a_life() {
        for (subject, ttl, named) in [
            ("", "1h", Some("--subject <S>")),
            ("a", "0s", Some("--ttl <TIME>")),
            ("a", "999ms", Some("one second or more")),
            ("a", "1s", None),
        ] {
            let parsed =
                Arguments::try_parse_from(["vingate", "token", "--subject", subject, "--ttl", ttl]);
            let error = parsed.err().map(|error| error.to_string());
            let is_named = |error: &String| named.is_some_and(|named| error.contains(named));
            assert_eq!(error.is_some(), named.is_some(), "{error:?}");
            assert!(error.iter().all(is_named), "{error:?}");
        }
    }

    #[test]
    fn no_example_asks_the_admin_listener_over_tls() {
        for command in Arguments::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string);
            assert!(!help.unwrap_or_default().contains("--admin https"), "{}", command.get_name());
        }
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
