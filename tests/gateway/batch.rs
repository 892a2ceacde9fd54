//! The batch endpoint from outside.

use http::Request;

use crate::support::{BATCH, Gateway, JSON, batch_body, eventually, spelled};

const ONE: (&str, &str) = ("3VWFE21C04M000001", "MFF956M");

#[tokio::test]
async fn answers_the_upstreams_own_bytes_and_then_from_the_cache() {
    let gateway = Gateway::start("").await;
    let first = gateway.batch(&[ONE]).await.expect(200);
    assert!(
        first
            .field("cache-status")
            .starts_with("vingate; fwd=miss; ")
    );
    let second = gateway
        .batch(&[("3vw-fe21c04m000001", " mff 956-m")])
        .await
        .expect(200);
    assert!(
        second
            .field("cache-status")
            .starts_with("vingate; hit; ttl=")
    );
    assert_eq!(first.body, second.body);
    assert_eq!(gateway.sandbox.counters().batches, 1);
}

#[tokio::test]
async fn a_call_carries_nothing_of_its_client_but_a_credential_and_what_traces_it() {
    let gateway = Gateway::start("").await;
    let mut request = Request::get(BATCH).header("content-type", "application/json; charset=utf-8");
    for (name, value) in [
        ("accept", "*/*"),
        ("accept-encoding", "gzip"),
        ("accept-language", "es"),
        ("cookie", "a=b"),
        ("forwarded", "for=192.0.2.1"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        ("tracestate", "a=b"),
        ("user-agent", "app"),
        ("via", "1.0 fred"),
        ("x-request-id", "asks"),
        ("x-tenant", "a"),
    ] {
        request = request.header(name, value);
    }
    gateway.send(request, batch_body(&[ONE])).await.expect(200);
    let call = gateway.sandbox.calls().pop().unwrap();
    let mut sent: Vec<_> = call
        .headers
        .iter()
        .filter(|(name, _)| !["authorization", "host"].contains(&name.as_str()))
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect();
    sent.sort_unstable();
    assert_eq!(
        sent,
        [
            ("accept", JSON),
            ("accept-encoding", "identity"),
            ("content-length", &*call.body.len().to_string()),
            ("content-type", JSON),
            ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            ("via", "1.1 vingate"),
            ("x-request-id", "asks"),
        ]
    );
}

#[tokio::test]
async fn names_every_problem_and_asks_nothing_upstream() {
    let gateway = Gateway::start("").await;
    let body = r#"{"vehicles":[{"vin":"3VWFE21C04M00000O","plate":"ABC1234"},
        {"vin":"3VWFE21C04M000001","plate":"ABCDEFGHIJKLMNOP"},{"plate":"ABC1234"}]}"#;
    let refused = gateway
        .send(Request::get(BATCH).header("content-type", JSON), body)
        .await;
    let problem = refused.expect(400).json();
    assert_eq!(problem["code"], "BadParameters");
    assert_eq!(problem["problems"].as_array().unwrap().len(), 3);
    assert_eq!(gateway.sandbox.counters().batches, 0);
}

#[tokio::test]
async fn two_plates_in_one_text_are_a_problem_that_says_so() {
    let gateway = Gateway::start("").await;
    for plates in ["99AA9A/99AA9A", "99AA9A 99AA8A", "99-AA-9A\n99-AA-8A"] {
        let refused = gateway.batch(&[ONE, (ONE.0, plates)]).await.expect(400);
        let problem = refused.json();
        assert_eq!(problem["code"], "BadParameters");
        assert!(refused.text().contains("holds two plates"), "{}", refused.text());
        let body = serde_json::json!({"vehicleInfo": {"vin": ONE.0, "plate": plates}});
        let request = Request::put("/api/upsert-vehicle-info").header("content-type", JSON);
        let refused = gateway.send(request, body.to_string()).await.expect(400);
        assert!(refused.text().contains("holds two plates"), "{}", refused.text());
    }
    assert!(gateway.sandbox.calls().is_empty());
    let marked = ("'3VWFE21C04M000001", "'MFF\u{3164}956\u{2043}M");
    let first = gateway.batch(&[marked]).await.expect(200);
    assert_eq!(first.body, gateway.batch(&[ONE]).await.expect(200).body);
    assert_eq!(gateway.sandbox.counters().batches, 1);
}

