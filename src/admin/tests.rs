use std::{future::ready, sync::Arc};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use parking_lot::Mutex;
use prometheus::{IntGauge, Registry};
use secrecy::SecretString;
use tokio::time::Instant;
use tower::ServiceExt as _;

use super::*;
use crate::{body::Body, vehicle::Vin};

struct Fixture {
    admin: Admin,
    readiness: Readiness,
    purged: Arc<Mutex<Vec<PurgeRequest>>>,
}

fn fixture(token: Option<&str>) -> Fixture {
    let registry = Registry::new();
    registry
        .register(Box::new(IntGauge::new("vingate_cache_entries", "x").unwrap()))
        .unwrap();
    let readiness = Readiness::new();
    let purged = Arc::new(Mutex::new(Vec::new()));
    let purge: Purge = Arc::new({
        let purged = Arc::clone(&purged);
        move |request| {
            let is_known = request.account.as_deref() != Some("nobody");
            if is_known {
                purged.lock().push(request);
            }
            Box::pin(ready(is_known.then_some(3).ok_or(UnknownAccount)))
        }
    });
    let config = Bytes::from_static(b"{\"secret\":\"***\"}");
    let parts =
        Parts { registry, readiness: readiness.clone(), purge, config, started_at: Instant::now() };
    Fixture { admin: Admin::new(token.map(SecretString::from), parts), readiness, purged }
}

impl Fixture {
    async fn ask(&self, request: http::request::Builder, body: &str) -> (Response<()>, String) {
        let request = request.body(Body::full(body.to_owned())).unwrap();
        let (head, body) = self
            .admin
            .clone()
            .oneshot(request)
            .await
            .unwrap()
            .into_parts();
        let text = body.collect().await.unwrap().to_bytes();
        (Response::from_parts(head, ()), String::from_utf8(text.into()).unwrap())
    }
}

fn to(method: Method, path: &str) -> http::request::Builder {
    Request::builder()
        .method(method)
        .uri(path)
        .header(header::HOST, "127.0.0.1:9090")
}

fn purge() -> http::request::Builder {
    to(Method::POST, "/cache/purge").header(header::CONTENT_TYPE, "application/json")
}

#[tokio::test]
async fn answers_what_operators_ask() {
    let fixture = fixture(None);
    for (path, media_type, part) in [
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8", "\nvingate_cache_entries 0\n"),
        ("/healthz", "text/plain; charset=utf-8", "ok\n"),
        ("/readyz", "application/json", "{\"ready\":true,\"reasons\":[]}"),
        ("/config", "application/json", "{\"secret\":\"***\"}"),
        ("/?x", "text/html; charset=utf-8", "<h1>vingate</h1>"),
    ] {
        let (response, text) = fixture.ask(to(Method::GET, path), "").await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(response.headers()[header::CONTENT_TYPE], media_type, "{path}");
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store", "{path}");
        assert!(text.contains(part), "{path}: {text}");
    }
}

#[tokio::test]
async fn says_why_it_is_not_ready_and_lives_on() {
    let fixture = fixture(None);
    let latch = fixture.readiness.latch("draining");
    let (response, text) = fixture.ask(to(Method::GET, "/readyz"), "").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(text, "{\"ready\":false,\"reasons\":[\"draining\"]}");
    let (response, _) = fixture.ask(to(Method::GET, "/healthz"), "").await;
    assert_eq!(response.status(), StatusCode::OK);
    drop(latch);
    let (response, _) = fixture.ask(to(Method::GET, "/readyz"), "").await;
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn refuses_what_makes_no_sense() {
    let fixture = fixture(None);
    for (request, status, code, allow) in [
        (to(Method::GET, "/nothing"), 404, "NotFound", None),
        (to(Method::GET, "/metrics/"), 404, "NotFound", None),
        (to(Method::POST, "/metrics"), 405, "MethodNotAllowed", Some("GET, HEAD")),
        (to(Method::OPTIONS, "/config"), 405, "MethodNotAllowed", Some("GET, HEAD")),
        (to(Method::GET, "/cache/purge"), 405, "MethodNotAllowed", Some("POST")),
        (Request::get("/").header(header::HOST, "a.example"), 421, "MisdirectedRequest", None),
        (
            Request::get("/metrics").header(header::HOST, "a.example"),
            421,
            "MisdirectedRequest",
            None,
        ),
        (Request::get("/"), 400, "BadRequest", None),
    ] {
        let (response, text) = fixture.ask(request, "").await;
        assert_eq!(response.status(), status, "{text}");
        let allowed = response
            .headers()
            .get(header::ALLOW)
            .map(|value| value.to_str().unwrap());
        assert_eq!(allowed, allow);
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
        let problem: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&problem["status"], &problem["code"]), (&status.into(), &code.into()));
        assert_eq!(problem["type"], format!("urn:vingate:problem:{code}"));
    }
}

#[tokio::test]
async fn wants_the_token_for_all_but_probes() {
    let fixture = fixture(Some("s3cret"));
    for (path, status) in [
        ("/metrics", 200),
        ("/healthz", 200),
        ("/readyz", 200),
        ("/", 401),
        ("/config", 401),
        ("/cache/purge", 401),
        ("/nothing", 401),
    ] {
        let (response, _) = fixture.ask(to(Method::GET, path), "").await;
        assert_eq!(response.status(), status, "{path}");
        let challenged = response.headers().contains_key(header::WWW_AUTHENTICATE);
        assert_eq!(challenged, status == 401, "{path}");
    }
    let (response, _) = fixture.ask(purge(), "{}").await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert!(fixture.purged.lock().is_empty());
    for request in [to(Method::GET, "/config"), purge()] {
        let request = request.header(header::AUTHORIZATION, "Bearer s3cret");
        let (response, _) = fixture.ask(request, "{}").await;
        assert_eq!(response.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn purges_what_is_asked_for() {
    let fixture = fixture(None);
    let (response, text) = fixture
        .ask(purge(), "{\"vin\":\"3vwfe21c04m000001\"}")
        .await;
    assert_eq!((response.status(), text.as_str()), (StatusCode::OK, "{\"purged\":3}"));
    let (vin, rest) = (Vin::parse("3VWFE21C04M000001").ok(), PurgeRequest::default());
    assert_eq!(*fixture.purged.lock(), [PurgeRequest { vin, ..rest }]);
}

#[tokio::test]
async fn purges_nothing_when_it_is_asked_badly() {
    let fixture = fixture(None);
    let large = format!("{{}}{}", " ".repeat(64 * 1024));
    for (request, body, status) in [
        (to(Method::POST, "/cache/purge"), "{}", 415),
        (to(Method::POST, "/cache/purge").header(header::CONTENT_TYPE, "text/plain"), "{}", 415),
        (purge().header(header::CONTENT_ENCODING, "gzip"), "{}", 415),
        (purge(), large.as_str(), 413),
        (purge(), "", 400),
        (purge(), "{\"vim\":\"x\"}", 400),
        (purge(), "{\"account\":\"nobody\"}", 400),
    ] {
        let (response, text) = fixture.ask(request, body).await;
        assert_eq!(response.status(), status, "{text}");
    }
    assert!(fixture.purged.lock().is_empty());
}

#[tokio::test(start_paused = true)]
async fn does_not_wait_for_a_body_for_ever() {
    let fixture = fixture(None);
    let stalled =
        futures_util::stream::pending::<Result<http_body::Frame<Bytes>, crate::body::Error>>();
    let body = Body::new(http_body_util::StreamBody::new(stalled));
    let response = fixture
        .admin
        .oneshot(purge().body(body).unwrap())
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);
}
