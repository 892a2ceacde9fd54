//! What takes two keys, or the world outside of the file.

use crate::{
    config::{
        Config,
        tests::{parse, problems, refused, with},
    },
    server::tls::testing::{Authority, Folder},
};

#[test]
fn listeners_are_apart_and_not_open_by_accident() {
    const ACCOUNT: &str =
        "[[account]]\nname = \"a\"\nvalue = { env = \"TOKEN\" }\nsubjects = [\"*\"]";
    let open = "2: auth.enabled: found false, with accounts that anyone who reaches 0.0.0.0:8080 \
                could use, expected true, a loopback server.listen, or auth.open = true";
    refused(&[
        (
            "admin.listen = \"127.0.0.1:8080\"",
            &["3: admin.listen: found 127.0.0.1:8080, which conflicts with \
               server.listen = 0.0.0.0:8080, expected another address or port"],
        ),
        (
            "server.listen = \"[::]:9090\"",
            &["3: server.listen: found [::]:9090, which conflicts with \
               admin.listen = 127.0.0.1:9090, expected another address or port"],
        ),
        (
            "admin.listen = \"0.0.0.0:9090\"",
            &[
                "3: admin.token: found nothing, expected a token, because 0.0.0.0:9090 is not loopback",
            ],
        ),
        ("[admin]\nlisten = \"0.0.0.0:9090\"\ntoken = { env = \"LONG\" }", &[]),
        (
            "[admin]\ntoken = { env = \"WORD\" }",
            &["4: admin.token: found a secret of 7 bytes, expected at least 16 bytes"],
        ),
        (ACCOUNT, &[open]),
        (&format!("auth.open = true\n{ACCOUNT}"), &[]),
        (&format!("server.listen = \"127.0.0.1:8080\"\n{ACCOUNT}"), &[]),
        (&format!("server.listen = \"[::1]:8080\"\n{ACCOUNT}"), &[]),
    ]);
}

#[test]
fn browser_applications_are_listed() {
    refused(&[
        ("cors.origins = [\"https://fleet.example\", \"http://localhost:3000\"]", &[]),
        ("[cors]", &["3: cors.origins: found none, expected the origins of browser applications"]),
        (
            "cors.origins = [\"*\"]",
            &[
                "3: cors.origins[0]: found a string without scheme and host, expected scheme, host and \
               optionally a port, such as \"https://fleet.example.internal\"",
            ],
        ),
    ]);
    let config = parse(&with("cors.origins = [\"HTTPS://Fleet.example:443/\"]")).unwrap();
    assert_eq!(config.reloadable.gateway.origins, ["https://fleet.example"]);
}

#[test]
fn accounts_are_complete_and_share_no_subject() {
    refused(&[(
        concat!(
            "server.listen = \"127.0.0.1:0\"\n",
            "[[account]]\n",
            "name = \"a\"\nvalue = { env = \"TOKEN\" }\nsubjects = [\"x\", \"*\"]\n",
            "[[account]]\n",
            "name = \"b\"\nvalue = { env = \"TOKEN\" }\nsubjects = [\"*\", \"y\", \"y\"]\n",
            "[[account]]\n",
            "name = \"c\"\nvalue = { env = \"LINES\" }\nsubjects = [\"z\"]\nheader = \"Host\"\n",
        ),
        &[
            "11: account[1].subjects[0]: found \"*\", already used by account[0].subjects[1], expected each subject in one account",
            "11: account[1].subjects[2]: found \"y\", already used by account[1].subjects[1], expected each subject in one account",
            "14: account[2].value: found a line break or another control character in environment variable LINES, expected a secret",
            "16: account[2].header: found \"Host\", which frames or routes messages or is the gateway's own, expected the name of a header that can carry a credential, such as \"Authorization\"",
        ],
    )]);
}

