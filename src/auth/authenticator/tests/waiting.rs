//! Requests whose key may still come, and whole requests.

use std::{
    collections::HashMap,
    future::pending,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
};

use futures_util::FutureExt as _;
use http::StatusCode;
use jsonwebtoken::Algorithm;
use prometheus::Registry;
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{
    super::{
        super::{
            jwks::testing::{KeyServer, Reply, named},
            testing::{key, log, token},
        },
        *,
    },
    Config, claims, config, counted,
};
use crate::{peer::Peer, rule};

type Response = Result<String, Rejection<Error>>;

/// A service with the keys of `server`, which are fetched until the test ends, and one key of its
/// own.
fn service(server: &KeyServer) -> Authenticate {
    counting_service(server).0
}

fn counting_service(server: &KeyServer) -> (Authenticate, Registry) {
    let house = key(Algorithm::HS256);
    let config = Config { keys: vec![house], ..config() };
    let registry = Registry::new();
    let metrics = Metrics::register(&registry).unwrap();
    let (published, refresher) = server.config().build(metrics.clone()).unwrap();
    let auth = config.build(Some(published), metrics);
    tokio::spawn(refresher.run(pending()));
    (auth.authenticate, registry)
}

/// A genuine token of `kid`, another one every time.
fn fresh_token(algorithm: Algorithm, kid: &str) -> String {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let exp = unix_time().as_secs() + 600;
    let claims = claims(json!({ "exp": exp, "jti": NUMBER.fetch_add(1, SeqCst) }));
    token(algorithm, json!({ "alg": format!("{algorithm:?}"), "kid": kid }).to_string(), claims)
}

fn published(kid: &str) -> String {
    fresh_token(Algorithm::ES256, kid)
}

fn request(token: &str) -> Request<Body> {
    let request = Request::builder().header(AUTHORIZATION, format!("Bearer {token}"));
    request.body(Body::full("body")).unwrap()
}

/// The subject of the principal that the request passes with.
async fn call(service: &Authenticate, token: &str) -> Response {
    let request = rule::apply(service, request(token)).await?;
    assert!(request.headers().contains_key(AUTHORIZATION), "`Authorize` removes it");
    assert!(format!("{:?}", request.body()).contains("full"), "the body is still there");
    let principal: &Principal = request.extensions().get().unwrap();
    Ok(principal.subject().unwrap_or("anyone").to_owned())
}

