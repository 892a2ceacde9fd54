//! What is forwarded, both ways.

use http::{Method, Request};
use serde_json::Value;
use vingate::sandbox::{Faults, Only};

use crate::support::{ALL, Gateway, JSON, Response, Wire};

/// The value of a field in what the echo of the upstream shows.
fn echoed<'a>(echo: &'a Value, name: &str) -> Option<&'a str> {
    let fields = echo["headers"].as_array().unwrap();
    fields
        .iter()
        .find(|field| field[0] == name)
        .map(|field| field[1].as_str().unwrap())
}

/// What answers carry only for the sake of a test.
fn only_all(status: u16, fields: &[(&str, &str)]) -> Faults {
    let fields = fields
        .iter()
        .map(|(name, value)| (name.to_string(), value.to_string()));
    Faults { only: Only::All, status: Some(status), headers: fields.collect(), ..Faults::default() }
}

#[tokio::test]
async fn every_method_path_query_and_body_goes_up_as_it_is() {
    let gateway = Gateway::start("").await;
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "PROPFIND", "X-Y"] {
        for target in
            ["/sandbox/echo", "/sandbox/echo/%41b%2Fc;d=%20?a=b&a=%2b+c&;=", "/sandbox/echo?"]
        {
            let request = Request::builder()
                .method(method)
                .uri(target)
                .header("content-type", "x/y; z=\"1\"")
                .header("range", "bytes=1-2");
            let response = gateway.send(request, "body ñ").await.expect(200).json();
            assert_eq!(response["method"], method);
            assert_eq!(response["target"], target);
            assert_eq!(response["body"], "body ñ");
            assert_eq!(echoed(&response, "content-type"), Some("x/y; z=\"1\""));
            assert_eq!(echoed(&response, "range"), Some("bytes=1-2"));
        }
    }
}

#[tokio::test]
async fn says_on_whose_behalf_it_asks_and_by_which_way() {
    let gateway = Gateway::start("").await;
    let request = Request::get("/sandbox/echo")
        .header("x-forwarded-for", "192.0.2.1")
        .header("forwarded", "for=192.0.2.1")
        .header("via", "1.0 before")
        .header("x-request-id", "mine-1")
        .header("traceparent", "00-1-2-01")
        .header("x_api_key", "forged")
        .header("x-original-url", "/admin")
        .header("x-http-method-override", "DELETE")
        .header("connection", "x-mine, authorization")
        .header("x-mine", "1")
        .header("cookie", "session=1")
        .header("x-api-key", "own");
    let response = gateway.send(request, "").await.expect(200);
    assert_eq!(response.field("x-request-id"), "mine-1");
    assert!(response.field("via").ends_with("vingate"), "{}", response.field("via"));
    let echo = response.json();
    let host = gateway.sandbox.local_addr().to_string();
    for (name, value) in [
        ("host", Some(&*host)),
        ("authorization", Some(ALL)),
        ("via", Some("1.0 before, 1.1 vingate")),
        ("x-forwarded-for", Some("127.0.0.1")),
        ("x-forwarded-proto", Some("http")),
        ("x-forwarded-host", Some(&*gateway.address.to_string())),
        ("x-request-id", Some("mine-1")),
        ("traceparent", Some("00-1-2-01")),
        ("cookie", None),
        ("x-api-key", None),
        ("x_api_key", None),
        ("x-original-url", None),
        ("x-http-method-override", None),
        ("x-mine", None),
    ] {
        // Several fields of one name may have come.
        let found = echoed(&echo, name);
        let joined = match name {
            "via" => Some(vias(&echo)),
            _ => found.map(str::to_owned),
        };
        assert_eq!(joined.as_deref(), value, "{name}");
    }
    assert!(echoed(&echo, "forwarded").is_none_or(|it| !it.contains("192.0.2.1")));
}

fn vias(echo: &Value) -> String {
    let fields = echo["headers"].as_array().unwrap();
    let vias = fields.iter().filter(|field| field[0] == "via");
    let vias: Vec<_> = vias.map(|field| field[1].as_str().unwrap()).collect();
    vias.join(", ")
}

#[tokio::test]
async fn a_request_without_a_sane_name_gets_one() {
    let gateway = Gateway::start("").await;
    for name in ["", "a b", "x\u{e9}", &"x".repeat(129)] {
        let request = Request::get("/sandbox/echo").header("x-request-id", name.as_bytes());
        let response = gateway.send(request, "").await.expect(200);
        let made = response.field("x-request-id").to_owned();
        assert!(made.len() >= 16 && made != name);
        assert_eq!(echoed(&response.json(), "x-request-id"), Some(&*made));
    }
}