#[test]
fn keys_fit_their_algorithms() {
    refused(&[(
        concat!(
            "[[auth.key]]\n",
            "id = \"a\"\nalgorithm = \"HS256\"\n",
            "[[auth.key]]\n",
            "id = \"a\"\nalgorithm = \"HS384\"\npublic_key = { env = \"WORD\" }\n",
            "[[auth.key]]\n",
            "id = \"b\"\nalgorithm = \"ES256\"\nsecret = { env = \"WORD\" }\n",
            "[[auth.key]]\n",
            "id = \"c\"\nalgorithm = \"none\"\nsecret = { env = \"WORD\" }\n",
            "public_key = { env = \"WORD\" }\n",
            "[[auth.key]]\n",
            "algorithm = \"EdDSA\"\npublic_key = { file = \"absent.pem\" }\nsubjects = []\n",
        ),
        &[
            "3: auth.key[0]: found neither secret nor public_key, expected one of them",
            "7: auth.key[1].id: found \"a\", already used by auth.key[0].id, expected a different id for each key",
            "8: auth.key[1].algorithm: found \"HS384\", expected one of auth.algorithms",
            "9: auth.key[1].public_key: found a public_key for HS384, expected a secret",
            "13: auth.key[2].secret: found a secret for ES256, expected a public_key",
            "16: auth.key[3].algorithm: found \"none\", expected one of \"HS256\", \"HS384\", \"HS512\", \"RS256\", \"RS384\", \"RS512\", \"PS256\", \"PS384\", \"PS512\", \"ES256\", \"ES384\", \"EdDSA\"",
            "19: auth.key[4].id: found nothing, expected a string that is not blank, such as \"house\"",
            "21: auth.key[4].public_key: found etc/absent.pem: No such file or directory (os error 2), expected a secret",
            "22: auth.key[4].subjects: found none, expected at least one subject, or no subjects key to allow any",
        ],
    )]);
}

#[test]
fn tokens_need_a_key_and_scopes_come_in_pairs() {
    let url = "upstream.url = \"http://sync.example\"\n";
    assert_eq!(
        problems(url),
        [" auth.key: found none, expected at least one key to verify tokens with"]
    );
    assert_eq!(
        problems(&format!("{url}auth.jwks_url = \"jwks.json\"")),
        [
            "2: auth.issuer: found nothing, expected the issuer of the keys at auth.jwks_url",
            "2: auth.audience: found none, expected at least one audience with auth.jwks_url",
            "2: auth.jwks_url: found etc/jwks.json: No such file or directory (os error 2), expected a JSON Web Key Set with a usable key",
        ]
    );
    let jwks = format!("{url}auth.issuer = \"i\"\nauth.audience = [\"a\"]\nauth.jwks_url");
    assert_eq!(problems(&format!("{jwks} = \"https://login.example/jwks\"")), [] as [&str; 0]);
    assert_eq!(
        problems(&format!("{jwks} = \"http://login.example/jwks\"")).len(),
        1,
        "http is for the loopback only"
    );
    refused(&[
        (
            "[auth.scope]\nread = \"r\"",
            &[
                "3: auth.scope.write: found nothing, expected one scope, without quotes and backslashes, such as \"vehicles:write\"",
            ],
        ),
        (
            "[auth.scope]\nread = \"a b\"\nwrite = '\"'",
            &[
                "4: auth.scope.read: found \"a b\", expected one scope, without quotes and backslashes, such as \"vehicles:read\"",
                "5: auth.scope.write: found \"\\\"\", expected one scope, without quotes and backslashes, such as \"vehicles:write\"",
            ],
        ),
        (
            "auth.algorithms = []",
            &["3: auth.algorithms: found none, expected at least one algorithm"],
        ),
        (
            concat!(
                "auth.subject_claims = []\nauth.audience_claims = []\n",
                "auth.scope = { read = \"r\", write = \"w\", claims = [] }",
            ),
            &[
                "3: auth.subject_claims: found none, expected at least one claim",
                "4: auth.audience_claims: found none, expected at least one claim",
                "5: auth.scope.claims: found none, expected at least one claim",
            ],
        ),
    ]);
}