fn reason(response: Response) -> Option<TokenError> {
    match response {
        Ok(_) => None,
        Err(Rejection { error: Error::Token(reason), .. }) => Some(reason),
        Err(other) => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn passes_the_request_on_with_its_principal_or_back_with_its_body() {
    let auth = config().build(None, Metrics::register(&Registry::new()).unwrap());
    let service = auth.authenticate;
    let token = fresh_token(Algorithm::HS256, "hs256");
    // At once: nothing is awaited.
    let response = call(&service, &token).now_or_never().unwrap();
    assert_eq!(response.unwrap(), "billing");

    for (token, reason) in
        [("x".to_owned(), TokenError::Malformed), (published("nobody's"), TokenError::UnknownKey)]
    {
        let refused = call(&service, &token).now_or_never().unwrap().unwrap_err();
        assert!(matches!(refused.error, Error::Token(found) if found == reason));
        assert!(format!("{:?}", refused.unread).contains("full"));
    }
}

#[tokio::test]
async fn a_request_whose_key_is_being_fetched_waits_and_passes() {
    let server = KeyServer::start(Reply::set([named("a")])).await;
    let service = service(&server);
    assert_eq!(call(&service, &published("a")).await.unwrap(), "billing");
    server.reply(Reply::set([named("a"), named("b")]));
    assert_eq!(call(&service, &published("b")).await.unwrap(), "billing");
    assert_eq!(
        call(&service, &published("b"))
            .now_or_never()
            .unwrap()
            .unwrap(),
        "billing"
    );
    assert_eq!(server.fetches(), 2);
}

#[tokio::test]
async fn a_request_whose_key_does_not_come_is_refused_with_its_body() {
    let server = KeyServer::start(Reply::set([named("a")])).await;
    let service = service(&server);
    assert!(call(&service, &published("a")).await.is_ok());
    let token = published("b");
    let refused = call(&service, &token).await.unwrap_err();
    assert!(matches!(refused.error, Error::Token(TokenError::UnknownKey)));
    assert!(format!("{:?}", refused.unread).contains("full"));

    for kid in ["b", "c"] {
        let refused = call(&service, &published(kid)).now_or_never().unwrap();
        assert_eq!(reason(refused), Some(TokenError::UnknownKey), "at once");
    }
    assert_eq!(server.fetches(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_waited_counts_once() {
    let server = KeyServer::start(Reply::Hang).await;
    let (service, registry) = counting_service(&server);
    assert_eq!(reason(call(&service, &published("a")).await), Some(TokenError::UnknownKey));
    assert_eq!(counted(&registry), [("unknown_key".to_owned(), 1)]);
}

#[tokio::test]
async fn a_published_key_vouches_for_the_issuer_only() {
    let server = KeyServer::start(Reply::set([named("a")])).await;
    let service = service(&server);
    let exp = unix_time().as_secs() + 600;
    for (iss, refused) in
        [("https://house.example", None), ("https://partner.example", Some(TokenError::Issuer))]
    {
        let claims = claims(json!({ "exp": exp, "iss": iss }));
        let token = token(Algorithm::ES256, r#"{"alg":"ES256","kid":"a"}"#, claims);
        assert_eq!(reason(call(&service, &token).await), refused, "{iss}");
    }
}

#[tokio::test]
async fn a_broken_key_server_spoils_nothing() {
    let broken = || {
        [
            Reply::Text(StatusCode::INTERNAL_SERVER_ERROR, "", "oops".into()),
            Reply::Text(StatusCode::OK, "", "<html>".into()),
            Reply::Text(StatusCode::OK, "", r#"{"keys":[]}"#.into()),
            Reply::Redirect("http://127.0.0.1:1/jwks".into()),
            Reply::Large(50 * 1024 * 1024),
            Reply::Incomplete,
            Reply::Stall,
            Reply::Hang,
        ]
    };
    let trials = broken().into_iter().map(|response| async move {
        let shown = format!("{response:?}");
        let server = KeyServer::start(Reply::set([named("a")])).await;
        let service = service(&server);
        let remembered = published("a");
        assert!(call(&service, &remembered).await.is_ok());

        server.reply(response);
        let before = Instant::now();
        assert_eq!(reason(call(&service, &published("b")).await), Some(TokenError::UnknownKey));
        let waited = before.elapsed();
        assert!(waited < Duration::from_secs(5), "{shown}: {waited:?}");
        for token in [remembered, published("a"), fresh_token(Algorithm::HS256, "hs256")] {
            let response = call(&service, &token).now_or_never();
            assert!(response.is_some_and(|response| response.is_ok()), "{shown}");
        }
        assert_eq!(server.fetches(), 2, "{shown}");
    });
    futures_util::future::join_all(trials).await;
}

#[tokio::test]
async fn configured_keys_serve_while_the_key_server_is_down() {
    let server = KeyServer::start(Reply::Hang).await;
    let service = service(&server);
    let own = fresh_token(Algorithm::HS256, "hs256");
    assert!(call(&service, &own).now_or_never().unwrap().is_ok());
    let token = published("a");
    assert!(call(&service, &token).now_or_never().is_none(), "the first fetch may bring it");
}

#[tokio::test]
async fn who_hangs_up_while_waiting_disturbs_nobody() {
    let server = KeyServer::start(Reply::set([named("a")])).await;
    let service = service(&server);
    assert!(call(&service, &published("a")).await.is_ok());
    server.reply(Reply::set([named("b")]));
    let token = published("b");
    assert!(call(&service, &token).now_or_never().is_none(), "dropped, having caused the fetch");
    assert!(
        timeout(Duration::from_secs(2), call(&service, &token))
            .await
            .unwrap()
            .is_ok()
    );
    assert_eq!(server.fetches(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_rotation_under_load_refuses_nobody_and_ends_the_old_key() {
    let server = KeyServer::start(Reply::set([named("old")])).await;
    let service = service(&server);
    let remembered = published("old");
    assert!(call(&service, &remembered).await.is_ok());

    // The issuer publishes first, then signs with the new key; the old one is withdrawn at once.
    let rotated = Arc::new(AtomicUsize::new(0));
    let principals = (0..8).map(|_| {
        let (service, rotated) = (service.clone(), Arc::clone(&rotated));
        tokio::spawn(async move {
            let mut served = HashMap::new();
            while *served.get("new").unwrap_or(&0) < 100 {
                let kid = if rotated.load(SeqCst) == 0 { "old" } else { "new" };
                let token = published(kid);
                // A token of the old key that comes after its withdrawal is rightly refused.
                let response = call(&service, &token).await;
                if kid == "new" || rotated.load(SeqCst) == 0 {
                    response.unwrap_or_else(|refused| panic!("{kid}: {:?}", refused.error));
                }
                *served.entry(kid).or_insert(0) += 1;
                tokio::task::yield_now().await;
            }
            served
        })
    });
    let principals: Vec<_> = principals.collect();
    sleep(Duration::from_millis(50)).await;
    server.reply(Reply::set([named("new")]));
    rotated.store(1, SeqCst);
    for principal in principals {
        assert!(principal.await.unwrap()["old"] > 0);
    }
    assert_eq!(server.fetches(), 2, "one at the start, one for all who had the new key");
    assert_eq!(reason(call(&service, &remembered).await), Some(TokenError::UnknownKey));
}

#[tokio::test]
async fn logs_which_claim_was_wrong_at_the_default_level_and_no_token() {
    let (log, _guard) = log();
    let registry = Registry::new();
    let auth = config().build(None, Metrics::register(&registry).unwrap());
    let exp = unix_time().as_secs() + 600;
    let mut tokens = Vec::new();
    for changed in [
        json!({ "aud": "s3cret-audience", "exp": exp }),
        json!({ "aud": "s3cret-audience", "exp": exp }),
        json!({ "sub": null, "exp": exp }),
    ] {
        let header = json!({ "alg": "HS256", "kid": "hs256" }).to_string();
        let token = token(Algorithm::HS256, header, claims(changed));
        let peer = Peer::new("192.0.2.7:5000".parse().unwrap(), false);
        let request = Request::get("/")
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .extension(RequestContext { peer: Some(peer), ..RequestContext::default() })
            .body(Body::empty())
            .unwrap();
        rule::apply(&auth.authenticate, request).await.unwrap_err();
        tokens.push(token);
    }
    let log = log.text();
    let lines: Vec<_> = log.lines().collect();
    let [audience, subject] = &lines[..] else { panic!("{log}") };
    assert!(audience.contains("INFO") && audience.contains("none of auth.audience"), "{log}");
    assert!(audience.contains("reason=\"audience\" client=192.0.2.7 count=1"), "{log}");
    assert!(subject.contains("reason=\"claim_sub\""), "{log}");
    assert!(!log.contains("s3cret") && tokens.iter().all(|token| !log.contains(token)), "{log}");
    assert_eq!(counted(&registry), [("audience".into(), 2), ("claim_sub".into(), 1)]);
}