#[tokio::test]
async fn bodies_pass_whole_in_both_directions() {
    let gateway = Gateway::start("").await;
    for size in [0, 1, 65_535, 5_000_000] {
        let response = gateway
            .get(&format!("/sandbox/bytes/{size}"))
            .await
            .expect(200);
        assert_eq!(response.body.len(), size);
        let right = |(nth, &byte): (usize, &u8)| byte as usize == nth % 251;
        assert!(response.body.iter().enumerate().all(right));
        let sent = gateway
            .send(Request::post("/sandbox/sink"), response.body.clone())
            .await;
        let sent = sent.expect(200).json();
        assert_eq!(sent["length"], size);
        let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &response.body);
        let digest: String = digest
            .as_ref()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        assert_eq!(sent["sha256"], digest);
    }
}

#[tokio::test]
async fn a_get_with_a_chunked_body_goes_up_with_its_length_and_all_its_bytes() {
    let gateway = Gateway::start("[limit]\nmax_body = \"64KiB\"").await;
    let head = |method: &str| {
        format!(
            "{method} /sandbox/echo HTTP/1.1\r\nHost: a\r\nAuthorization: {}\r\n\
             Transfer-Encoding: chunked\r\n\r\n",
            gateway.own_token()
        )
    };
    let mut wire = Wire::connect(gateway.address).await;
    for method in ["GET", "OPTIONS", "DELETE", "POST"] {
        wire.send(head(method)).await;
        for part in ["5\r\nhello\r\n", "7;x=y\r\n, world\r\n", "0\r\n\r\n"] {
            wire.send(part).await;
        }
        let echo = wire.response().await.expect(200).json();
        assert_eq!(echo["body"], "hello, world", "{method}");
        if method == "GET" {
            assert_eq!(echoed(&echo, "content-length"), Some("12"));
            assert_eq!(echoed(&echo, "transfer-encoding"), None);
        }
    }
    // Beyond what is buffered there is no way to send it.
    wire.send(head("GET")).await;
    wire.send(format!("{:x}\r\n{}\r\n0\r\n\r\n", 70_000, "x".repeat(70_000)))
        .await;
    let refused = wire.response().await.expect(413);
    assert_eq!(refused.json()["code"], "PayloadTooLarge");
    wire.send(head("GET")).await;
    wire.send("1\r\nx\r\n0\r\n\r\n").await;
    assert_eq!(wire.response().await.expect(200).json()["body"], "x", "the connection goes on");
}

#[tokio::test]
async fn a_torn_body_is_the_callers_fault_and_never_looks_whole() {
    let gateway = Gateway::start("").await;
    for torn in ["5\r\nhel", "zz\r\nhello\r\n0\r\n\r\n", "5\r\nhelloo\r\n0\r\n\r\n"] {
        let mut wire = Wire::connect(gateway.address).await;
        wire.send(format!(
            "POST /sandbox/sink HTTP/1.1\r\nHost: a\r\nAuthorization: {}\r\n\
             Transfer-Encoding: chunked\r\n\r\n{torn}",
            gateway.own_token()
        ))
        .await;
        if torn.ends_with("hel") {
            drop(wire);
            continue;
        }
        wire.response().await.expect(400);
        assert!(wire.is_closed().await);
    }
    gateway
        .until_metric("vingate_upstream_in_flight", 0.0)
        .await;
    assert!(gateway.sandbox.calls().is_empty(), "none arrived whole");
}

