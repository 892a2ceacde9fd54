//! Requests sent, and their answers searched.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{
    cases::{BATCH, Case, batch},
    secrets::{ADMIN_TOKEN, Secrets, TYPED, WRONG},
    watch,
};

/// Fails if an answer shows a secret, or a vehicle where none belongs.
pub(crate) fn searched(secrets: &Secrets, request: &str, response: &str) {
    let found = secrets.secrets_in(response);
    assert!(found.is_empty(), "{found:?} in the answer to\n{request}\n\n{response}");
    let (head, body) = response.split_once("\r\n\r\n").unwrap_or((response, ""));
    let found = secrets.found_in(head);
    assert!(found.is_empty(), "{found:?} in the head of the answer to\n{request}\n\n{response}");
    // The upstream's own words pass as they are, and a 400 may quote what was sent to it.
    let is_own = head.contains("application/problem+json");
    let quoted = if status(response) == 400 { secrets.found_in(request) } else { Vec::new() };
    let found = secrets.found_in(body);
    let is_fine = found.iter().all(|what| !is_own || quoted.contains(what));
    assert!(is_fine, "{found:?} in the answer to\n{request}\n\n{response}");
}

/// Sends these bytes and reads until the connection closes.
pub(crate) async fn exchange(address: SocketAddr, request: &[u8]) -> String {
    watch::sent(request);
    let mut stream = TcpStream::connect(address).await.unwrap();
    // It may be refused before it is all sent.
    let _ = stream.write_all(request).await;
    let has_end = request.ends_with(b"\r\n\r\n") || request.windows(5).any(|word| word == b"close");
    if !has_end {
        let _ = stream.shutdown().await;
    }
    let mut response = Vec::new();
    let read = timeout(Duration::from_secs(30), stream.read_to_end(&mut response)).await;
    assert!(read.is_ok(), "no end of {}", String::from_utf8_lossy(&response));
    String::from_utf8_lossy(&response).into_owned()
}

/// The status of an answer; 0 if there is none.
pub(crate) fn status(response: &str) -> u16 {
    let code = response.split(' ').nth(1);
    code.and_then(|code| code.parse().ok()).unwrap_or_default()
}

pub(crate) async fn over_http2(gateway: SocketAddr, good: &str, secrets: &Secrets) {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new())
        .http2_only(true)
        .build_http();
    let body = batch(&TYPED[..2]);
    let refused = batch(&[WRONG]);
    for (token, body, expected) in
        [(good, &body, 200), (good, &refused, 400), (&good[..good.len() - 2], &body, 401)]
    {
        let request = Request::get(format!("http://{gateway}{BATCH}"))
            .header("authorization", format!("Bearer {token}"))
            .header("cookie", token)
            .header("content-type", "application/json")
            .body(Full::from(body.clone()))
            .unwrap();
        let response = client.request(request).await.unwrap();
        assert_eq!(response.status(), expected);
        let text = response.into_body().collect().await.unwrap().to_bytes();
        let text = String::from_utf8_lossy(&text);
        let found = secrets.secrets_in(&text);
        assert!(found.is_empty(), "{found:?}");
    }
}

/// Does what operators do, and what others try. Gives all that is shown to them.
pub(crate) async fn operate(admin: SocketAddr, secrets: &Secrets) -> String {
    let mut shown = String::new();
    let [(vin, plate), ..] = TYPED;
    let purge = json!({"vin": vin, "plate": plate}).to_string();
    let of_account = json!({"account": "fleet", "plate": plate}).to_string();
    let wrong = json!({"vin": WRONG.0}).to_string();
    let unknown = json!({vin: plate}).to_string();
    for (status, method, target, token, body) in [
        (200, "GET", "/metrics", "", ""),
        (200, "GET", "/readyz", "", ""),
        (200, "GET", "/config", ADMIN_TOKEN, ""),
        (200, "GET", "/", ADMIN_TOKEN, ""),
        (401, "GET", "/config", "", ""),
        (401, "GET", "/config", &ADMIN_TOKEN[1..], ""),
        (404, "GET", "/3vw-zx21c04m000001", ADMIN_TOKEN, ""),
        (200, "POST", "/cache/purge", ADMIN_TOKEN, &purge),
        (200, "POST", "/cache/purge", ADMIN_TOKEN, &of_account),
        (200, "POST", "/cache/purge", ADMIN_TOKEN, "{}"),
        (400, "POST", "/cache/purge", ADMIN_TOKEN, &wrong),
        (400, "POST", "/cache/purge", ADMIN_TOKEN, &unknown),
        (401, "POST", "/cache/purge", &ADMIN_TOKEN[1..], &purge),
    ] {
        let fields = [("host", "localhost"), ("authorization", &*format!("Bearer {token}"))];
        let case = Case::new(String::new(), token, (status, method, target, &fields, body));
        let response = exchange(admin, case.request.as_bytes()).await;
        assert_eq!(self::status(&response), status, "{}\n{response}", case.request);
        searched(secrets, &case.request, &response);
        if status != 400 {
            shown.push_str(&response);
        }
    }
    assert!(shown.contains("vingate_http_requests_total") && shown.contains("***"));
    shown
}
