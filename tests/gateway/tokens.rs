//! Who is let in. What tokens may look like in detail stands in the tests of `src/auth`.

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{Method, Request};
use serde_json::{Value, json};

use crate::support::{BATCH, Gateway, JSON, Response, SECRET, batch_body};

const ONE: (&str, &str) = ("3VWFE21C04M000001", "MFF956M");

const AUTH: &str = "[auth]\nissuer = \"https://login.example\"\naudience = [\"vingate\"]\n\
                    scope = { read = \"vehicles:read\", write = \"vehicles:write\" }";

/// A token with these claims, signed with the key of the tests.
fn signed(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(header), part(claims));
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, SECRET.as_bytes());
    let signature = aws_lc_rs::hmac::sign(&key, text.as_bytes());
    format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(signature))
}

fn claims() -> Value {
    json!({
        "iss": "https://login.example",
        "aud": "vingate",
        "sub": "alice",
        "exp": now() + 600,
        "scope": "x vehicles:read",
    })
}

fn now() -> u64 {
    std::time::UNIX_EPOCH.elapsed().unwrap().as_secs()
}

/// `claims()` with one claim set, or taken away.
fn with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    match value {
        Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
        value => claims[name] = value,
    }
    claims
}

async fn ask(gateway: &Gateway, tokens: &[&str]) -> Response {
    let mut request = Request::get(BATCH).header("content-type", JSON);
    for token in tokens {
        request = request.header("authorization", *token);
    }
    gateway.send_bare(request, batch_body(&[ONE])).await
}

