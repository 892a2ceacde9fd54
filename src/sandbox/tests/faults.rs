//! Every fault.

use std::{collections::BTreeMap, num::NonZeroU64, sync::Arc, time::Duration};

use http::{Method, Request};
use http_body_util::BodyExt as _;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::{super::run::connection, *};

const DEFAULT: Faults = Faults {
    only: Only::Batch,
    vin: None,
    vin_prefixes: Vec::new(),
    calls: None,
    latency: Duration::ZERO,
    jitter: Duration::ZERO,
    latency_per_vehicle: Duration::ZERO,
    knee: 0,
    latency_above_knee: Duration::ZERO,
    hold: Duration::ZERO,
    hang: false,
    close: false,
    status: None,
    body: None,
    headers: BTreeMap::new(),
    mutations: Vec::new(),
    pad_to: None,
    cut_after: None,
    bytes_per_second: None,
    chunked: false,
};

/// Three vehicles that have something to tell, the first of them that of the other tests.
fn three(sandbox: &Handle) -> Vec<Vehicle> {
    let others = sandbox.vehicles(Class::Finished).take(2);
    [vehicle(VIN, PLATE)].into_iter().chain(others).collect()
}

/// Status and body with its own error, if it ends before its end.
async fn read_response(client: &Client, vehicles: &[Vehicle]) -> (u64, usize, bool) {
    let reply = client
        .open(Method::GET, "/api/batch/scraping/", &batch_body(vehicles))
        .await
        .unwrap();
    let announced = reply.headers()["content-length"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    let (mut body, mut read) = (reply.into_body(), 0);
    while let Some(frame) = body.frame().await {
        match frame {
            Ok(frame) => read += frame.into_data().unwrap().len(),
            Err(_) => return (announced, read, true),
        }
    }
    (announced, read, false)
}

#[tokio::test]
async fn responds_with_a_status_headers_and_a_body() {
    let (sandbox, client) = start().await;
    let headers = [("Retry-After", "7"), ("bad name", "x")].map(|(n, v)| (n.into(), v.into()));
    sandbox.set_faults(Faults {
        calls: Some(1),
        status: Some(429),
        headers: headers.into(),
        body: Some("slow down".into()),
        ..DEFAULT
    });
    let reply = client.request(&three(&sandbox)).await;
    assert_eq!((reply.status.as_u16(), &reply.body[..]), (429, &b"slow down"[..]));
    assert_eq!(reply.headers["retry-after"], "7");
    assert_eq!(client.request(&three(&sandbox)).await.status, 200, "once only");

    sandbox.set_faults(Faults { status: Some(7), ..DEFAULT });
    assert_eq!(client.request(&three(&sandbox)).await.error(), (500, "Fault".into()));
    sandbox.set_faults(Faults { body: Some("<html>".into()), ..DEFAULT });
    let reply = client.request(&three(&sandbox)).await;
    assert_eq!((reply.status.as_u16(), &reply.body[..]), (200, &b"<html>"[..]));
}

#[tokio::test]
async fn reaches_only_the_calls_that_are_meant() {
    let (sandbox, client) = start().await;
    let [one, two, three] = three(&sandbox)[..] else { panic!() };
    let fault = Faults { status: Some(503), ..DEFAULT };
    sandbox.set_faults(Faults { vin: Some(two.vin), ..fault.clone() });
    assert_eq!(client.request(&[one, three]).await.status, 200);
    assert_eq!(client.request(&[one, two]).await.status, 503);

    sandbox.set_faults(Faults { only: Only::Writes, ..fault.clone() });
    assert_eq!(client.request(&[one]).await.status, 200);
    assert_eq!(
        client
            .send(Method::PUT, "/api/upsert-tax-identity", "")
            .await
            .status,
        503
    );
    sandbox.set_faults(Faults { only: Only::All, ..fault });
    assert_eq!(client.get("/sandbox/echo").await.status, 503);
    assert_eq!(client.get("/sandbox/calls").await.status, 200);
}

#[tokio::test]
async fn mutates_the_elements() {
    let (sandbox, client) = start().await;
    let requested = three(&sandbox);
    let [one, two, three] = [0, 1, 2].map(|at| requested[at].vin.as_str().to_owned());
    let ask = async |mutations: &[Mutation]| {
        sandbox.set_faults(Faults { mutations: mutations.into(), ..DEFAULT });
        client.request(&requested).await
    };
    assert_eq!(ask(&[Mutation::Reversed]).await.vins(), [&three[..], &two, &one]);
    assert_eq!(ask(&[Mutation::Missing]).await.vins(), [&two[..], &three]);
    assert_eq!(ask(&[Mutation::Twice]).await.vins(), [&one[..], &two, &three, &one]);
    assert_eq!(ask(&[Mutation::Missing, Mutation::Reversed]).await.vins(), [&three[..], &two]);
    let extra = ask(&[Mutation::Extra]).await.vins();
    assert!(
        extra.len() == 4
            && requested
                .iter()
                .all(|vehicle| vehicle.vin.as_str() != extra[0])
    );
    assert_eq!(ask(&[Mutation::Sloppy]).await.vins()[0], "3vwfe21c-04m000001 ");

    let json = async |mutation| ask(&[mutation]).await.json()["vehicleData"][0].clone();
    assert!(
        json(Mutation::InfoNull)
            .await
            .get("info")
            .unwrap()
            .is_null()
    );
    assert!(json(Mutation::InfoText).await["info"].is_string());
    assert_eq!(json(Mutation::InfoMissing).await.get("info"), None);

    let truncated = ask(&[Mutation::Truncated]).await;
    assert!(truncated.body.starts_with(b"{\"vehicleData\":["));
    assert!(serde_json::from_slice::<serde_json::Value>(&truncated.body).is_err());
}

#[tokio::test]
async fn cuts_a_response_that_announced_more() {
    let (sandbox, client) = start().await;
    for client in [client.clone(), client.http2()] {
        for cut in [0, 1, 1000] {
            sandbox.set_faults(Faults { cut_after: Some(cut), ..DEFAULT });
            let (announced, read, broke) = read_response(&client, &three(&sandbox)).await;
            assert!(announced > 1000 && broke, "{announced}");
            assert_eq!(read as u64, cut);
        }
        sandbox.set_faults(Faults { cut_after: Some(1_000_000), ..DEFAULT });
        let (announced, read, broke) = read_response(&client, &three(&sandbox)).await;
        assert!(!broke && announced == read as u64, "nothing is left to cut");
    }
}

#[tokio::test]
async fn closes_the_connection_instead_of_a_response() {
    let (sandbox, client) = start().await;
    sandbox.set_faults(Faults { close: true, calls: Some(1), ..DEFAULT });
    let body = batch_body(&three(&sandbox));
    assert!(
        client
            .open(Method::GET, "/api/batch/scraping/", &body)
            .await
            .is_err()
    );
    assert_eq!(client.batch(&body).await.status, 200);
    sandbox.set_faults(Faults { only: Only::Writes, close: true, ..DEFAULT });
    let before = client.batch(&body).await.body;
    let patch = client.open(
        Method::PATCH,
        "/api/v2/vehicles/3VWFE21C04M000001/status",
        r#"{"vehicleStatusId":3}"#,
    );
    assert!(patch.await.is_err());
    assert_ne!(
        client.batch(&body).await.body,
        before,
        "a write whose response is lost has happened"
    );
}

#[tokio::test]
async fn hangs_until_the_faults_are_replaced() {
    let (sandbox, client) = start().await;
    let requested = three(&sandbox);
    sandbox.set_faults(Faults { hang: true, ..DEFAULT });
    let waiting = [0, 1].map(|_| {
        let (client, requested) = (client.clone(), requested.clone());
        tokio::spawn(async move { client.request(&requested).await })
    });
    let seen = sandbox.until(|seen| seen.hanging == 2).await;
    assert_eq!((seen.open, seen.peak, seen.batches), (2, 2, 2));
    sandbox.clear_faults();
    for reply in waiting {
        assert_eq!(reply.await.unwrap().vins().len(), 3);
    }
    assert_eq!((sandbox.counters().hanging, sandbox.counters().open), (0, 0));
}

#[tokio::test]
async fn notices_a_client_that_hangs_up() {
    let (sandbox, client) = start().await;
    sandbox.set_faults(Faults { hang: true, ..DEFAULT });
    let requested = three(&sandbox);
    let call = tokio::spawn(async move { client.request(&requested).await });
    sandbox.until(|seen| seen.hanging == 1).await;
    call.abort();
    sandbox
        .until(|seen| seen.hanging == 0 && seen.open == 0)
        .await;
}

#[tokio::test(start_paused = true)]
async fn takes_its_time() {
    let (sandbox, client) = start().await;
    let requested = three(&sandbox);
    let ask = async || {
        // No socket: its wake-ups are the kernel's, which does not know that time is paused.
        let (near, far) = tokio::io::duplex(64 * 1024);
        tokio::spawn(connection(far, Arc::clone(&sandbox.harness)));
        let (mut sender, wire) = http1::handshake(TokioIo::new(near)).await.unwrap();
        tokio::spawn(wire);
        let mut request = Request::get("/api/batch/scraping/")
            .body(batch_body(&requested))
            .unwrap();
        *request.headers_mut() = client.headers().clone();
        let reply = sender.send_request(request).await.unwrap();
        reply.into_body().collect().await.unwrap().to_bytes()
    };
    let whole = ask().await;
    let length = whole.len() as u64;
    let second = Duration::from_secs(1);
    let slow = NonZeroU64::new(length / 5).unwrap();
    for (faults, least, most) in [
        (Faults { latency: 100 * second, ..DEFAULT }, 100, 101),
        (Faults { hold: 100 * second, ..DEFAULT }, 100, 101),
        (Faults { latency: 50 * second, hold: 50 * second, ..DEFAULT }, 100, 101),
        (Faults { latency: 10 * second, jitter: 90 * second, ..DEFAULT }, 10, 101),
        (Faults { bytes_per_second: Some(slow), ..DEFAULT }, 5, 6),
    ] {
        sandbox.set_faults(faults.clone());
        let started = Instant::now();
        assert_eq!(ask().await, whole);
        let took = started.elapsed();
        assert!((least * second..=most * second).contains(&took), "{took:?} for {faults:?}");
    }
}

#[tokio::test]
async fn makes_a_response_as_large_as_wanted_and_still_json() {
    let (sandbox, client) = start().await;
    let requested = three(&sandbox);
    for chunked in [false, true] {
        sandbox.set_faults(Faults { pad_to: Some(1_000_000), chunked, ..DEFAULT });
        let reply = client.request(&requested).await;
        assert_eq!((reply.body.len(), reply.vins().len()), (1_000_000, 3));
        assert_eq!(reply.headers.contains_key("content-length"), !chunked);
        assert_eq!(reply.headers.contains_key("transfer-encoding"), chunked);
    }
}
