//! The sandbox's own paths.

use http::Method;
use http_body_util::BodyExt as _;
use serde_json::json;

use super::*;

#[tokio::test]
async fn streams_as_many_bytes_as_are_wanted() {
    let (_sandbox, client) = start().await;
    for count in [0, 1, 250, 251, 65_535, 65_536, 65_537, 1_000_000] {
        let reply = client.get(&format!("/sandbox/bytes/{count}")).await;
        assert_eq!(reply.body.len(), count);
        assert!(
            reply
                .body
                .iter()
                .enumerate()
                .all(|(at, &byte)| byte == (at % 251) as u8),
            "{count}"
        );
    }
}

#[tokio::test]
async fn announces_more_bytes_than_any_memory_holds() {
    let (sandbox, client) = start().await;
    let huge = client
        .open(Method::GET, "/sandbox/bytes/1000000000000000", "")
        .await
        .unwrap();
    assert_eq!(huge.headers()["content-length"], "1000000000000000");
    let mut body = huge.into_body();
    assert!(body.frame().await.is_some());
    assert_eq!(sandbox.counters().open, 1);
    drop(body);
    sandbox.until(|seen| seen.open == 0).await;
    let head = client.send(Method::HEAD, "/sandbox/bytes/7", "").await;
    assert_eq!((&head.headers["content-length"], head.body.len()), (&"7".parse().unwrap(), 0));
}

#[tokio::test]
async fn swallows_any_body_and_tells_its_length_and_hash() {
    let (_sandbox, client) = start().await;
    for (body, sha256) in [
        ("", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
        ("abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
    ] {
        let reply = client.send(Method::POST, "/sandbox/sink", body).await;
        assert_eq!(reply.json(), json!({ "length": body.len(), "sha256": sha256 }));
    }
    let reply = client
        .send(Method::POST, "/sandbox/sink", &"x".repeat(3_000_000))
        .await;
    assert_eq!(reply.json()["length"], 3_000_000);
}

#[tokio::test]
async fn echoes_a_request() {
    let (_sandbox, client) = start().await;
    let reply = client
        .send(Method::DELETE, "/sandbox/echo/a%2Fb?c=d", "ñ")
        .await
        .json();
    assert_eq!(reply["method"], "DELETE");
    assert_eq!(reply["target"], "/sandbox/echo/a%2Fb?c=d");
    assert_eq!(reply["version"], "HTTP/1.1");
    assert_eq!((&reply["body"], &reply["length"]), (&json!("ñ"), &json!(2)));
    assert!(
        reply["headers"]
            .as_array()
            .unwrap()
            .contains(&json!(["x-api-key", "trial"]))
    );
    let large = client
        .send(Method::POST, "/sandbox/echo", &"x".repeat(65_537))
        .await
        .json();
    assert_eq!((&large["body"], &large["length"]), (&json!(null), &json!(65_537)));
}

#[tokio::test]
async fn is_read_and_controlled_over_http() {
    let (sandbox, client) = start().await;
    client.request(&[vehicle(VIN, PLATE)]).await;
    let counters: Counters =
        serde_json::from_slice(&client.get("/sandbox/calls").await.body).unwrap();
    assert_eq!(counters, sandbox.counters());
    assert_eq!((counters.batches, counters.others), (1, 0));

    for (faults, status) in [
        (r#"{"status":503,"calls":1}"#, 204),
        (r#"[{"status":503,"calls":1},{"status":500}]"#, 204),
        (r#"{"statsu":503}"#, 400),
        ("", 400),
    ] {
        assert_eq!(
            client
                .send(Method::POST, "/sandbox/faults", faults)
                .await
                .status,
            status
        );
    }
    for status in [503, 500, 500] {
        assert_eq!(client.request(&[vehicle(VIN, PLATE)]).await.status, status);
    }
    assert_eq!(client.send(Method::POST, "/sandbox/reset", "").await.status, 204);
    assert_eq!(client.get("/sandbox/calls").await.json()["batches"], 0);
    assert_eq!(client.request(&[vehicle(VIN, PLATE)]).await.status, 200);
}
