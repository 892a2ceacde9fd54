//! `Retry-After` of Sync, kept to.

use http::Request;
use serde_json::Value;
use vingate::sandbox::{Class, Faults, Only};

use crate::{
    accounts::TWO_ACCOUNTS,
    support::{BATCH, Gateway, JSON, Response, batch_body, spelled},
};

/// The next call is refused like this.
fn refuse_once(gateway: &Gateway, status: u16, retry_after: &str) {
    gateway.sandbox.set_faults(Faults {
        only: Only::All,
        status: Some(status),
        headers: [("Retry-After".into(), retry_after.into())].into(),
        calls: Some(1),
        ..Faults::default()
    });
}

async fn ask(gateway: &Gateway, subject: &str, vehicle: (&str, &str)) -> Response {
    let request = Request::get(BATCH)
        .header("content-type", JSON)
        .header("authorization", gateway.token(subject, None));
    gateway.send_bare(request, batch_body(&[vehicle])).await
}

/// What is known of a vehicle for one account.
async fn explain(gateway: &Gateway, account: &str, (vin, plate): (&str, &str)) -> Value {
    let asked = serde_json::json!({ "vin": vin, "plate": plate, "account": account });
    let request = Request::post("/explain").header("content-type", JSON);
    let explained = gateway.admin(request, asked.to_string()).await.expect(200);
    explained.json()["accounts"][0].clone()
}

#[tokio::test]
async fn an_account_that_is_asked_to_wait_waits_and_the_others_do_not() {
    for (status, retry_after, at_most) in [
        (429, "60", 60),
        (503, "60", 60),
        (503, "86400", 300),
        (429, "Fri, 31 Dec 9999 23:59:59 GMT", 300),
    ] {
        let gateway = Gateway::start(TWO_ACCOUNTS).await;
        let vehicles: Vec<_> = gateway.sandbox.vehicles(Class::Finished).take(2).collect();
        let [first, second] = [spelled(&vehicles[0]), spelled(&vehicles[1])];
        refuse_once(&gateway, status, retry_after);
        let refused = ask(&gateway, "alice", first).await.expect(status);
        assert_eq!(refused.field("retry-after"), retry_after, "as it came");

        let calls = gateway.sandbox.calls().len();
        let token = gateway.token("alice", None);
        let alice = |request: http::request::Builder| request.header("authorization", &token);
        for response in [
            ask(&gateway, "alice", first).await,
            ask(&gateway, "alice", second).await,
            gateway.send(alice(Request::get("/api/vehicles")), "").await,
            gateway
                .send(alice(Request::put("/api/upsert-tax-identity")), "{}")
                .await,
        ] {
            let response = response.expect(503);
            assert_eq!(response.json()["code"], "UpstreamUnavailable");
            let rest: u64 = response.field("retry-after").parse().unwrap();
            assert!((at_most - 30..=at_most).contains(&rest), "{rest}");
            assert_eq!(response.field("proxy-status"), "vingate; error=destination_unavailable");
        }
        let explained = explain(&gateway, "own", first).await;
        let words = explained["words"].as_str().unwrap();
        assert!(words.contains(" needs it from Sync; Sync is not called before "), "{words}");
        assert!(words.contains(" UTC, because it asked for that; no drop "), "{words}");
        assert!(explained["not_called_until"].is_string());
        assert!(explain(&gateway, "rest", first).await["not_called_until"].is_null());
        assert_eq!(gateway.sandbox.calls().len(), calls, "nobody was called");
        ask(&gateway, "bob", first).await.expect(200);
        gateway.get("/api/vehicles").await.expect(200);
    }
}

#[tokio::test]
async fn what_is_held_is_served_while_it_waits() {
    let gateway =
        Gateway::start("[cache]\nstale_while_revalidate = \"0s\"\n[cache.ttl]\nfinished = \"0s\"")
            .await;
    let vehicles: Vec<_> = gateway.sandbox.vehicles(Class::Finished).take(2).collect();
    let [held, other] = [spelled(&vehicles[0]), spelled(&vehicles[1])];
    let right = gateway.batch(&[held]).await.expect(200);
    refuse_once(&gateway, 503, "60");
    for _ in 0..2 {
        let saved = gateway.batch(&[held]).await.expect(200);
        assert_eq!(saved.body, right.body);
        assert!(
            saved
                .field("cache-status")
                .starts_with("vingate; fwd=stale")
        );
    }
    gateway.batch(&[held, other]).await.expect(503);
    assert_eq!(gateway.sandbox.counters().batches, 2);
}