#[tokio::test]
async fn vehicles_are_cleaned_in_paths_queries_and_bodies_and_nothing_else_changes() {
    let gateway = Gateway::start("").await;
    let body = "{ \"vehicleInfo\" : {\"vin\":\"3vw-fe21c04m000001\",\"plate\" : \"mff 956\\u002dm\",\
                \"ownerName\":\"José  \\u00e9\", \"x\":[1.0]} , \"y\":1e2 }";
    let clean = "{ \"vehicleInfo\" : {\"vin\":\"3VWFE21C04M000001\",\"plate\" : \"MFF956M\",\
                 \"ownerName\":\"José  \\u00e9\", \"x\":[1.0]} , \"y\":1e2 }";
    let put = Request::put("/api/upsert-vehicle-info").header("content-type", JSON);
    gateway.send(put, body).await.expect(200);
    let patch = Request::patch("/api/v2/vehicles/%203vw%2Dfe21c04m000001/status");
    gateway
        .send(patch, r#"{"vehicleStatusId":3}"#)
        .await
        .expect(204);
    gateway
        .get("/api/vehicles?plate=mff-9&x=a+b&vin=3vw%20f")
        .await
        .expect(200);
    let calls = gateway.sandbox.calls();
    assert_eq!(calls[0].body, clean);
    assert_eq!(calls[0].headers["content-length"], clean.len().to_string().as_str());
    assert_eq!(calls[1].target, "/api/v2/vehicles/3VWFE21C04M000001/status");
    assert_eq!(calls[2].target, "/api/vehicles?plate=MFF9&x=a+b&vin=3VWF");

    for (method, target, body, code) in [
        (Method::PATCH, "/api/v2/vehicles/3VWFE21C04M00000O/status", "{}", "BadParameters"),
        (Method::PATCH, "/api/v2/vehicles/3VWFE21C04M000001%2F/status", "{}", "BadRequest"),
        (Method::PATCH, "/api/v2/vehicles/3VWFE21C04M%00000001/status", "{}", "BadRequest"),
        (
            Method::PUT,
            "/api/upsert-vehicle-info",
            r#"{"vehicleInfo":{"vin":"3VWFE21C04M000001","plate":"ABCDEFGHIJKLMNOP"}}"#,
            "BadParameters",
        ),
        (
            Method::PUT,
            "/api/upsert-vehicle-info",
            r#"{"vehicleInfo":{"vin":"3VWFE21C04M000001","plate":"A1","plate":"B1"}}"#,
            "BadRequest",
        ),
    ] {
        let request = Request::builder().method(method).uri(target);
        let refused = gateway.send(request, body).await.expect(400);
        assert_eq!(refused.json()["code"], code, "{target}");
    }
    assert_eq!(gateway.sandbox.calls().len(), 3, "nothing of these went up");
}

#[tokio::test]
async fn an_answer_leads_back_to_the_gateway_and_is_otherwise_the_upstreams() {
    let gateway = Gateway::start("").await;
    let origin = gateway.sandbox.url();
    for (location, seen) in [
        (format!("{origin}/a/b?c=d#e"), "/a/b?c=d#e"),
        (origin.clone(), "/"),
        ("/a".to_owned(), "/a"),
        ("https://elsewhere.example/a".to_owned(), "https://elsewhere.example/a"),
    ] {
        let fields = [("Location", &*location), ("Set-Cookie", "a=b"), ("Keep-Alive", "timeout=1")];
        gateway.sandbox.set_faults(only_all(302, &fields));
        let response = gateway.get("/x").await.expect(302);
        assert_eq!(response.field("location"), seen);
        assert_eq!(response.field("set-cookie"), "a=b");
        assert_eq!(response.field("keep-alive"), "");
    }
    assert_eq!(gateway.sandbox.counters().others, 4, "no redirect is followed");
}

#[tokio::test]
async fn what_the_upstream_does_not_do_is_told_as_a_problem() {
    let gateway = Gateway::start("[upstream]\nattempt_timeout = \"1s\"").await;
    let all = |faults: Faults| Faults { only: Only::All, ..faults };
    for (faults, status, code, error) in [
        (
            Faults { close: true, ..Faults::default() },
            502,
            "BadGateway",
            "error=http_response_incomplete",
        ),
        (
            Faults { hang: true, ..Faults::default() },
            504,
            "UpstreamTimeout",
            "error=http_response_timeout",
        ),
    ] {
        gateway.sandbox.set_faults(all(faults));
        let response: Response = gateway.send(Request::post("/x"), "").await.expect(status);
        assert_eq!(response.json()["code"], code);
        assert_eq!(response.field("proxy-status"), format!("vingate; {error}"));
    }
    let sandbox = vingate::sandbox::Sandbox::spawn().await.unwrap();
    let port = sandbox.local_addr().port();
    sandbox.stop().await;
    let nobody = format!("[upstream]\nurl = \"http://127.0.0.1:{port}\"");
    let gateway = Gateway::start(&nobody).await;
    let response = gateway.get("/x").await.expect(502);
    assert_eq!(response.field("proxy-status"), "vingate; error=connection_refused");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_ended_as_if_it_were_whole() {
    let gateway = Gateway::start("").await;
    for chunked in [true, false] {
        let cut = Faults { only: Only::All, cut_after: Some(1000), chunked, ..Faults::default() };
        gateway.sandbox.set_faults(cut);
        let mut wire = Wire::connect(gateway.address).await;
        wire.send(format!(
            "GET /sandbox/bytes/5000 HTTP/1.1\r\nHost: a\r\nAuthorization: {}\r\n\r\n",
            gateway.own_token()
        ))
        .await;
        let head = wire.head().await;
        assert!(head.starts_with("http/1.1 200 ok"));
        let rest = wire.rest().await;
        assert!(rest.len() < 5000 && !rest.ends_with(b"0\r\n\r\n"), "chunked: {chunked}");
    }
}

#[tokio::test]
async fn old_callers_are_served() {
    let gateway = Gateway::start("").await;
    let mut wire = Wire::connect(gateway.address).await;
    let token = gateway.own_token();
    wire.send(format!("GET /sandbox/bytes/10 HTTP/1.0\r\nAuthorization: {token}\r\n\r\n"))
        .await;
    let response = wire.response().await.expect(200);
    assert_eq!(response.body.len(), 10);
    assert!(wire.is_closed().await);
}

#[tokio::test]
async fn heads_are_answered_without_a_body_and_with_its_length() {
    let gateway = Gateway::start("").await;
    let head = gateway
        .send(Request::head("/sandbox/bytes/123"), "")
        .await
        .expect(200);
    assert_eq!((head.field("content-length"), head.body.len()), ("123", 0));
}
