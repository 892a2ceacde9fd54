use std::{fs, io, path::PathBuf};

use rustls::pki_types::CertificateDer;

use super::{
    super::{
        super::metrics::FetchOutcome,
        testing::{KeyServer, Reply, config, named, set},
    },
    *,
};
use crate::causes::causes;

async fn fetch(config: Config) -> Result<Fetched, Error> {
    Fetcher::new(config).unwrap().fetch().await
}

async fn fetch_response(response: Reply) -> Result<Fetched, Error> {
    let server = KeyServer::start(response).await;
    fetch(server.config()).await
}

/// A file of this name and content.
fn file(name: &str, content: &[u8]) -> PathBuf {
    let path = std::env::temp_dir().join(format!("vingate-jwks-{name}-{}", std::process::id()));
    fs::write(&path, content).unwrap();
    path
}

fn text(status: u16, cache_control: &'static str, text: impl Into<String>) -> Reply {
    Reply::Text(StatusCode::from_u16(status).unwrap(), cache_control, text.into())
}

#[tokio::test]
async fn brings_keys_and_how_long_they_are_fresh() {
    let fetched = fetch_response(text(200, "public, max-age=3600", set([named("a"), named("b")])));
    let Fetched { usable, fresh_for } = fetched.await.unwrap();
    assert_eq!(usable.keys.len(), 2);
    assert_eq!(fresh_for, Duration::from_secs(3600));
}

#[tokio::test]
async fn every_other_answer_is_a_failure() {
    let keys = || set([named("a")]);
    for (response, outcome) in [
        (text(500, "", keys()), FetchOutcome::Status),
        (text(404, "", keys()), FetchOutcome::Status),
        (text(203, "", keys()), FetchOutcome::Status),
        (text(204, "", ""), FetchOutcome::Status),
        (text(200, "", ""), FetchOutcome::Malformed),
        (text(200, "", "<!doctype html><title>Sign in</title>"), FetchOutcome::Malformed),
        (text(200, "", "\0\u{1}garbage"), FetchOutcome::Malformed),
        (text(200, "", r#"{"keys":[]}"#), FetchOutcome::Empty),
        (text(200, "", r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#), FetchOutcome::Empty),
        (text(200, "", format!("{}{}", keys(), " ".repeat(MAX_BYTES))), FetchOutcome::TooLarge),
        (Reply::Large(50 * 1024 * 1024), FetchOutcome::TooLarge),
        (Reply::Incomplete, FetchOutcome::Unreachable),
    ] {
        let shown = format!("{response:.60?}");
        let error = fetch_response(response).await.unwrap_err();
        assert_eq!(error.outcome(), outcome, "{shown}");
    }
}

#[tokio::test]
async fn a_set_may_be_just_as_large_as_allowed() {
    let keys = set([named("a")]);
    let blanks = " ".repeat(MAX_BYTES - keys.len());
    assert!(fetch_response(text(200, "", keys + &blanks)).await.is_ok());
}

#[tokio::test]
async fn does_not_follow_redirects() {
    let target = KeyServer::start(Reply::set([named("a")])).await;
    let error = fetch_response(Reply::Redirect(target.url()))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Status(StatusCode::FOUND)));
    assert_eq!(target.fetches(), 0);
}

#[tokio::test]
async fn says_nothing_of_what_came() {
    for response in [
        text(200, "", r#"{"keys":"SECRET"}"#),
        text(200, "", "SECRET"),
        text(200, "", r#"{"keys":[{"kty":"SECRET"}]}"#),
        text(500, "", "SECRET"),
    ] {
        let error = fetch_response(response).await.unwrap_err();
        let said = format!("{error:?} {error} {:?}", causes(&error));
        assert!(!said.contains("SECRET"), "{said}");
    }
}

#[tokio::test]
async fn says_why_nobody_is_there() {
    let address = {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        listener.local_addr().unwrap()
    };
    let error = fetch(config(&format!("http://{address}/jwks")))
        .await
        .unwrap_err();
    assert_eq!(error.outcome(), FetchOutcome::Unreachable);
    let causes = causes(&error).unwrap();
    assert!(causes.contains("refused"), "{causes}");
}

#[tokio::test]
async fn trusts_the_configured_authority_and_no_other() {
    let server = KeyServer::start_with_tls(Reply::set([named("a")])).await;
    let other = KeyServer::start_with_tls(Reply::set([named("b")])).await;
    assert!(fetch(server.config()).await.is_ok());
    for ca in [other.config().ca, Some(vec![]), None] {
        let error = fetch(Config { ca, ..server.config() }).await.unwrap_err();
        assert_eq!(error.outcome(), FetchOutcome::Unreachable);
        let causes = causes(&error).unwrap();
        assert!(causes.contains("certificate"), "{causes}");
    }
    assert_eq!(server.fetches(), 1);
}

#[tokio::test]
async fn a_certificate_authority_that_is_none_is_an_error() {
    let ca = Some(vec![CertificateDer::from(vec![1, 2, 3])]);
    assert!(Fetcher::new(Config { ca, ..config("https://login.example/") }).is_err());
}

#[tokio::test]
async fn reads_files_within_the_same_bounds() {
    let keys = set([named("a")]);
    let large = format!("{keys}{}", " ".repeat(MAX_BYTES));
    for (name, content, outcome) in [
        ("fine", keys.as_bytes(), FetchOutcome::Loaded),
        ("largest", &large.as_bytes()[..MAX_BYTES], FetchOutcome::Loaded),
        ("large", large.as_bytes(), FetchOutcome::TooLarge),
        ("empty", b"", FetchOutcome::Malformed),
        ("binary", b"\xff\xfe", FetchOutcome::Malformed),
    ] {
        let path = file(name, content);
        let fetched = fetch(config(path.to_str().unwrap())).await;
        fs::remove_file(path).unwrap();
        match fetched {
            Ok(fetched) => {
                assert_eq!(outcome, FetchOutcome::Loaded, "{name}");
                assert_eq!(fetched.fresh_for, freshness::MIN);
            }
            Err(error) => assert_eq!(error.outcome(), outcome, "{name}"),
        }
    }
    let error = fetch(config("/nowhere/jwks.json")).await.unwrap_err();
    assert!(matches!(error, Error::File(error) if error.kind() == io::ErrorKind::NotFound));
}
