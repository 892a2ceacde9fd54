//! What differs, and what may.

use std::fs;

use super::*;
use crate::{
    config::{
        Config,
        tests::{parse, with},
    },
    files::Sources,
};

/// The rest of the account that stands in the file before.
const ACCOUNT: &str =
    "[[account]]\nname = \"a\"\nvalue = { env = \"TOKEN\" }\nsubjects = [\"*\"]\n";

fn config(more: &str) -> Config {
    parse(&with(&format!("server.listen = \"127.0.0.1:0\"\n{more}"))).unwrap()
}

/// The keys in which the second differs.
fn changed(old: &str, new: &str) -> Vec<String> {
    let changes = config(old).effective.changes(&config(new).effective);
    changes.keys().map(str::to_owned).collect()
}

#[test]
fn names_the_keys_that_differ() {
    let second = ACCOUNT.replace("\"a\"", "\"b\"").replace("\"*\"", "\"x\"");
    let both = format!("{ACCOUNT}{second}");
    for (old, new, keys) in [
        ("", "", &[][..]),
        // A default that is written out is no change, nor another spelling of a value.
        ("", "batch.chunk = 500\ncache.ttl.finished = \"900s\"", &[]),
        ("", "batch.chunk = 400\nlog.level = \"warn\"", &["batch.chunk", "log.level"]),
        ("", "limit.rate.burst = 5", &["limit.rate"]),
        ("limit.rate.burst = 6", "limit.rate.burst = 5", &["limit.rate.burst"]),
        ("", "auth.algorithms = [\"RS256\"]", &["auth.algorithms"]),
        ("", ACCOUNT, &["account[0]", "account[0].value"]),
        (&both, ACCOUNT, &["account[1]", "account[1].value"]),
        (ACCOUNT, &ACCOUNT.replace("\"a\"", "\"b\""), &["account[0].name"]),
        // Neither the secret nor where it is kept is shown, and yet it is another.
        (ACCOUNT, &ACCOUNT.replace("TOKEN", "WORD"), &["account[0].value"]),
        (
            "auth.issuer = \"i\"\nauth.audience = [\"a\"]\nauth.jwks_url = \"https://a/b?c=1\"",
            "auth.issuer = \"i\"\nauth.audience = [\"a\"]\nauth.jwks_url = \"https://a/b?c=2\"",
            &["auth.jwks_url"],
        ),
    ] {
        assert_eq!(changed(old, new), keys, "{old:?} → {new:?}");
        let back = changed(new, old);
        assert_eq!(back, keys, "{new:?} → {old:?}");
    }
}

#[test]
fn what_is_bound_connected_or_allocated_needs_a_restart_and_the_rest_does_not() {
    for (key, needs_restart) in [
        ("server.listen", true),
        ("server.tls.certificate", true),
        ("server.trusted_proxies", false),
        ("admin.listen", true),
        ("admin.token", false),
        ("admin.hosts", false),
        ("upstream.url", true),
        ("upstream.request_timeout", true),
        ("account[3].value", false),
        ("auth.enabled", true),
        ("auth.open", true),
        ("auth.jwks_url", true),
        ("auth.jwks_ca", true),
        ("auth.key[0].secret", false),
        ("auth.scope", false),
        ("auth.scope.read", false),
        ("batch.chunk", false),
        ("cache.enabled", true),
        ("cache.capacity", true),
        ("cache.ttl.finished", false),
        ("cache.stale_if_error", false),
        ("cache.harmless_writes", false),
        ("limit.rate.burst", false),
        ("limit.max_in_flight", false),
        ("log.format", true),
        ("log.level", false),
        ("log.levels", true),
        ("accounts", true),
        ("unheard_of", true),
    ] {
        let changes = Changes(BTreeSet::from([key.to_owned()]));
        assert_eq!(changes.restart_only().next().is_some(), needs_restart, "{key}");
    }
    let changes = Changes(BTreeSet::from(["batch.chunk".into(), "log.format".into()]));
    assert_eq!(changes.restart_only().collect::<Vec<_>>(), ["log.format"]);
    assert!(changes.touch("batch") && changes.touch("log") && !changes.touch("lo"));
}