#[tokio::test]
async fn query_and_overridden_post_mean_the_same() {
    let gateway = Gateway::start("").await;
    let body = batch_body(&[ONE]);
    let get = gateway.batch(&[ONE]).await.expect(200);
    for request in [
        Request::builder()
            .method("QUERY")
            .uri("/api/batch/scraping"),
        Request::post(BATCH).header("x-http-method-override", "get"),
    ] {
        let response = gateway
            .send(request.header("content-type", JSON), body.clone())
            .await;
        assert_eq!(response.expect(200).body, get.body);
    }
    assert_eq!(gateway.sandbox.counters().batches, 1);
}

#[tokio::test]
async fn ignores_a_byte_order_mark_and_the_coding_that_is_none() {
    let gateway = Gateway::start("").await;
    let plain = gateway.batch(&[ONE]).await.expect(200);
    let marked = format!("\u{feff}{}", batch_body(&[ONE]));
    for request in [
        Request::get(BATCH).header("content-type", JSON),
        Request::get(BATCH).header("content-encoding", "Identity"),
        // Past the cache, too.
        Request::get(format!("{BATCH}?x=1")),
    ] {
        let response = gateway.send(request, marked.clone()).await;
        assert_eq!(response.expect(200).json(), plain.json());
    }
}

#[tokio::test]
async fn a_coding_that_is_not_taken_is_named() {
    let gateway = Gateway::start("").await;
    let request = Request::get(BATCH).header("content-encoding", "identity, gzip");
    let refused = gateway.send(request, batch_body(&[ONE])).await.expect(415);
    assert_eq!(refused.field("accept-encoding"), "identity");
    assert!(refused.json()["detail"].as_str().unwrap().contains("gzip"));
    let request = Request::get(BATCH).header("content-type", "text/plain");
    let refused = gateway.send(request, batch_body(&[ONE])).await.expect(415);
    assert_eq!(refused.field("accept-encoding"), "", "it is not the coding");
    assert_eq!(gateway.sandbox.counters().batches, 0);
}

#[tokio::test]
async fn a_missing_body_is_told_from_a_bad_one_and_ends_the_connection() {
    let gateway = Gateway::start("").await;
    for (method, body, is_missing) in
        [("GET", "", true), ("QUERY", "", true), ("GET", "{", false), ("GET", "\u{feff}", false)]
    {
        let request = Request::builder()
            .method(method)
            .uri(BATCH)
            .header("content-type", JSON);
        let refused = gateway.send(request, body).await.expect(400);
        let problem = refused.json();
        assert_eq!(problem["title"], "Bad Request");
        let detail = problem["detail"].as_str().unwrap();
        for name in ["QUERY", "X-HTTP-Method-Override: GET"] {
            assert_eq!(detail.contains(name), is_missing, "{detail}");
        }
        assert_eq!(refused.field("connection") == "close", is_missing, "{method} {body}");
    }
}

#[tokio::test]
async fn large_responses_are_compressed_when_they_are_wanted_again() {
    let gateway = Gateway::start("[batch]\ngzip_from = \"1KiB\"").await;
    let held = gateway.hold(100).await;
    let vehicles: Vec<_> = held.iter().map(spelled).collect();
    let ask = async |accepted: &str| {
        let request = Request::get(BATCH).header("content-type", JSON);
        let request = request.header("accept-encoding", accepted);
        let response = gateway.send(request, batch_body(&vehicles)).await;
        response.expect(200)
    };
    let plain = ask("identity").await;
    eventually(async || !ask("gzip").await.field("content-encoding").is_empty()).await;
    let packed = ask("gzip").await;
    assert_eq!(packed.field("content-encoding"), "gzip");
    assert_eq!(packed.field("content-length"), packed.body.len().to_string());
    assert!(packed.body.len() < plain.body.len() / 2);
    let mut unpacked = Vec::new();
    let mut decoder = flate2::read::GzDecoder::new(&packed.body[..]);
    std::io::Read::read_to_end(&mut decoder, &mut unpacked).unwrap();
    assert!(unpacked == plain.body);
    assert!(ask("identity").await.body == plain.body);
    // Both forms count, and both go.
    let bytes = gateway.metric("vingate_cache_bytes").await;
    assert!(bytes > (plain.body.len() + packed.body.len()) as f64);
    gateway.purge().await.expect(200);
    assert_eq!(gateway.metric("vingate_cache_bytes").await, 0.0);
}
