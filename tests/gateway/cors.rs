//! Applications that run in browsers.

use http::{HeaderMap, Method, Request};
use vingate::sandbox::{Faults, Only};

use crate::support::{BATCH, Gateway, JSON, Response, batch_body};

const CORS: &str =
    "[cors]\norigins = [\"https://fleet.example\"]\n[auth.scope]\nread = \"r\"\nwrite = \"w\"";
const LISTED: &str = "https://fleet.example";
const OTHER: &str = "https://other.example";
const ONE: (&str, &str) = ("3VWFE21C04M000001", "MFF956M");

/// What a response says of origins.
fn said(headers: &HeaderMap) -> Vec<&str> {
    let names = headers.keys().map(|name| name.as_str());
    names
        .filter(|name| name.starts_with("access-control-"))
        .collect()
}

fn preflight(origin: &str) -> http::request::Builder {
    Request::builder()
        .method(Method::OPTIONS)
        .uri(BATCH)
        .header("origin", origin)
        .header("access-control-request-method", "QUERY")
        .header("access-control-request-headers", "authorization,content-type,x-tenant")
}

async fn query(gateway: &Gateway, origin: &str) -> Response {
    let request = Request::builder().method(Method::QUERY).uri(BATCH);
    let request = request
        .header("content-type", JSON)
        .header("origin", origin);
    let token = gateway.token("tester", Some("r"));
    gateway
        .send(request.header("authorization", token), batch_body(&[ONE]))
        .await
}

#[tokio::test]
async fn a_listed_origin_is_answered_before_it_has_a_token() {
    let gateway = Gateway::start(CORS).await;
    let response = gateway.send_bare(preflight(LISTED), "").await.expect(204);
    assert_eq!(response.field("access-control-allow-origin"), LISTED);
    let methods = response.field("access-control-allow-methods");
    assert!(
        ["GET", "QUERY", "POST", "PATCH"]
            .iter()
            .all(|method| methods.contains(method))
    );
    let headers = response.field("access-control-allow-headers");
    for name in ["authorization", "if-none-match", "x-http-method-override", "x-tenant"] {
        assert!(headers.contains(name), "{headers}");
    }
    assert!(!response.field("x-request-id").is_empty());
    assert_eq!(gateway.sandbox.calls().len(), 0, "it goes no further");

    let response = query(&gateway, LISTED).await.expect(200);
    assert_eq!(response.field("access-control-allow-origin"), LISTED);
    let exposed = response.field("access-control-expose-headers");
    assert_eq!(exposed, "etag, cache-status, retry-after, x-request-id");
    assert_eq!(response.field("vary"), "origin");
    // An application reads why it was refused.
    let refused = gateway
        .send_bare(Request::get("/x").header("origin", LISTED), "")
        .await;
    assert_eq!(refused.expect(401).field("access-control-allow-origin"), LISTED);
    // A preflight is no way past the edge.
    let odd = preflight(LISTED).uri("/a/%2e%2e/b");
    gateway.send_bare(odd, "").await.expect(400);
}

#[tokio::test]
async fn another_origin_gets_no_cors_header_whatever_the_upstream_says() {
    let gateway = Gateway::start(CORS).await;
    let refused = gateway.send_bare(preflight(OTHER), "").await.expect(401);
    assert_eq!(said(&refused.headers), [""; 0]);
    let batch = query(&gateway, OTHER).await.expect(200);
    assert_eq!((said(&batch.headers), batch.field("vary")), (vec![], "origin"));

    let allows = ("access-control-allow-origin".to_owned(), "*".to_owned());
    let faults = Faults { only: Only::All, headers: [allows].into(), ..Faults::default() };
    gateway.sandbox.set_faults([faults]);
    let token = gateway.token("tester", Some("r"));
    for (origin, want) in [(OTHER, ""), (LISTED, LISTED)] {
        let request = Request::get("/api/vehicles").header("authorization", &token);
        let response = gateway
            .send(request.header("origin", origin), "")
            .await
            .expect(200);
        assert_eq!(response.field("access-control-allow-origin"), want);
    }
}

#[tokio::test]
async fn without_the_table_preflights_are_forwarded() {
    let gateway = Gateway::start("").await;
    gateway.send_bare(preflight(LISTED), "").await.expect(401);
    let token = gateway.authorization().to_owned();
    let request = preflight(LISTED)
        .uri("/sandbox/echo")
        .header("authorization", token);
    let response = gateway.send(request, "").await.expect(200);
    assert_eq!(response.json()["method"], "OPTIONS");
    assert_eq!((said(&response.headers), response.field("vary")), (vec![], ""));
    // It needs no restart.
    gateway.reload("[cors]\norigins = [\"https://fleet.example\"]");
    gateway.send_bare(preflight(LISTED), "").await.expect(204);
}