#[test]
fn what_may_change_reaches_nothing_that_may_not() {
    // Its other keys can be changed only while it is there.
    let config = |more: &str| config(&format!("trace.otlp = \"http://127.0.0.1:4318\"\n{more}"));
    let none = config("");
    let before = format!("{:?}", none.restart_only);
    let mut changed = Changes::default();
    for more in [
        "server.trusted_proxies = [\"10.0.0.0/8\"]",
        "admin.token = { env = \"LONG\" }\nadmin.hosts = [\"vingate.internal\"]",
        ACCOUNT,
        "auth.issuer = \"i\"\nauth.audience = [\"a\"]\nauth.leeway = \"1s\"",
        "auth.max_token = \"2KiB\"\nauth.subject_claims = [\"azp\"]\nauth.audience_claims = [\"azp\"]",
        "auth.algorithms = [\"ES256\"]\nauth.scope = { read = \"r\", write = \"w\" }",
        "[[auth.key]]\nid = \"a\"\nalgorithm = \"HS256\"\nsecret = { env = \"LONG\" }",
        "batch = { max_vehicles = 1, chunk = 2, max_parallel = 3 }",
        "cache.stale_while_revalidate = \"1s\"\ncache.stale_if_error = \"2s\"",
        "cache.harmless_writes = [\"POST /api/reports/*\"]",
        "cache.ttl = { finished = \"1s\", pending = \"2s\", failed = \"3s\", absent = \"4s\" }",
        "limit = { max_in_flight = 1, max_body = \"1KiB\", rate.burst = 5 }",
        "trace.sample = 1\ntrace.server_timing = true",
        "cors.origins = [\"https://fleet.example\"]",
        "log = { level = \"trace\", access = \"off\" }",
    ] {
        let config = config(more);
        let changes = none.effective.changes(&config.effective);
        assert!(
            !changes.is_empty() && changes.restart_only().next().is_none(),
            "{more}: {changes:?}"
        );
        assert_eq!(format!("{:?}", config.restart_only), before, "{more}");
        changed.0.extend(changes.0);
    }
    // A key that is declared reloadable belongs above.
    for key in json_schema::reloadable() {
        assert!(changed.touch(&key), "{key} is reloadable and not tried");
    }
}

#[test]
fn what_is_in_other_files_belongs_to_the_key_that_names_them() {
    let folder = std::env::temp_dir().join(format!("vingate-effective-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join("vingate.toml");
    let text = with(&format!(
        "server.listen = \"127.0.0.1:0\"\n{}",
        ACCOUNT.replace("env = \"TOKEN\"", "file = \"token\"")
    ));
    let load = |secret: &str| {
        fs::write(folder.join("token"), secret).unwrap();
        let mut sources = Sources::default();
        let config = Config::read(&text, &path, &|_| None, || true, &mut sources).unwrap();
        (config, sources)
    };
    let (old, known) = load("hunter2");
    let (same, found) = load("hunter2");
    assert!(old.effective.changes(&same.effective).is_empty());
    assert_eq!(known, found);
    let (new, found) = load("hunter3");
    let changes = old.effective.changes(&new.effective);
    assert_eq!(changes.keys().collect::<Vec<_>>(), ["account[0].value"]);
    assert_ne!(known, found);
    // A line break at its end is no part of a secret, though it is one of the file.
    let (same, found) = load("hunter2\n");
    assert!(old.effective.changes(&same.effective).is_empty());
    assert_ne!(known, found);
    // What needs a restart is taken over from what is in force.
    let mut kept = new.effective.clone();
    let hide = |config: &mut EffectiveConfig, key: &str, digest| {
        config.hidden.insert(key.to_owned(), [digest; 32]);
    };
    let mut in_force = old.effective.clone();
    hide(&mut in_force, "shared.secret", 1);
    for key in ["shared.secret", "upstream.ca"] {
        hide(&mut kept, key, 2);
    }
    kept.keep_restart_only(&in_force);
    assert_eq!(in_force.changes(&kept), changes);
    for printed in [format!("{old:?}"), format!("{known:?}"), format!("{changes:?}")] {
        assert!(!printed.contains("hunter"), "{printed}");
    }
    fs::remove_dir_all(folder).unwrap();
}
