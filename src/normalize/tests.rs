use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;
use tower::{ServiceExt as _, service_fn};
use tower_test::mock;

use super::*;

const CONFIG: Config = Config { max_body: 64, body_idle_timeout: Duration::from_secs(30) };

/// The request as it arrives below the layer: target, `Content-Length`, body.
async fn sent(request: Request<Body>) -> Result<(String, Option<String>, String), Error> {
    let below = service_fn(|request: Request<Body>| async {
        let (head, body) = request.into_parts();
        let length = head
            .headers
            .get(CONTENT_LENGTH)
            .map(|v| v.to_str().unwrap().to_owned());
        let body = body.collect().await.unwrap().to_bytes();
        Ok::<_, Refused<Error>>((
            head.uri.to_string(),
            length,
            String::from_utf8(body.to_vec()).unwrap(),
        ))
    });
    let response = NormalizeLayer::new(CONFIG)
        .layer(below)
        .oneshot(request)
        .await;
    response.map_err(|refused| refused.error)
}

fn request(method: Method, uri: &str, body: &str) -> Request<Body> {
    let body = Body::full(body.to_owned());
    let request = Request::builder().method(&method).uri(uri);
    let route = Route::of(&method, uri.split('?').next().unwrap(), false);
    request.extension(route).body(body).unwrap()
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
async fn refuses_a_body_beyond_its_limit() {
    let request = request(Method::PUT, "/api/upsert-vehicle-info", &" ".repeat(65));
    assert!(matches!(sent(request).await, Err(Error::Body(_))));
}

#[tokio::test]
async fn gives_back_the_body_of_a_refused_request() {
    let below = service_fn(|_| ready(Ok::<(), Refused<Error>>(())));
    let request = request(Method::PATCH, "/api/v2/vehicles/x/status", "unread");
    let refused = NormalizeLayer::new(CONFIG)
        .layer(below)
        .oneshot(request)
        .await
        .unwrap_err();
    assert_eq!(refused.unread.collect().await.unwrap().to_bytes(), "unread");
}

#[tokio::test]
async fn calls_the_service_that_said_it_is_ready() {
    let (inner, mut handle) = mock::pair::<Request<Body>, ()>();
    let inner = inner.map_err(|_| Refused { error: Error::PathEscape, unread: Body::empty() });
    let mut service = NormalizeLayer::new(CONFIG).layer(inner);
    handle.allow(1);
    let call =
        service
            .ready()
            .await
            .unwrap()
            .call(request(Method::PUT, "/api/upsert-vehicle-info", "{}"));
    let (response, ()) = tokio::join!(call, async {
        handle.next_request().await.unwrap().1.send_response(());
    });
    assert!(response.is_ok());
    assert!(service.ready().now_or_never().is_none(), "its clone was not made ready");
}