#[test]
fn a_file_of_published_keys_is_read_and_has_a_usable_key() {
    const KEY: &str = r#"{"kty":"OKP","crv":"Ed25519","kid":"a","x":"rmHQTPkgDKn-6BKZph45u26EDio_w2oUgu75u9CPkQY"}"#;
    let folder = Folder::new();
    let text = "upstream.url = \"http://sync.example\"\nauth.issuer = \"i\"\n\
                auth.audience = [\"a\"]\nauth.jwks_url = \"jwks.json\"\n";
    let usable = format!(r#"{{"keys":[{KEY}]}}"#);
    let secret = usable.replace("\"kid\"", "\"d\":\"hunter2\",\"kid\"");
    let utf16 = |text: &str| {
        text.encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect::<Vec<_>>()
    };
    let file = folder.path().join("jwks.json");
    for (json, found) in [
        (usable.clone().into_bytes(), None),
        (format!("\u{feff}{usable}").into_bytes(), None),
        (format!(r#"{{"keys":[{{"kty":"oct"}},{KEY}]}}"#).into_bytes(), None),
        (utf16(&usable), Some("no JSON Web Key Set in")),
        (utf16(&format!("\u{feff}{usable}")), Some("no JSON Web Key Set in")),
        (b"".to_vec(), Some("no JSON Web Key Set in")),
        (b"<html>hunter2".to_vec(), Some("no JSON Web Key Set in")),
        (KEY.as_bytes().to_vec(), Some("no JSON Web Key Set in")),
        (br#"{"keys":[]}"#.to_vec(), Some("a key set without a key in")),
        (secret.into_bytes(), Some("a key set without a usable key (\"a\": it is not public) in")),
        (vec![b' '; (1 << 20) + 1], Some("more than 1 MiB in")),
    ] {
        std::fs::write(&file, &json).unwrap();
        let loaded = Config::parse(text, &folder.path().join("vingate.toml"), &|_| None);
        let problems = loaded.err().map(|problems| problems.to_string());
        let expected = "expected a JSON Web Key Set with a usable key";
        let wanted = found.map(|found| {
            let config = folder.path().join("vingate.toml");
            let (config, file) = (config.display(), file.display());
            format!("{config}:4: auth.jwks_url: found {found} {file}, {expected}")
        });
        assert_eq!(problems.as_deref().map(str::trim_end), wanted.as_deref());
    }
}

#[test]
fn tls_needs_a_certificate_and_its_key() {
    let absent = |name: &str| format!("etc/{name}.pem: No such file or directory (os error 2)");
    let (certificate, key, ca) = (absent("cert"), absent("key"), absent("ca"));
    refused(&[
        (
            "[server.tls]\nclient_ca = \"ca.pem\"",
            &[
                "3: server.tls.certificate: found nothing, expected the path of a file, such as \"tls/cert.pem\"",
                "3: server.tls.key: found nothing, expected the path of a file, such as \"tls/key.pem\"",
            ],
        ),
        (
            "[server.tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\nclient_ca = \"ca.pem\"",
            &[
                &format!(
                    "4: server.tls.certificate: found {certificate}, expected a file of certificates, PEM, the listener's own first"
                ),
                &format!(
                    "5: server.tls.key: found {key}, expected a file with the private key, PEM: PKCS #8, PKCS #1 or SEC 1"
                ),
                &format!(
                    "6: server.tls.client_ca: found {ca}, expected a file of certificates, PEM"
                ),
            ],
        ),
    ]);
}

#[test]
fn tls_is_shown_as_its_paths() {
    let folder = Folder::new();
    let pair = Authority::new("authority").issue_until("vingate.example", 2100);
    folder.write_pair(&pair);
    let text = with("[server.tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"");
    let path = folder.path().join("vingate.toml");
    let config = Config::parse(&text, &path, &|_| None).unwrap();
    let expires_at = config
        .restart_only
        .server
        .tls
        .as_ref()
        .unwrap()
        .expires_at();
    assert_eq!(humantime::format_rfc3339(expires_at).to_string(), "2100-01-01T00:00:00Z");
    let shown = &config.effective.shown()["server"]["tls"];
    assert_eq!(
        *shown,
        serde_json::json!({"certificate": "cert.pem", "key": "key.pem", "client_ca": null})
    );
    let secret = pair.key.lines().nth(1).unwrap();
    assert!(!format!("{config:?}").contains(secret));
}

#[test]
fn no_secret_reaches_a_message() {
    let account =
        |value: &str| with(&format!("[[account]]\nname = \"a\"\nsubjects = [\"*\"]\n{value}\n"));
    for text in [
        account("value = \"Bearer hunter2\""),
        account("value = { env = \"Bearer hunter2\" }"),
        account("value = { env = [\"hunter2\"] }"),
        account("value = { value = \"hunter2\" }"),
        account("value = [\"hunter2\"]"),
        account("value = { env = \"LINES\" }"),
        account("value = \"hunter2"),
        account("value = hunter2"),
        account("header = \"Authorization: hunter2\""),
        with("account = \"hunter2\""),
        with("admin.token = \"hunter2\""),
        with("admin.token.env = \"hunter 2\"").replace("hunter 2", "hunter2 "),
        "upstream.url = \"https://fleet:hunter2@sync.example\"".to_owned(),
        "upstream.url = \"https://sync.example/?key=hunter2\"".to_owned(),
        "upstream.url = [\"hunter2\"]".to_owned(),
    ] {
        let error = parse(&text).unwrap_err();
        assert!(!error.to_string().contains("hunter"), "{error}");
        assert!(!format!("{error:?}").contains("hunter"), "{error:?}");
    }
}

#[test]
fn what_ties_replicas_together_is_complete_and_fits() {
    const FINE: &str = "shared.url = \"redis://cache\"\nshared.secret = { env = \"LONG\" }\n";
    let config = parse(&with(FINE)).unwrap();
    let shared = config.restart_only.shared.unwrap();
    assert_eq!(shared.url.to_string(), "redis://cache:6379");
    assert_eq!(shared.write_timeout.as_secs(), 80, "a request, and an attempt behind it");
    assert!(parse(&with("")).unwrap().restart_only.shared.is_none());
    let fine = |more: &str| format!("{FINE}{more}");
    for (more, want) in [
        (
            "shared.lease = \"150ms\"".to_owned(),
            vec![
                "3: shared.secret: found nothing, expected { env = \"NAME\" } or { file = \"PATH\" }",
                "3: shared.url: found nothing, expected redis:// or rediss://, a host and optionally a \
             port, such as \"rediss://cache.internal:6380\"",
            ],
        ),
        (
            fine("shared.write_wait = \"100ms\""),
            vec![
                "5: shared.write_wait: found less than shared.lease, expected zero, or at least \
             shared.lease",
            ],
        ),
        (fine("shared.write_wait = \"0s\""), vec![]),
        (
            fine("shared.previous = [{ env = \"WORD\" }]"),
            vec!["5: shared.previous[0]: found a secret of 7 bytes, expected at least 32 bytes"],
        ),
        (
            fine("shared.namespace = \"a{b}\""),
            vec![
                "5: shared.namespace: found \"a{b}\", expected up to 64 letters, digits, \"-\", \"_\" and \
             \".\", such as \"vingate\"",
            ],
        ),
        (
            FINE.replace("redis://", "redis://me:hunter2@"),
            vec![
                "3: shared.url: found a user or password in the URL, expected redis:// or rediss://, a \
             host and optionally a port, such as \"rediss://cache.internal:6380\"",
            ],
        ),
    ] {
        let mut found = problems(&with(&more));
        found.sort_unstable();
        assert_eq!(found, want, "{more}");
    }
}

#[test]
fn a_snapshot_has_a_place_and_a_secret() {
    let config = parse(&with("cache.snapshot = { file = \"/a\", secret = { env = \"LONG\" } }"));
    let snapshot = config.unwrap().restart_only.snapshot.unwrap();
    assert!(snapshot.file.ends_with("a"));
    assert!(parse(&with("")).unwrap().restart_only.snapshot.is_none());
    let both = parse(&with(
        "cache.snapshot = { file = \"/a\", secret = { env = \"LONG\" } }\n\
                            shared = { url = \"redis://cache\", secret = { env = \"LONG\" } }",
    ));
    let both = both.unwrap().restart_only;
    assert!(both.snapshot.is_some() && both.shared.is_some());
    for (more, want) in [
        (
            "cache.snapshot = {}",
            vec![
                "3: cache.snapshot.file: found nothing, expected the path of a file, such as \
                 \"cache.snapshot\"",
                "3: cache.snapshot.secret: found nothing, expected { env = \"NAME\" } or \
                 { file = \"PATH\" }",
            ],
        ),
        (
            "cache.snapshot = { file = \"/a\", secret = { env = \"WORD\" } }",
            vec!["3: cache.snapshot.secret: found a secret of 7 bytes, expected at least 32 bytes"],
        ),
        (
            "cache.snapshot = { file = \"absent/a\", secret = { env = \"LONG\" } }",
            vec![
                "3: cache.snapshot.file: found etc/absent: No such file or directory (os error 2), \
                 expected a file in a folder that is there",
            ],
        ),
        (
            "cache.snapshot = { file = \"/dev/null/a\", secret = { env = \"LONG\" } }",
            vec![
                "3: cache.snapshot.file: found /dev/null: Not a directory (os error 20), expected \
                 a file in a folder that is there",
            ],
        ),
    ] {
        assert_eq!(problems(&with(more)), want, "{more}");
    }
}

#[test]
fn traces_go_to_a_collector() {
    let config =
        parse(&with("trace.otlp = \"http://collector:4318\"\ntrace.sample = 0.5")).unwrap();
    let exporter = config.restart_only.trace.unwrap();
    assert_eq!(exporter.endpoint, "http://collector:4318/v1/traces");
    assert_eq!(config.reloadable.trace.sample, 0.5);
    let config = parse(&with("")).unwrap();
    assert!(config.restart_only.trace.is_none());
    assert_eq!(config.reloadable.trace.sample, 0.0);
    let found = problems(&with("trace.sample = 2"));
    assert_eq!(
        found,
        [
            "3: trace.otlp: found nothing, expected scheme, host and optionally a port, such as \
             \"http://127.0.0.1:4318\"",
            "3: trace.sample: found 2, expected a number from 0 to 1",
        ]
    );
}
