//! `vingate check`: every problem of the configuration file at once.

use std::{
    env,
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use crate::config::Config;

/// Bad usage or bad configuration.
const REFUSED: u8 = 2;

/// Checks the file at `path` with the environment as it is: says on stdout what it would do, or
/// on stderr what is wrong, with exit status 2.
pub fn run(path: &Path) -> ExitCode {
    match Config::load(path, &|name| env::var_os(name)) {
        Ok(config) => {
            let written = writeln!(io::stdout(), "{}", summary(path, &config));
            written.map_or(ExitCode::FAILURE, |()| ExitCode::SUCCESS)
        }
        Err(problems) => {
            // Nobody is left to be told if that fails, and the status says it.
            let _ = writeln!(io::stderr(), "{problems}");
            ExitCode::from(REFUSED)
        }
    }
}

fn summary(path: &Path, config: &Config) -> String {
    let auth = &config.reloadable.auth;
    let callers = match auth.keys.len() {
        _ if !auth.enabled => "anyone, without a token".to_owned(),
        1 => "tokens of 1 key".to_owned(),
        keys => format!("tokens of {keys} keys"),
    };
    let credential = match auth.accounts.len() {
        0 => "the caller's own credential".to_owned(),
        1 => "1 account".to_owned(),
        accounts => format!("{accounts} accounts"),
    };
    let tls = match &config.restart_only.server.tls {
        Some(tls) => {
            let until = humantime::format_rfc3339_seconds(tls.expires_at());
            format!(" over TLS, with a certificate until {until}")
        }
        None => String::new(),
    };
    format!(
        "{}: fine\n  listen    {}{tls}\n  admin     {}\n  upstream  {} with {credential}\n  callers   {callers}",
        path.display(),
        config.restart_only.server.listen,
        config.restart_only.admin,
        auth.origin,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::tls::testing::{Authority, Folder};

    #[test]
    fn a_fine_file_is_summed_up() {
        for (text, want) in [
            ("auth.enabled = false", "the caller's own credential\n  callers   anyone"),
            ("auth = { enabled = false, open = true }", "credential\n  callers   anyone"),
        ] {
            let text = format!("upstream.url = \"https://sync.example\"\n{text}");
            let config = Config::parse(&text, Path::new("a.toml"), &|_| None).unwrap();
            let summary = summary(Path::new("a.toml"), &config);
            assert!(summary.starts_with("a.toml: fine\n"), "{summary}");
            assert!(summary.contains("https://sync.example with "), "{summary}");
            assert!(summary.contains(want), "{summary}");
        }
    }

    #[test]
    fn a_certificate_is_shown_with_its_end() {
        let folder = Folder::new();
        folder.write_pair(&Authority::new("authority").issue_until("vingate.example", 2100));
        let tls = "certificate = \"cert.pem\"\nkey = \"key.pem\"";
        let text = format!(
            "upstream.url = \"https://sync.example\"\nauth.enabled = false\n[server.tls]\n{tls}"
        );
        let path = folder.path().join("a.toml");
        let config = Config::parse(&text, &path, &|_| None).unwrap();
        let line =
            "  listen    0.0.0.0:8080 over TLS, with a certificate until 2100-01-01T00:00:00Z\n";
        let summary = summary(&path, &config);
        assert!(summary.contains(line), "{summary}");
    }

    #[test]
    fn a_file_that_is_not_there_is_bad_configuration() {
        assert_eq!(run(Path::new("/no/where.toml")), ExitCode::from(REFUSED));
    }
}
