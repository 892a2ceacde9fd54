//! `vingate check`: every problem of the configuration file at once.

use std::path::Path;

use super::{BadUsage, Outcome, counted, env, print};
use crate::config::{Config, describe};

/// Checks the file at `path` in the environment of the process. Prints what it would do to
/// standard output, or its problems to standard error.
pub(super) fn run(path: &Path) -> Outcome {
    print(summary(path, &Config::load(path, &env)?))
}

/// Prints what is to be known of `key`, and its value in the file at `path` if that is in order: of a
/// key in a list of tables, its value in each.
pub(super) fn explain(path: &Path, key: &str) -> Outcome {
    let mut text = describe(key).map_err(BadUsage)?;
    if let Ok(config) = Config::load(path, &env) {
        let values = config.effective.values(key);
        let values: Vec<_> = values.into_iter().map(ToString::to_string).collect();
        if !values.is_empty() {
            text += &format!("\n  in {}: {}", path.display(), values.join(", "));
        }
    }
    print(text)
}

fn summary(path: &Path, config: &Config) -> String {
    let auth = &config.reloadable.auth;
    let keys = counted(auth.keys.len() as u64, "key");
    let clients = match (&config.restart_only.jwks, auth.keys.is_empty()) {
        _ if !auth.enabled => "anyone, without a token".to_owned(),
        (None, _) => format!("tokens of {keys}"),
        (Some(_), true) => "tokens of published keys".to_owned(),
        (Some(_), false) => format!("tokens of published keys and of {keys}"),
    };
    let credential = match auth.accounts.len() {
        0 => "each client's own credential".to_owned(),
        accounts => counted(accounts as u64, "account"),
    };
    let tls = match &config.restart_only.server.tls {
        Some(tls) => {
            let until = humantime::format_rfc3339_seconds(tls.expires_at());
            format!(" over TLS, with a certificate until {until}")
        }
        None => String::new(),
    };
    format!(
        "{}: ok\n  listen    {}{tls}\n  admin     {}\n  upstream  {} with {credential}\n  clients   {clients}",
        path.display(),
        config.restart_only.server.listen,
        config.restart_only.admin,
        auth.origin,
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{BAD_USAGE, exit};
    use crate::server::tls::testing::{Authority, Folder};

    #[test]
    fn a_valid_file_is_summed_up() {
        for (text, want) in [
            ("auth.enabled = false", "each client's own credential\n  clients   anyone"),
            ("auth = { enabled = false, open = true }", "credential\n  clients   anyone"),
            (
                "auth = { jwks_url = \"https://login.example/jwks\", issuer = \"a\", audience = [\"b\"] }",
                "tokens of published keys",
            ),
        ] {
            let text = format!("upstream.url = \"https://sync.example\"\n{text}");
            let config = Config::parse(&text, Path::new("a.toml"), &|_| None).unwrap();
            let summary = summary(Path::new("a.toml"), &config);
            assert!(summary.starts_with("a.toml: ok\n"), "{summary}");
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
            "upstream.url = \"http://sync.example\"\nauth.enabled = false\n[server.tls]\n{tls}"
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
        assert_eq!(exit(run(Path::new("/no/where.toml"))), BAD_USAGE.into());
    }
}
