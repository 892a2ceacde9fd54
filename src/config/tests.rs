use std::{ffi::OsString, num::NonZeroUsize, path::Path};

use super::*;

fn env(name: &str) -> Option<OsString> {
    match name {
        "TOKEN" => Some("Bearer hunter2".into()),
        "WORD" => Some("hunter2".into()),
        "LONG" => Some("hunter2-hunter2-hunter2-hunter2-hunter2".into()),
        "LINES" => Some("hunter2\nhunter3".into()),
        _ => None,
    }
}

pub(super) fn parse(text: &str) -> Result<Config, Problems> {
    Config::parse(text, Path::new("etc/vingate.toml"), &env)
}

/// The problems, without the name of the file.
pub(super) fn problems(text: &str) -> Vec<String> {
    let Err(problems) = parse(text) else { return Vec::new() };
    let lines = problems.to_string();
    lines
        .lines()
        .map(|line| line.replacen("etc/vingate.toml:", "", 1))
        .collect()
}

/// A file without a problem, and with `more`.
pub(super) fn with(more: &str) -> String {
    format!("upstream.url = \"http://sync.example\"\nauth.enabled = false\n{more}\n")
}

/// Checks a table of (text after two fine lines, problems).
#[track_caller]
pub(super) fn refused(table: &[(&str, &[&str])]) {
    for (more, want) in table {
        assert_eq!(problems(&with(more)), *want, "{more}");
    }
}

#[test]
fn fills_in_what_is_not_there() {
    let config = parse(&with("")).unwrap();
    assert_eq!(config.restart_only.workers, None);
    assert_eq!(config.restart_only.server.listen.to_string(), "0.0.0.0:8080");
    assert_eq!(config.restart_only.server.max_head, 32 * 1024);
    assert_eq!(config.restart_only.admin.to_string(), "127.0.0.1:9090");
    assert_eq!(config.restart_only.upstream.origin.authority, "sync.example");
    assert_eq!(config.restart_only.upstream.attempt_timeout.as_secs(), 20);
    assert_eq!(config.reloadable.auth.origin, "http://sync.example");
    assert_eq!(config.reloadable.auth.credential_headers, ["x-api-key"]);
    assert_eq!(config.reloadable.batch.loader.chunk, 500);
    assert_eq!(config.reloadable.batch.loader.max_response, 64 << 20);
    assert_eq!(config.restart_only.cache.capacity, 512 << 20);
    assert_eq!(config.reloadable.lifetimes.ttl.finished.as_secs(), 900);
    assert_eq!(config.reloadable.limit.request_timeout.as_secs(), 60);
    assert!(config.reloadable.limit.rate.is_none());
    assert_eq!(config.reloadable.telemetry.level, tracing::Level::INFO);
}

#[test]
fn gives_every_module_its_part() {
    let config = parse(&with(concat!(
        "server.workers = 3\n",
        "server.trusted_proxies = [\"10.0.0.0/8\", \"fd00::/8\"]\n",
        "server.body_idle_timeout = \"7s\"\n",
        "server.listen = \"127.0.0.1:0\"\n",
        "admin = { listen = \"[::]:0\", token = { env = \"LONG\" }, hosts = [\"gate\"] }\n",
        "auth.scope = { read = \"r\", write = \"w\" }\n",
        "limit.rate.burst = 5\n",
        "limit.max_body = \"1KB\"\n",
        "cache.ttl.absent = \"0s\"\n",
        "log = { level = \"trace\", format = \"text\", access = \"off\" }\n",
        "[[account]]\n",
        "name = \"a\"\nheader = \"X-Key\"\nvalue = { env = \"TOKEN\" }\nsubjects = [\"*\"]\n",
    )))
    .unwrap();
    assert_eq!(config.restart_only.workers.map(NonZeroUsize::get), Some(3));
    assert_eq!(config.reloadable.gateway.trusted_proxies.len(), 2);
    assert_eq!(config.reloadable.forward.body_idle_timeout.as_secs(), 7);
    assert_eq!(config.reloadable.batch.body_idle_timeout.as_secs(), 7);
    assert_eq!(config.reloadable.forward.max_body, 1_000);
    assert_eq!(config.reloadable.batch.max_body, 1_000);
    let rate = config.reloadable.limit.rate.unwrap();
    assert_eq!((rate.requests_per_second.get(), rate.burst.get()), (50, 5));
    assert!(config.reloadable.lifetimes.ttl.absent.is_zero());
    assert_eq!(config.reloadable.admin.hosts, ["gate"]);
    assert!(config.reloadable.auth.tokens.scopes.is_some());
    assert_eq!(config.reloadable.auth.accounts[0].value, "Bearer hunter2");
    assert!(config.reloadable.auth.accounts[0].value.is_sensitive());
    // Its field carries a credential, so it belongs to every credential.
    let credential = config.reloadable.auth.credential_fields();
    assert_eq!(credential.names(), ["authorization", "cookie", "x-api-key", "x-key"]);
}

