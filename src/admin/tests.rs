use std::{future::pending, time::Duration};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::BodyExt as _;
use prometheus::Registry;
use secrecy::SecretString;
use tokio::time::Instant;
use tokio_util::task::TaskTracker;
use tower::ServiceExt as _;

use super::*;
use crate::{
    body::Body,
    loader,
    upstream::tests::Fake,
    vehicle_cache::{self, Lifetimes, StaleWindows, Ttl, VehicleCache},
};

struct Fixture {
    admin: Admin,
    readiness: Readiness,
}

fn fixture(token: Option<&str>) -> Fixture {
    let registry = Registry::new();
    let readiness = Readiness::new();
    let parts = Parts {
        cache: cache(&registry),
        registry,
        readiness: readiness.clone(),
        accounts: Accounts::new(),
        upstream: Fake::new(|_| pending()).upstream(),
        tasks: TaskTracker::new(),
        config: Bytes::from_static(b"{\"secret\":\"***\"}"),
        started_at: Instant::now(),
        history: History::default(),
    };
    let config =
        Config { token: token.map(SecretString::from), hosts: vec!["gate.example".into()] };
    Fixture { admin: Admin::new(config, parts), readiness }
}

/// An empty one.
fn cache(registry: &Registry) -> VehicleCache<loader::Failure> {
    let second = Duration::from_secs(1);
    let ttl =
        Ttl { finished: second, pending: second, failed: second, absent: second, jitter: 0.0 };
    let stale = StaleWindows { while_revalidate: second, if_error: second };
    let config = vehicle_cache::Config { enabled: true, capacity: 1 << 20 };
    let metrics = vehicle_cache::Metrics::register(registry).unwrap();
    VehicleCache::of_vehicles(&config, Lifetimes { ttl, stale }, metrics)
}

impl Fixture {
    /// How many purges the cache has seen.
    async fn purges(&self) -> u64 {
        let (_, text) = self.send(to(Method::GET, "/metrics"), "").await;
        let series = "vingate_cache_invalidations_total{cause=\"purge\"} ";
        let value = text.lines().find_map(|line| line.strip_prefix(series));
        value.unwrap().parse().unwrap()
    }

    async fn send(&self, request: http::request::Builder, body: &str) -> (Response<()>, String) {
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

/// By a name that is not configured.
fn foreign(path: &str) -> http::request::Builder {
    Request::get(path).header(header::HOST, "a.example")
}

fn purge() -> http::request::Builder {
    to(Method::POST, "/cache/purge").header(header::CONTENT_TYPE, "application/json")
}

#[tokio::test]
async fn serves_operators() {
    let fixture = fixture(None);
    for (path, media_type, part) in [
        ("/metrics", "text/plain; version=0.0.4; charset=utf-8", "\nvingate_cache_entries 0\n"),
        ("/healthz", "text/plain; charset=utf-8", "ok\n"),
        ("/readyz", "application/json", "{\"ready\":true,\"reasons\":[]}"),
        ("/config", "application/json", "{\"secret\":\"***\"}"),
        ("/?x", "text/html; charset=utf-8", "<h1>vingate</h1>"),
    ] {
        let (response, text) = fixture.send(to(Method::GET, path), "").await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        assert_eq!(response.headers()[header::CONTENT_TYPE], media_type, "{path}");
        assert_eq!(response.headers()[header::CACHE_CONTROL], "no-store", "{path}");
        assert!(text.contains(part), "{path}: {text}");
    }
}

#[tokio::test]
async fn says_why_it_is_not_ready_and_stays_healthy() {
    let fixture = fixture(None);
    let latch = fixture.readiness.latch("draining");
    let (response, text) = fixture.send(to(Method::GET, "/readyz"), "").await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(text, "{\"ready\":false,\"reasons\":[\"draining\"]}");
    let (response, _) = fixture.send(to(Method::GET, "/healthz"), "").await;
    assert_eq!(response.status(), StatusCode::OK);
    drop(latch);
    let (response, _) = fixture.send(to(Method::GET, "/readyz"), "").await;
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
        (foreign("/"), 421, "MisdirectedRequest", None),
        (foreign("/config"), 421, "MisdirectedRequest", None),
        (foreign("/nothing"), 421, "MisdirectedRequest", None),
        (Request::get("/"), 400, "BadRequest", None),
    ] {
        let (response, text) = fixture.send(request, "").await;
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

/// A scrape names its target as the compose file or the service does, and a probe too.
#[tokio::test]
async fn any_name_will_do_for_scrapes_and_probes_and_with_the_token() {
    let (open, closed) = (fixture(None), fixture(Some("s3cret")));
    for path in ["/metrics", "/healthz", "/readyz"] {
        for fixture in [&open, &closed] {
            let (response, _) = fixture.send(foreign(path), "").await;
            assert_eq!(response.status(), StatusCode::OK, "{path}");
        }
    }
    for (request, status) in [
        (foreign("/config"), StatusCode::UNAUTHORIZED),
        (foreign("/config").header(header::AUTHORIZATION, "Bearer s3cret"), StatusCode::OK),
        (Request::get("/metrics"), StatusCode::BAD_REQUEST),
    ] {
        let (response, _) = closed.send(request, "").await;
        assert_eq!(response.status(), status);
    }
    let named = Request::get("/config").header(header::HOST, "gate.example:9090");
    let (response, _) = open.send(named, "").await;
    assert_eq!(response.status(), StatusCode::OK);
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
        let (response, _) = fixture.send(to(Method::GET, path), "").await;
        assert_eq!(response.status(), status, "{path}");
        let challenged = response.headers().contains_key(header::WWW_AUTHENTICATE);
        assert_eq!(challenged, status == 401, "{path}");
    }
    let (response, _) = fixture.send(purge(), "{}").await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(fixture.purges().await, 0);
    for request in [to(Method::GET, "/config"), purge()] {
        let request = request.header(header::AUTHORIZATION, "Bearer s3cret");
        let (response, _) = fixture.send(request, "{}").await;
        assert_eq!(response.status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn purges_what_matches() {
    let fixture = fixture(None);
    let (response, text) = fixture
        .send(purge(), "{\"vin\":\"3vwfe21c04m000001\"}")
        .await;
    assert_eq!((response.status(), text.as_str()), (StatusCode::OK, "{\"purged\":0}"));
    assert_eq!(fixture.purges().await, 1);
}

#[tokio::test]
async fn purges_nothing_when_the_request_is_bad() {
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
        let (response, text) = fixture.send(request, body).await;
        assert_eq!(response.status(), status, "{text}");
    }
    assert_eq!(fixture.purges().await, 0);
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stalls_is_given_up() {
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
