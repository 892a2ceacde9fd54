use http::{
    HeaderName, HeaderValue,
    header::{CONTENT_LENGTH, TRAILER, TRANSFER_ENCODING},
};
use http_body_util::BodyExt as _;

use super::*;
use crate::rule;

const CONFIG: Config = Config { max_body: 64, body_idle_timeout: Duration::from_secs(30) };

/// The request as it arrives below the layer: target, `Content-Length`, body.
async fn sent(request: Request<Body>) -> Result<(String, Option<String>, String), Error> {
    let passed = rule::apply(&Normalize(CONFIG), request).await;
    let (head, body) = passed.map_err(|rejection| rejection.error)?.into_parts();
    let length = head.headers.get(CONTENT_LENGTH);
    let length = length.map(|length| length.to_str().unwrap().to_owned());
    let body = body.collect().await.unwrap().to_bytes();
    Ok((head.uri.to_string(), length, String::from_utf8(body.to_vec()).unwrap()))
}

fn request(method: Method, uri: &str, body: &str) -> Request<Body> {
    let body = Body::full(body.to_owned());
    let request = Request::builder().method(&method).uri(uri);
    let route = Route::of(&method, uri.split('?').next().unwrap(), false);
    request
        .extension(RequestContext::of_route(route))
        .body(body)
        .unwrap()
}

#[tokio::test]
async fn normalizes_where_sync_wants_a_vehicle() {
    let typed = r#"{"vehicleInfo":{"plate":"a 1"}}"#;
    let clean = r#"{"vehicleInfo":{"plate":"A1"}}"#;
    let status = "/api/v2/vehicles/3vwfe21c04m000001/status";
    let clean_status = "/api/v2/vehicles/3VWFE21C04M000001/status";
    let upsert = "/api/upsert-vehicle-info";
    for (method, uri, body, sent_uri, length, sent_body) in [
        (Method::PATCH, status, typed, clean_status, None, typed),
        (Method::GET, status, "", clean_status, None, ""),
        (Method::GET, "/api/vehicles?vin=a-", "", "/api/vehicles?vin=A", None, ""),
        (Method::HEAD, "/api/vehicles?vin=a-", "", "/api/vehicles?vin=A", None, ""),
        (Method::DELETE, "/api/vehicles?vin=a-", "", "/api/vehicles?vin=a-", None, ""),
        (Method::PUT, upsert, typed, upsert, Some("30"), clean),
        (Method::PUT, upsert, "", upsert, Some("0"), ""),
        (Method::POST, upsert, typed, upsert, None, typed),
        (Method::PUT, "/api/other?vin=a-", typed, "/api/other?vin=a-", None, typed),
    ] {
        let sent = sent(request(method, uri, body)).await.unwrap();
        assert_eq!(sent, (sent_uri.into(), length.map(str::to_owned), sent_body.into()));
    }
}

#[tokio::test]
async fn says_nothing_of_a_body_that_is_another_now() {
    let mut request = request(Method::PUT, "/api/upsert-vehicle-info", "{}");
    let digest = HeaderName::from_static("content-digest");
    for (name, value) in
        [(TRANSFER_ENCODING, "chunked"), (TRAILER, "x-t"), (digest, "sha-256=:AA==:")]
    {
        request
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    let passed = rule::apply(&Normalize(CONFIG), request).await.unwrap();
    let names: Vec<_> = passed.headers().keys().collect();
    assert_eq!(names, [CONTENT_LENGTH]);
}

#[tokio::test]
async fn refuses_a_body_beyond_its_limit() {
    let request = request(Method::PUT, "/api/upsert-vehicle-info", &" ".repeat(65));
    assert!(matches!(sent(request).await, Err(Error::Body(_))));
}

#[tokio::test]
async fn gives_back_the_body_of_a_refused_request() {
    let request = request(Method::PATCH, "/api/v2/vehicles/x/status", "unread");
    let refused = rule::apply(&Normalize(CONFIG), request).await.unwrap_err();
    assert_eq!(refused.unread.collect().await.unwrap().to_bytes(), "unread");
}