#[test]
fn tells_all_problems_at_once_each_with_its_line() {
    let text = concat!(
        "[server]\n",
        "listen = \"everywhere\"\n",
        "workers = -1\n",
        "max_head = \"1KiB\"\n",
        "[upstream]\n",
        "attempt_timeout = \"15 parsecs\"\n",
        "[cache]\n",
        "capacty = \"1GiB\"\n",
        "ttl.finished = 15\n",
        "[batch]\n",
        "chunk = 501\n",
        "[[account]]\n",
        "name = \"a\"\n",
        "[[account]]\n",
        "name = \"a\"\n",
        "value = { env = \"UNSET\" }\n",
        "subjects = [\"x\", 5]\n",
        "[log]\n",
        "level = \"loud\"\n",
        "[retry]\n",
    );
    assert_eq!(
        problems(text),
        [
            r#" auth.key: found none, expected at least one key to verify tokens with"#,
            r#"2: server.listen: found "everywhere", expected an address and a port, such as "0.0.0.0:8080""#,
            r#"3: server.workers: found -1, expected a whole number from 0 to 1024"#,
            r#"4: server.max_head: found "1KiB", expected a size from "8KiB" to "1MiB""#,
            r#"5: upstream.url: found nothing, expected scheme, host and optionally a port, such as "https://api-sync-resser.azurewebsites.net""#,
            r#"6: upstream.attempt_timeout: found "15 parsecs", expected a duration from "1ms" to "1h""#,
            r#"8: cache.capacty: unknown key, did you mean "cache.capacity"?"#,
            r#"9: cache.ttl.finished: found an integer, expected a duration from "0s" to "30days""#,
            r#"11: batch.chunk: found 501, expected a whole number from 1 to 500"#,
            r#"12: account[0].value: found nothing, expected { env = "NAME" } or { file = "PATH" }"#,
            r#"12: account[0].subjects: found none, expected the subjects that use the account, or "*" for all others"#,
            r#"15: account[1].name: found "a", already used by account[0].name, expected a different name for each account"#,
            r#"16: account[1].value: found no environment variable UNSET, expected a secret"#,
            r#"17: account[1].subjects[1]: found an integer, expected a string that is not blank, such as "billing""#,
            r#"19: log.level: found "loud", expected one of "error", "warn", "info", "debug", "trace""#,
            r#"20: retry: unknown key, did you mean "upstream.retry"?"#,
        ]
    );
}

#[test]
fn knows_the_places_of_elements_after_others_were_wrong() {
    refused(&[
        (
            "server.trusted_proxies = [\n1,\n\"10.0.0.0/8\",\n\"x\",\ntrue]",
            &[
                "4: server.trusted_proxies[0]: found an integer, expected a CIDR, such as \"10.0.0.0/8\"",
                "6: server.trusted_proxies[2]: found \"x\", expected a CIDR, such as \"10.0.0.0/8\"",
                "7: server.trusted_proxies[3]: found a boolean, expected a CIDR, such as \"10.0.0.0/8\"",
            ],
        ),
        (
            "account = [\n5,\n{ name = \"a\", subjects = [\"*\"] }]\nserver.listen = \"127.0.0.1:1\"",
            &[
                "4: account[0]: found an integer, expected a table",
                "5: account[1].value: found nothing, expected { env = \"NAME\" } or { file = \"PATH\" }",
            ],
        ),
    ]);
}

#[test]
fn tables_are_tables() {
    refused(&[
        ("server = []", &["3: server: found an array, expected a table"]),
        ("[[server]]", &["3: server: found an array, expected a table"]),
        ("cache = true", &["3: cache: found a boolean, expected a table"]),
        ("[account]\nname = \"a\"", &["3: account: found a table, expected an array"]),
    ]);
}