#[tokio::test]
async fn lets_in_whom_its_keys_vouch_for_and_nobody_else() {
    let gateway = Gateway::start(AUTH).await;
    let header = json!({"alg": "HS256", "kid": "test", "typ": "JWT"});
    let invalid = "invalid";
    for (what, header, claims, refused) in [
        ("good", header.clone(), claims(), None),
        ("no kid", json!({"alg": "HS256"}), claims(), None),
        ("typ at+jwt", json!({"alg": "HS256", "typ": "application/AT+JWT"}), claims(), None),
        ("several audiences", header.clone(), with("aud", json!(["x", "vingate"])), None),
        ("within the leeway", header.clone(), with("exp", json!(now() - 10)), None),
        ("expired", header.clone(), with("exp", json!(now() - 60)), Some("expired")),
        ("early", header.clone(), with("nbf", json!(now() + 60)), Some("not yet valid")),
        ("no exp", header.clone(), with("exp", Value::Null), Some(invalid)),
        ("no sub", header.clone(), with("sub", Value::Null), Some(invalid)),
        ("empty sub", header.clone(), with("sub", json!("")), Some(invalid)),
        ("other iss", header.clone(), with("iss", json!("https://login.example/")), Some(invalid)),
        ("other aud", header.clone(), with("aud", json!("vingate2")), Some(invalid)),
        ("alg none", json!({"alg": "none"}), claims(), Some(invalid)),
        ("other alg", json!({"alg": "HS512", "kid": "test"}), claims(), Some(invalid)),
        ("other kid", json!({"alg": "HS256", "kid": "x"}), claims(), Some(invalid)),
        ("crit", json!({"alg": "HS256", "crit": ["x"]}), claims(), Some(invalid)),
        ("other typ", json!({"alg": "HS256", "typ": "id"}), claims(), Some(invalid)),
    ] {
        let token = format!("Bearer {}", signed(&header, &claims));
        let response = ask(&gateway, &[&token]).await;
        let Some(refused) = refused else {
            assert_eq!(response.status, 200, "{what}: {}", response.text());
            continue;
        };
        assert_eq!(response.status, 401, "{what}");
        let challenge = response.field("www-authenticate");
        assert!(challenge.starts_with(r#"Bearer error="invalid_token""#), "{what}: {challenge}");
        assert!(challenge.contains(refused), "{what}: {challenge}");
        assert_eq!(response.json()["code"], "Unauthorized");
    }
    let calls = gateway.sandbox.counters().batches;
    assert_eq!(calls, 1, "the others were the same vehicle for the same account");
}

#[tokio::test]
async fn a_token_stands_in_one_authorization_field_or_nowhere() {
    let gateway = Gateway::start(AUTH).await;
    let good = gateway.token("alice", Some("vehicles:read"));
    let (_, bare) = good.split_once(' ').unwrap();
    let (other, cut) = (good.replace("Bearer", "bearer"), &good[..good.len() - 1]);
    let long = format!("Bearer {}", "x".repeat(17_000));
    for (tokens, status, challenge) in [
        (&[&*good][..], 200, ""),
        (&[&*other], 200, ""),
        (&[], 401, "Bearer"),
        (&["Basic YTpi"], 401, "Bearer"),
        (&[bare], 401, "Bearer"),
        (&[cut], 401, "Bearer error=\"invalid_token\""),
        (&[&*good, &*good], 401, "Bearer error=\"invalid_token\""),
        (&[&*long], 401, "Bearer error=\"invalid_token\""),
        (&["Bearer a.b.c"], 401, "Bearer error=\"invalid_token\""),
    ] {
        let response = ask(&gateway, tokens).await.expect(status);
        let found = response.field("www-authenticate");
        let plain = challenge == "Bearer";
        assert!(if plain { found == challenge } else { found.starts_with(challenge) }, "{found}");
    }
    for request in [
        Request::get(format!("/sandbox/echo?access_token={bare}")),
        Request::get("/sandbox/echo").header("cookie", format!("access_token={bare}")),
        Request::get("/sandbox/echo").header("x-authorization", &good),
    ] {
        gateway.send_bare(request, "").await.expect(401);
    }
}

#[tokio::test]
async fn reading_and_writing_need_a_scope_each() {
    let gateway = Gateway::start(AUTH).await;
    let methods = [
        ("GET", "read"),
        ("HEAD", "read"),
        ("OPTIONS", "read"),
        ("QUERY", "read"),
        ("POST", "write"),
        ("PUT", "write"),
        ("PATCH", "write"),
        ("DELETE", "write"),
        ("X-Y", "write"),
    ];
    for (method, needed) in methods {
        for (scope, has) in [
            ("vehicles:read", "read"),
            ("vehicles:write", "write"),
            ("vehicles:read vehicles:write", needed),
            ("vehicles:reader vehicles:writer x", ""),
        ] {
            let request = Request::builder()
                .method(method)
                .uri("/sandbox/echo")
                .header("authorization", gateway.token("alice", Some(scope)));
            let response = gateway.send_bare(request, "").await;
            let status = if has == needed { 200 } else { 403 };
            assert_eq!(response.status, status, "{method} with {scope}");
            if status == 403 {
                let challenge = response.field("www-authenticate");
                let says =
                    format!("Bearer error=\"insufficient_scope\", scope=\"vehicles:{needed}\"");
                assert_eq!(challenge, says);
            }
        }
    }
    let read = gateway.token("alice", Some("vehicles:read"));
    for (target, overridden, status) in
        [(BATCH, "get", 200), (BATCH, "PUT", 400), ("/sandbox/echo", "GET", 403)]
    {
        let request = Request::builder()
            .method(Method::POST)
            .uri(target)
            .header("authorization", &read)
            .header("content-type", JSON)
            .header("x-http-method-override", overridden);
        let response = gateway.send_bare(request, batch_body(&[ONE])).await;
        assert_eq!(response.status, status, "{target} {overridden}");
    }
}

#[tokio::test]
async fn tokens_are_counted_by_what_came_of_them() {
    let gateway = Gateway::start(AUTH).await;
    let good = gateway.token("alice", Some("vehicles:read"));
    for _ in 0..3 {
        ask(&gateway, &[&good]).await.expect(200);
    }
    ask(&gateway, &[]).await.expect(401);
    let expired = signed(&json!({"alg": "HS256"}), &with("exp", json!(1)));
    ask(&gateway, &[&format!("Bearer {expired}")])
        .await
        .expect(401);
    for (outcome, count) in [("accepted", 3.0), ("missing", 1.0), ("expired", 1.0)] {
        let series = format!("vingate_auth_tokens_total{{outcome=\"{outcome}\"}}");
        assert_eq!(gateway.metric(&series).await, count, "{outcome}");
    }
}
