//! Keys that somebody publishes, seen from outside: whom they let in, and from when to when.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use http::Request;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    time::Instant,
};

use crate::support::{BATCH, Gateway, JSON, Response, batch_body, eventually};

const ONE: (&str, &str) = ("3VWFE21C04M000001", "MFF956M");

/// Publishes keys, or whatever else it is told to answer.
struct KeyServer {
    address: SocketAddr,
    response: Arc<Mutex<String>>,
    fetches: Arc<AtomicUsize>,
}

/// A key of the issuer's.
struct Pair {
    kid: &'static str,
    pair: Ed25519KeyPair,
}

impl KeyServer {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self {
            address: listener.local_addr().unwrap(),
            response: Arc::default(),
            fetches: Arc::default(),
        };
        let (response, fetches) = (Arc::clone(&server.response), Arc::clone(&server.fetches));
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let _ = stream.read(&mut [0; 4096]).await;
                fetches.fetch_add(1, SeqCst);
                let response = response.lock().clone();
                let _ = stream.write_all(response.as_bytes()).await;
            }
        });
        server.fails();
        server
    }

    fn fails(&self) {
        *self.response.lock() = "HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n".to_owned();
    }

    fn publishes(&self, pairs: &[&Pair]) {
        let keys: Vec<_> = pairs.iter().map(|pair| pair.public()).collect();
        let keys = json!({ "keys": keys }).to_string();
        let length = keys.len();
        *self.response.lock() =
            format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{keys}");
    }

    fn toml(&self) -> String {
        format!(
            "[auth]\nissuer = \"https://login.example\"\naudience = [\"vingate\"]\n\
             jwks_url = \"http://{}/jwks\"\n",
            self.address
        )
    }
}

impl Pair {
    fn new(kid: &'static str) -> Self {
        Self { kid, pair: Ed25519KeyPair::generate().unwrap() }
    }

    fn public(&self) -> Value {
        let x = BASE64_URL_SAFE_NO_PAD.encode(self.pair.public_key());
        json!({ "kty": "OKP", "crv": "Ed25519", "kid": self.kid, "x": x })
    }

    /// The `Authorization` of somebody who has a token of this key.
    fn authorization(&self) -> String {
        self.authorization_as(self.kid)
    }

    /// The same with another `kid`.
    fn authorization_as(&self, kid: &str) -> String {
        let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        let exp = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs() + 600;
        let header = json!({ "alg": "EdDSA", "kid": kid });
        let claims =
            json!({ "iss": "https://login.example", "aud": "vingate", "sub": "a", "exp": exp });
        let text = format!("{}.{}", part(&header), part(&claims));
        let signature = BASE64_URL_SAFE_NO_PAD.encode(self.pair.sign(text.as_bytes()));
        format!("Bearer {text}.{signature}")
    }
}

async fn ask(gateway: &Gateway, authorization: &str) -> Response {
    let request = Request::get(BATCH)
        .header("content-type", JSON)
        .header("authorization", authorization);
    gateway.send_bare(request, batch_body(&[ONE])).await
}

async fn readiness(gateway: &Gateway) -> Value {
    let response = gateway.admin(Request::get("/readyz"), "").await;
    assert_eq!(response.status == 200, response.json()["ready"] == true);
    response.json()["reasons"].clone()
}

#[tokio::test]
async fn starts_without_its_key_server_says_so_and_recovers_by_itself() {
    let (server, pair) = (KeyServer::start().await, Pair::new("a"));
    let gateway = Gateway::start(&server.toml()).await;
    assert_eq!(readiness(&gateway).await, json!(["jwks"]));
    // A configured key works meanwhile, and a published one cannot.
    let own = gateway.own_token().to_owned();
    ask(&gateway, &own).await.expect(200);
    ask(&gateway, &pair.authorization()).await.expect(401);
    assert_eq!(gateway.sandbox.counters().batches, 1);

    server.publishes(&[&pair]);
    eventually(async || readiness(&gateway).await == json!([])).await;
    ask(&gateway, &pair.authorization()).await.expect(200);
    for (outcome, is_counted) in [("status", true), ("loaded", true), ("malformed", false)] {
        let series = format!("vingate_auth_jwks_refreshes_total{{outcome=\"{outcome}\"}}");
        assert_eq!(gateway.metric(&series).await > 0.0, is_counted, "{outcome}");
    }
}

#[tokio::test]
async fn a_new_key_works_at_once_and_a_withdrawn_one_no_longer() {
    let server = KeyServer::start().await;
    let (old, new) = (Pair::new("old"), Pair::new("new"));
    server.publishes(&[&old]);
    let gateway = Gateway::start(&server.toml()).await;
    let remembered = old.authorization();
    ask(&gateway, &remembered).await.expect(200);

    server.publishes(&[&new]);
    let response = ask(&gateway, &new.authorization()).await.expect(200);
    assert!(response.field("cache-status").starts_with("vingate; hit"));
    // What it asks for is held, and it was let in before: neither helps.
    let refused = ask(&gateway, &remembered).await.expect(401);
    assert!(refused.field("cache-status").is_empty());
    assert_eq!(server.fetches.load(SeqCst), 2);

    // A key server that fails takes nothing away.
    server.fails();
    ask(&gateway, &new.authorization_as("unheard-of"))
        .await
        .expect(401);
    ask(&gateway, &new.authorization()).await.expect(200);
    assert_eq!(gateway.sandbox.counters().batches, 1);
}

#[tokio::test]
async fn a_flood_of_kids_is_one_fetch_and_nobody_elses_wait() {
    let (server, pair) = (KeyServer::start().await, Pair::new("a"));
    server.publishes(&[&pair]);
    let gateway = Gateway::start(&server.toml()).await;
    ask(&gateway, &pair.authorization()).await.expect(200);
    let began_at = Instant::now();
    for nth in 0..300 {
        let made_up = pair.authorization_as(&format!("kid-{nth}"));
        ask(&gateway, &made_up).await.expect(401);
        ask(&gateway, &pair.authorization()).await.expect(200);
    }
    let took = began_at.elapsed();
    let most = 2 + took.as_secs() / 10;
    let fetches = server.fetches.load(SeqCst) as u64;
    assert!(fetches <= most, "{fetches} fetches in {took:?}");
    assert!(took < Duration::from_secs(30), "{took:?}");
    assert_eq!(gateway.sandbox.counters().batches, 1);
}