#[test]
fn a_value_that_is_not_toml_hides_no_other_problem() {
    refused(&[
        (
            "batch.chunk = 0\ncache.capacity = 1GiB\nserver.drain_delay =\nserver.listen = 0.0.0.0:80",
            &[
                "3: batch.chunk: found 0, expected a whole number from 1 to 500",
                "4:18: cache.capacity: invalid TOML: expected a number, true, false or a string in quotes",
                "5:21: server.drain_delay: invalid TOML: expected a number, true, false or a string in quotes",
                "6:20: server.listen: invalid TOML: expected a number, true, false or a string in quotes",
            ],
        ),
        (
            "server.trusted_proxies = [\n10.0.0.0/8,\n\"10.0.0.0/8\",\nten,\ntrue]",
            &[
                "4:5: server.trusted_proxies[0]: invalid TOML: expected a number, true, false or a string in quotes",
                "6:1: server.trusted_proxies[2]: invalid TOML: expected a number, true, false or a string in quotes",
                "7: server.trusted_proxies[3]: found a boolean, expected a CIDR, such as \"10.0.0.0/8\"",
            ],
        ),
        (
            "server = { listen = everywhere, workers = all }",
            &[
                "3:21: server.listen: invalid TOML: expected a number, true, false or a string in quotes",
                "3:43: server.workers: invalid TOML: expected a number, true, false or a string in quotes",
            ],
        ),
        (
            "[batch]\nchunk = 1\n[batch]\nchunk = 0\nmax_parallel = 0",
            &[
                "5:2: invalid TOML: duplicate key",
                "6:1: invalid TOML: duplicate key",
                "7: batch.max_parallel: found 0, expected a whole number from 1 to 1000",
            ],
        ),
    ]);
}

#[test]
fn of_a_malformed_text_only_the_syntax_errors_are_told() {
    for (text, want) in [
        ("[server\nlisten = 5\n", vec!["1:8: invalid TOML: unclosed table, expected `]`"]),
        (
            "listen: 5",
            vec!["1:7: invalid TOML: invalid unquoted key, expected letters, numbers, `-`, `_`"],
        ),
    ] {
        assert_eq!(problems(text), want, "{text}");
    }
}

#[test]
fn keeps_limits_where_they_make_sense() {
    refused(&[
        ("server.workers = 0\nserver.drain_delay = \"0s\"", &[]),
        (
            "limit.max_in_flight = 0\nlimit.max_body = \"0B\"\ncache.ttl.jitter = 1",
            &[
                "3: limit.max_in_flight: found 0, expected a whole number from 1 to 1000000",
                "4: limit.max_body: found \"0B\", expected a size from \"1B\" to \"1GiB\"",
                "5: cache.ttl.jitter: found 1, expected a number below 1",
            ],
        ),
        (
            "server.header_timeout = \"0s\"\ncache.ttl.jitter = -0.5",
            &[
                "3: server.header_timeout: found \"0s\", expected a duration from \"1ms\" to \"1h\"",
                "4: cache.ttl.jitter: found -0.5, expected a number from 0 to 1",
            ],
        ),
    ]);
}

#[test]
fn shows_the_effective_config_without_secrets() {
    let config = parse(&with(concat!(
        "admin.token.env = \"LONG\"\n",
        "server.listen = \"127.0.0.1:0\"\n",
        "auth.issuer = \"i\"\nauth.audience = [\"a\"]\n",
        "auth.jwks_url = \"https://login.example/jwks?code=hunter2\"\n",
        "[[account]]\nname = \"a\"\nvalue = { env = \"TOKEN\" }\nsubjects = [\"*\"]\n",
    )))
    .unwrap();
    let shown = config.effective.shown();
    assert_eq!(shown["admin"]["token"], "***");
    assert_eq!(shown["account"][0]["value"], "***");
    assert_eq!(shown["auth"]["jwks_url"], "https://login.example/jwks?***");
    assert_eq!(shown["account"][0]["header"], "authorization");
    assert_eq!(shown["cache"]["capacity"], "512MiB");
    assert_eq!(shown["cache"]["ttl"]["finished"], "15m");
    assert_eq!(shown["batch"]["chunk"], 500);
    assert_eq!(shown["upstream"]["breaker"]["open_for"], "10s");
    for text in [shown.to_string(), format!("{config:?}")] {
        assert!(!text.contains("hunter2"), "{text}");
    }
}

#[test]
fn a_flood_of_problems_ends() {
    let text = (0..3_000)
        .map(|n| format!("k{n} = 1\n"))
        .collect::<String>();
    assert_eq!(parse(&text).unwrap_err().list.len(), 1_000);
}

#[test]
fn a_file_that_cannot_be_read_is_a_problem() {
    let error = Config::load(Path::new("/no/where.toml"), &env).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("/no/where.toml: cannot be read: "),
        "{error}"
    );
    assert!(Config::load(Path::new("/"), &env).is_err());
    assert!(Config::load(Path::new("/dev/zero"), &env).is_err());
}
