//! Sizes, counts and rates; the order in which a request is judged; and connections that go on
//! after a request was refused.

use futures_util::future::{join_all, select_all};
use http::{Method, Request};
use vingate::sandbox::{Class, Faults};

use crate::support::{BATCH, Gateway, JSON, Response, SECRET, Wire, batch_body, spelled};

const ONE: (&str, &str) = ("3VWFE21C04M000001", "MFF956M");

/// A token that lacks the scopes to write.
const SCOPES: &str = "[auth]\nscope = { read = \"r\", write = \"w\" }\n";

#[tokio::test]
async fn judges_a_request_in_the_order_that_is_promised() {
    let toml = format!(
        "{SCOPES}[limit]\nmax_body = \"1KiB\"\n[limit.rate]\nrequests_per_second = 1\nburst = 3\n\
         [batch]\nmax_vehicles = 2"
    );
    // From request to request one more fault is mended; each is the first that is left.
    let large = format!("{{{}", " ".repeat(2000));
    let bad_vin = r#"{"vin":"3VWFE21C04M00000O","plate":"A1"}"#;
    let three = format!(r#"{{"vehicles":[{bad_vin},{bad_vin},{bad_vin}]}}"#);
    let one = format!(r#"{{"vehicles":[{bad_vin}]}}"#);
    let good = batch_body(&[ONE]);
    for (what, method, path, token, subject, media_type, body, status, code) in [
        ("method", "TRACE", "/a/../b", "", "", "x", &large, 405, "MethodNotAllowed"),
        ("path", "QUERY", "/a/../b", "", "", "x", &large, 400, "BadRequest"),
        ("token", "QUERY", BATCH, "", "", "x", &large, 401, "Unauthorized"),
        ("rate", "QUERY", BATCH, "x", "busy", "x", &large, 429, "RateLimited"),
        ("scope", "QUERY", BATCH, "x", "idle", "x", &large, 403, "Forbidden"),
        ("media", "QUERY", BATCH, "r", "idle", "x/y", &large, 415, "UnsupportedMediaType"),
        ("bytes", "QUERY", BATCH, "r", "idle", JSON, &large, 413, "PayloadTooLarge"),
        ("json", "QUERY", BATCH, "r", "idle", JSON, &"{".to_owned(), 400, "BadRequest"),
        ("count", "QUERY", BATCH, "r", "idle", JSON, &three, 413, "PayloadTooLarge"),
        ("vehicles", "QUERY", BATCH, "r", "idle", JSON, &one, 400, "BadParameters"),
        ("cached", "QUERY", BATCH, "r", "idle", JSON, &good, 504, "NotCached"),
    ] {
        let gateway = Gateway::start(&toml).await;
        if subject == "busy" {
            let token = gateway.token(subject, None);
            // More than the burst: on a slow machine one may come back meanwhile.
            for _ in 0..9 {
                let request = Request::get("/x").header("authorization", &token);
                gateway.send_bare(request, "").await;
            }
        }
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", media_type)
            .header("cache-control", "only-if-cached");
        if !token.is_empty() {
            let token = gateway.token(subject, Some(token));
            request = request.header("authorization", token);
        }
        let response = gateway
            .send_bare(request, body.clone())
            .await
            .expect(status);
        let problem = response.json();
        assert_eq!(problem["code"], code, "{what}");
        assert_eq!(problem["type"], format!("urn:vingate:problem:{code}"));
        assert_eq!(problem["status"], status);
        assert_eq!(problem["request_id"], response.field("x-request-id"));
        assert_eq!(response.field("content-type"), "application/problem+json");
        assert_eq!(gateway.sandbox.counters().batches, 0);
        let promised: &[_] = match status {
            401 => &["www-authenticate"],
            405 => &["allow"],
            429 => &["retry-after"],
            _ => &[],
        };
        assert!(promised.iter().all(|name| !response.field(name).is_empty()), "{what}");
    }
}

#[tokio::test]
async fn a_cached_answer_spares_nobody_a_check() {
    let gateway = Gateway::start(SCOPES).await;
    let ask = async |token: &str| -> Response {
        let request = Request::get(BATCH).header("authorization", token);
        gateway.send_bare(request, batch_body(&[ONE])).await
    };
    ask(&gateway.token("a", Some("r"))).await.expect(200);
    ask(&gateway.token("a", Some("r"))).await.expect(200);
    ask(&gateway.token("a", Some("w"))).await.expect(403);
    ask(&gateway.token("a", None)).await.expect(403);
    ask("Bearer x").await.expect(401);
    assert_eq!(gateway.sandbox.counters().batches, 1);
}

#[tokio::test]
async fn bounds_bodies_targets_and_heads() {
    let gateway = Gateway::start(
        "[server]\nmax_uri = \"1KiB\"\nmax_head = \"16KiB\"\nmax_fields = 20\n\
         [limit]\nmax_body = \"2KiB\"",
    )
    .await;
    let get = |target: String| Request::get(target);
    let fields = |mut request: http::request::Builder, count, length: usize| {
        for nth in 0..count {
            request = request.header(format!("x-{nth}"), "x".repeat(length));
        }
        request
    };
    let upsert = Request::put("/api/upsert-vehicle-info");
    let spaces = |count| format!("{{{}}}", " ".repeat(count));
    for (what, request, body, status) in [
        ("uri", get(format!("/{}", "x".repeat(1023))), String::new(), 404),
        ("long uri", get(format!("/{}", "x".repeat(1024))), String::new(), 414),
        ("long query", get(format!("/?{}", "x".repeat(1024))), String::new(), 414),
        ("fields", fields(get("/".into()), 15, 10), String::new(), 404),
        ("many fields", fields(get("/".into()), 21, 10), String::new(), 431),
        ("large head", fields(get("/".into()), 1, 20_000), String::new(), 431),
        ("batch", Request::get(BATCH), spaces(2047), 413),
        ("upsert", upsert, spaces(2047), 413),
        ("other write", Request::post("/sandbox/sink"), spaces(1_000_000), 200),
        ("get, length known", Request::get("/sandbox/echo"), spaces(1_000_000), 200),
    ] {
        let response = gateway.send(request, body).await;
        assert_eq!(response.status, status, "{what}: {}", response.text());
    }
}

/// Asks until the rate is used up, which may take a little more than a burst.
async fn until_refused(ask: impl AsyncFn() -> Response, until_then: u16) -> Response {
    for _ in 0..20 {
        let response = ask().await;
        if response.status == 429 {
            return response;
        }
        response.expect(until_then);
    }
    panic!("the rate is not kept");
}

#[tokio::test]
async fn a_client_above_its_rate_is_told_when_to_come_again_and_others_are_not_disturbed() {
    let gateway = Gateway::start("[limit.rate]\nrequests_per_second = 1\nburst = 5").await;
    let ask = async |token: &str| {
        let request = Request::get("/sandbox/bytes/1").header("authorization", token);
        gateway.send_bare(request, "").await
    };
    let (alice, bob) = (gateway.token("alice", None), gateway.token("bob", None));
    for _ in 0..5 {
        ask(&alice).await.expect(200);
    }
    let refused = until_refused(async || ask(&alice).await, 200).await;
    assert_eq!(refused.json()["code"], "RateLimited");
    assert_eq!(refused.field("retry-after"), "1");
    ask(&bob).await.expect(200);
    assert_eq!(
        gateway
            .metric(r#"vingate_limit_refusals_total{reason="rate"}"#)
            .await,
        1.0
    );
    // Whoever has no name counts as the address.
    until_refused(async || ask("Bearer x").await, 401).await;
    ask(&bob).await.expect(200);
}

#[tokio::test]
async fn a_client_has_a_quarter_of_the_places_and_all_have_all() {
    let gateway = Gateway::start("[limit]\nmax_in_flight = 8").await;
    gateway
        .sandbox
        .set_faults(Faults { hang: true, ..Faults::default() });
    let ask = async |subject: &str| {
        let vehicles: Vec<_> = gateway.sandbox.vehicles(Class::Finished).take(1).collect();
        let request = Request::get(BATCH).header("authorization", gateway.token(subject, None));
        gateway
            .send_bare(request, batch_body(&[spelled(&vehicles[0])]))
            .await
    };
    let in_flight = async |count| gateway.until_metric("vingate_http_in_flight", count).await;
    let (held, ()) =
        tokio::join!(join_all(["a", "a", "b", "b", "c", "c", "d", "d"].map(ask)), async {
            in_flight(8.0).await;
            let refused = ask("e").await.expect(503);
            assert_eq!(refused.json()["code"], "Overloaded");
            assert_eq!(refused.field("retry-after"), "1");
            gateway.sandbox.clear_faults();
        },);
    assert!(held.iter().all(|response| response.status == 200));
    assert_eq!(
        gateway
            .metric(r#"vingate_limit_refusals_total{reason="in_flight"}"#)
            .await,
        1.0
    );

    gateway.purge().await;
    gateway
        .sandbox
        .set_faults(Faults { hang: true, ..Faults::default() });
    let (held, ()) = tokio::join!(join_all(["a", "a"].map(ask)), async {
        in_flight(2.0).await;
        assert_eq!(ask("a").await.expect(503).json()["code"], "Overloaded");
        gateway.sandbox.clear_faults();
        ask("b").await.expect(200);
    });
    assert!(held.iter().all(|response| response.status == 200));
    let series = r#"vingate_limit_refusals_total{reason="client_in_flight"}"#;
    assert_eq!(gateway.metric(series).await, 1.0);
}

#[tokio::test]
async fn never_calls_the_upstream_more_often_at_once_than_it_may() {
    let gateway = Gateway::start("[upstream]\nmax_in_flight = 3").await;
    let vehicles: Vec<_> = gateway.sandbox.vehicles(Class::Finished).take(20).collect();
    let ask = async |nth: usize| gateway.batch(&[spelled(&vehicles[nth])]).await;
    for response in join_all((0..20).map(ask)).await {
        response.expect(200);
    }
    assert!(gateway.sandbox.counters().peak <= 3);
    assert_eq!(gateway.metric("vingate_upstream_in_flight").await, 0.0);
}

/// A request over the wire, with a length.
fn request(line: &str, fields: &str, body: &str) -> String {
    format!("{line} HTTP/1.1\r\nHost: a\r\n{fields}Content-Length: {}\r\n\r\n{body}", body.len())
}

fn bearer(gateway: &Gateway) -> String {
    format!("Authorization: {}\r\n", gateway.own_token())
}

#[tokio::test]
async fn after_an_early_answer_the_next_request_on_the_connection_is_read_right() {
    // A body that is a request: whoever reads it as one gives itself away.
    let smuggled = "GET /sandbox/echo/smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    for size in ["64KiB", "16B"] {
        let gateway = Gateway::start(&format!("[limit]\nmax_body = \"{size}\"")).await;
        let token = bearer(&gateway);
        let is_small = size == "16B";
        let good = batch_body(&[ONE]);
        let (get, put) = (format!("GET {BATCH}"), "PUT /api/upsert-vehicle-info");
        let early = match is_small {
            true => {
                vec![(413, request(&get, &token, smuggled)), (413, request(put, &token, smuggled))]
            }
            false => vec![
                (200, request(&get, &token, &good)),
                (200, request(&get, &token, &good)),
                (401, request(&get, "", smuggled)),
                (401, request("POST /x", "Authorization: Bearer x\r\n", smuggled)),
                (400, request(&get, &token, smuggled)),
                (415, request(&get, &format!("{token}Content-Type: x/y\r\n"), smuggled)),
                (
                    504,
                    request(
                        &get,
                        &format!("{token}Cache-Control: only-if-cached\r\n"),
                        &good.replace('1', "2"),
                    ),
                ),
                (404, request("POST /api/nothing", &token, smuggled)),
            ],
        };
        let mut wire = Wire::connect(gateway.address).await;
        for (nth, (status, early)) in early.into_iter().enumerate() {
            wire.send(early).await;
            wire.response().await.expect(status);
            let echo = format!("GET /sandbox/echo/{nth}");
            wire.send(request(&echo, &token, "")).await;
            let response = wire.response().await.expect(200);
            assert_eq!(response.json()["target"], format!("/sandbox/echo/{nth}"), "after {status}");
        }
        for call in gateway.sandbox.calls() {
            assert!(!call.target.path().ends_with("smuggled"));
        }
    }
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order_whatever_becomes_of_each() {
    let gateway = Gateway::start("").await;
    let token = bearer(&gateway);
    let mut all = String::new();
    let good = batch_body(&[ONE]);
    for nth in 0..50 {
        all += &request(&format!("POST /sandbox/echo/{nth}"), &token, "x");
        all += &request(&format!("GET {BATCH}"), &token, &good);
        all += &request(&format!("GET {BATCH}"), "", &good);
    }
    let mut wire = Wire::connect(gateway.address).await;
    wire.send(all).await;
    for nth in 0..50 {
        let echo = wire.response().await.expect(200);
        assert_eq!(echo.json()["target"], format!("/sandbox/echo/{nth}"));
        wire.response().await.expect(200);
        wire.response().await.expect(401);
    }
}

#[tokio::test]
async fn a_body_that_is_too_long_to_drain_ends_the_connection() {
    let gateway = Gateway::start("").await;
    let mut wire = Wire::connect(gateway.address).await;
    let head = format!("GET {BATCH} HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n");
    wire.send(head).await;
    wire.send(vec![b'x'; 300 * 1024]).await;
    wire.response().await.expect(401);
    assert!(wire.is_closed().await);
}

#[tokio::test]
async fn bodies_that_do_not_end_take_no_more_than_a_share() {
    let gateway = Gateway::start("").await;
    let greedy = format!("Authorization: {}\r\n", gateway.token("greedy", None));
    let length = 8 * 1024 * 1024;
    let unended = vec![b' '; length - 1];
    for line in [format!("GET {BATCH}"), "PUT /api/upsert-vehicle-info".into()] {
        let head =
            format!("{line} HTTP/1.1\r\nHost: a\r\n{greedy}Content-Length: {length}\r\n\r\n");
        // Four are a client's share.
        let bodies = (0..5).map(async |_| {
            let mut wire = Wire::connect(gateway.address).await;
            wire.send(&head).await;
            wire.send(&unended).await;
            (wire.response().await, wire)
        });
        let mut held: Vec<_> = bodies.map(Box::pin).collect();
        let ((refused, _), _, rest) = select_all(held.drain(..)).await;
        assert_eq!(refused.status, 503, "{line}");
        assert!(refused.head.contains("\r\nretry-after: 1\r\n"), "{}", refused.head);

        let large = batch_body(&[ONE]) + &" ".repeat(1024 * 1024);
        for (fields, body) in [(&*greedy, batch_body(&[ONE])), (&*bearer(&gateway), large)] {
            let mut wire = Wire::connect(gateway.address).await;
            wire.send(request(&format!("GET {BATCH}"), fields, &body))
                .await;
            wire.response().await.expect(200);
        }
        drop(rest);
    }
}

#[tokio::test]
async fn asks_for_a_body_when_it_is_wanted_and_not_before() {
    let gateway = Gateway::start("").await;
    let token = bearer(&gateway);
    let good = batch_body(&[ONE]);
    let expecting = |line: &str, fields: &str, length: usize| {
        format!(
            "{line} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n{fields}\
             Content-Length: {length}\r\n\r\n"
        )
    };
    for (line, body) in [(format!("GET {BATCH}"), &*good), ("POST /sandbox/sink".into(), "body")] {
        let mut wire = Wire::connect(gateway.address).await;
        wire.send(expecting(&line, &token, body.len())).await;
        wire.response().await.expect(100);
        wire.send(body).await;
        wire.response().await.expect(200);
        wire.send(request("GET /sandbox/echo", &token, "")).await;
        wire.response().await.expect(200);
    }
    for (line, fields, status) in [
        (format!("GET {BATCH}"), "", 401),
        (format!("GET {BATCH}"), &*format!("{token}Content-Type: x/y\r\n"), 415),
        ("POST /a/../b".into(), "", 400),
    ] {
        let mut wire = Wire::connect(gateway.address).await;
        wire.send(expecting(&line, fields, good.len())).await;
        wire.response().await.expect(status);
    }
    let mut wire = Wire::connect(gateway.address).await;
    wire.send(request("POST /x", &format!("{token}Expect: 200-ok\r\n"), ""))
        .await;
    wire.response().await.expect(417);
}

#[tokio::test]
async fn no_answer_and_no_error_shows_a_secret() {
    let gateway = Gateway::start("").await;
    gateway
        .sandbox
        .set_faults(Faults { body: Some("[1]".into()), ..Faults::default() });
    let (_, token) = gateway.own_token().split_once(' ').unwrap();
    for response in [
        gateway.batch(&[ONE]).await,
        gateway
            .send(Request::builder().method(Method::DELETE).uri("/x"), "")
            .await,
        gateway.admin(Request::get("/metrics"), "").await,
        gateway.admin(Request::get("/config"), "").await,
        gateway.admin(Request::get("/"), "").await,
    ] {
        let text = response.text();
        for secret in [token, SECRET, "SYNC_ALL", ONE.0, ONE.1] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}
