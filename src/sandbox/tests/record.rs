//! What is counted and recorded.

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::{BodyExt as _, StreamBody};
use hyper_util::{client::legacy::Client as Pool, rt::TokioExecutor};

use super::{super::fleet, *};

#[tokio::test]
async fn sums_up_what_it_saw() {
    let (sandbox, client) = start().await;
    let vehicles: Vec<_> = fleet::numbered().take(10).collect();
    client.request(&vehicles).await;
    client.request(&vehicles[..3]).await;
    client.request(&[vehicles[0], vehicles[0]]).await;
    client.batch("{}").await;
    client
        .send(Method::PATCH, "/api/v2/vehicles/x/status", "{}")
        .await;
    client
        .send(Method::PUT, "/api/upsert-tax-identity", r#"{"legalName":"x"}"#)
        .await;
    client.get("/api/vehicles").await;
    let want = Counters {
        batches: 4,
        vehicles: 15,
        distinct: 10,
        most_requested: 4,
        largest: 10,
        rejected: 2,
        open: 0,
        peak: 1,
        hanging: 0,
        patches: 1,
        puts: 1,
        others: 1,
    };
    assert_eq!(sandbox.counters(), want);
    sandbox.clear();
    assert_eq!((sandbox.counters(), sandbox.calls().len()), (Counters::default(), 0));
}

#[tokio::test]
async fn records_calls_as_they_came() {
    let (sandbox, client) = start().await;
    let requested = [vehicle(VIN, PLATE), vehicle(VIN, "XYZ987")];
    client.request(&requested).await;
    client.send(Method::PUT, "/any?thing", "body").await;
    let calls = sandbox.calls();
    assert_eq!((calls.len(), &calls[0].vehicles[..]), (2, &requested[..]));
    assert_eq!(calls[0].body, batch_body(&requested));
    assert_eq!(calls[0].headers["content-length"], calls[0].length.to_string());
    assert_eq!(
        (calls[1].method.as_str(), calls[1].target.to_string()),
        ("PUT", "/any?thing".into())
    );
    let shown = format!("{calls:?}");
    assert!(!shown.contains(VIN) && !shown.contains("trial"), "{shown}");
}

#[tokio::test]
async fn shows_a_get_of_unknown_length() {
    let (sandbox, _client) = start().await;
    let frame = http_body::Frame::data(Bytes::from(batch_body(&[vehicle(VIN, PLATE)])));
    let body = StreamBody::new(futures_util::stream::iter([Ok::<_, hyper::Error>(frame)]));
    let request = Request::get(sandbox.url() + "/api/batch/scraping/")
        .header("x-api-key", "trial")
        .header("transfer-encoding", "chunked")
        .body(body)
        .unwrap();
    let reply = Pool::builder(TokioExecutor::new())
        .build_http()
        .request(request)
        .await
        .unwrap();
    assert_eq!(reply.status(), 200);
    let call = &sandbox.calls()[0];
    assert_eq!(call.headers["transfer-encoding"], "chunked");
    assert!(!call.headers.contains_key("content-length") && call.vehicles.len() == 1);
    reply.into_body().collect().await.unwrap();
}

#[tokio::test]
async fn forgets_the_oldest_calls_when_room_is_short() {
    let sandbox = Sandbox::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let sandbox = sandbox.with_recording(10_000).start();
    let client = Client::new(&sandbox);
    for call in 0..10 {
        client.get(&format!("/{call}")).await;
    }
    let targets: Vec<_> = sandbox
        .calls()
        .iter()
        .map(|call| call.target.to_string())
        .collect();
    assert_eq!(targets, ["/6", "/7", "/8", "/9"]);
    assert_eq!(sandbox.counters().others, 10);
}

#[tokio::test]
async fn keeps_no_body_above_its_limit() {
    let (sandbox, client) = start().await;
    let body = " ".repeat(1024 * 1024 + 1);
    assert_eq!(client.batch(&body).await.error(), (413, "PayloadTooLarge".into()));
    let call = &sandbox.calls()[0];
    assert_eq!((call.body.len(), call.length), (0, 1024 * 1024 + 1));
}

#[tokio::test]
async fn closes_its_port_when_it_is_stopped() {
    let (sandbox, client) = start().await;
    client.get("/").await;
    sandbox.stop().await;
    assert!(
        client
            .open(Method::GET, "/", "")
            .await
            .is_err_and(|error| error.is_connect())
    );
}

#[tokio::test]
async fn runs_until_it_is_told_to_stop() {
    let sandbox = Sandbox::bind(([127, 0, 0, 1], 0).into())
        .await
        .unwrap()
        .start();
    let addr = sandbox.local_addr();
    assert!(tokio::net::TcpStream::connect(addr).await.is_ok());
    sandbox.stop().await;
    assert!(tokio::net::TcpStream::connect(addr).await.is_err());
}
