//! Whose bytes are whose.

use http::Request;
use vingate::sandbox::{Class, Faults, Only};

use crate::support::{ALL, BATCH, Gateway, JSON, Response, batch_body, spelled, vehicle};

const ONE: (&str, &str) = ("3VWFE21C04M000001", "MFF956M");

pub(crate) const TWO_ACCOUNTS: &str = r#"
[[account]]
name = "own"
value = { env = "SYNC_ALICE" }
subjects = ["alice"]
[[account]]
name = "rest"
header = "X-API-Key"
value = { env = "SYNC_REST" }
subjects = ["*"]
"#;

/// No token is asked for, so that the caller's own credential goes up.
const OWN_CREDENTIALS: &str = "# no accounts\n[auth]\nenabled = false";

/// Asks for one vehicle with these fields.
async fn ask(gateway: &Gateway, fields: &[(&str, &str)]) -> Response {
    ask_for(gateway, ONE, fields).await
}

async fn ask_for(gateway: &Gateway, vehicle: (&str, &str), fields: &[(&str, &str)]) -> Response {
    let mut request = Request::get(BATCH).header("content-type", JSON);
    for &(name, value) in fields {
        request = request.header(name, value);
    }
    gateway.send_bare(request, batch_body(&[vehicle])).await
}

/// What the upstream tells whoever has this credential.
fn told(gateway: &Gateway, name: &'static str, value: &str) -> String {
    let fields =
        http::HeaderMap::from_iter([(http::HeaderName::from_static(name), value.parse().unwrap())]);
    let element = gateway.sandbox.element(&vehicle(ONE), &fields).unwrap();
    format!(r#"{{"vehicleData":[{element}]}}"#)
}

#[tokio::test]
async fn an_account_is_never_sent_what_another_was_and_a_name_beats_the_star() {
    let gateway = Gateway::start(TWO_ACCOUNTS).await;
    let (alice, bob) = (gateway.token("alice", None), gateway.token("bob", None));
    let (to_alice, to_bob) =
        (told(&gateway, "authorization", "SYNC_ALICE"), told(&gateway, "x-api-key", "SYNC_REST"));
    assert_ne!(to_alice, to_bob);
    for is_first in [true, false] {
        for (token, told) in [(&alice, &to_alice), (&bob, &to_bob)] {
            let response = ask(&gateway, &[("authorization", token)]).await.expect(200);
            assert_eq!(response.text(), **told);
            let status = response.field("cache-status").to_owned();
            assert_eq!(status.starts_with("vingate; fwd=miss;"), is_first, "{status}");
        }
    }
    assert_eq!(gateway.sandbox.counters().batches, 2);
    for call in gateway.sandbox.calls() {
        let sent = ["authorization", "x-api-key", "cookie"]
            .map(|name| call.headers.get(name).map(|value| value.to_str().unwrap()));
        assert!(
            matches!(sent, [Some("SYNC_ALICE"), None, None] | [None, Some("SYNC_REST"), None]),
            "an account's field, and nothing of the caller's"
        );
    }
}

#[tokio::test]
async fn nothing_a_caller_sends_chooses_or_joins_an_accounts_credential() {
    let gateway = Gateway::start(TWO_ACCOUNTS).await;
    let bob = gateway.token("bob", None);
    let fields = [
        ("authorization", &*bob),
        ("x-api-key", "SYNC_OTHER"),
        ("x-api-key", "SYNC_ALICE"),
        ("cookie", "session=1"),
    ];
    let response = ask(&gateway, &fields).await.expect(200);
    assert_eq!(response.text(), told(&gateway, "x-api-key", "SYNC_REST"));
    ask(&gateway, &fields[..1]).await.expect(200);
    assert_eq!(gateway.sandbox.counters().batches, 1, "it is the same credential");
}

#[tokio::test]
async fn a_subject_without_an_account_gets_nothing_not_even_from_the_cache() {
    let only_alice = TWO_ACCOUNTS
        .split_inclusive("[\"alice\"]\n")
        .next()
        .unwrap();
    let gateway = Gateway::start(only_alice).await;
    let alice = gateway.token("alice", None);
    ask(&gateway, &[("authorization", &alice)])
        .await
        .expect(200);
    let bob = gateway.token("bob", None);
    let refused = ask(&gateway, &[("authorization", &bob)]).await.expect(403);
    assert_eq!(refused.json()["code"], "Forbidden");
    assert_eq!(gateway.sandbox.counters().batches, 1);
}

#[tokio::test]
async fn credentials_that_pass_through_never_share_a_byte() {
    let gateway = Gateway::start(OWN_CREDENTIALS).await;
    let credentials: [&[(&str, &str)]; 6] = [
        &[("authorization", "a")],
        &[("authorization", "b")],
        &[("x-api-key", "a")],
        &[("authorization", "a"), ("cookie", "c=1")],
        &[("authorization", "a"), ("cookie", "c=2")],
        &[("authorization", "a"), ("x-api-key", "b")],
    ];
    let mut responses = Vec::new();
    for credential in credentials {
        responses.push(ask(&gateway, credential).await.expect(200).body);
    }
    for (nth, response) in responses.iter().enumerate() {
        assert!(!responses[..nth].contains(response), "{:?} is told the same", credentials[nth]);
    }
    assert_eq!(gateway.sandbox.counters().batches, 6);
    for (credential, before) in credentials.into_iter().zip(&responses) {
        assert_eq!(ask(&gateway, credential).await.expect(200).body, *before);
    }
    assert_eq!(gateway.sandbox.counters().batches, 6, "and each has its own entry");
}

#[tokio::test]
async fn without_a_credential_nothing_is_kept_or_shared() {
    let gateway = Gateway::start(OWN_CREDENTIALS).await;
    gateway.sandbox.set_faults(Faults {
        status: Some(200),
        body: Some(r#"{"vehicleData":[]}"#.into()),
        ..Faults::default()
    });
    for asked in 1..=3 {
        let response = ask(&gateway, &[]).await.expect(200);
        assert!(
            response
                .field("cache-status")
                .starts_with("vingate; fwd=bypass;")
        );
        assert_eq!(response.field("cache-control"), "no-store");
        assert_eq!(gateway.sandbox.counters().batches, asked);
    }
    assert_eq!(gateway.metric("vingate_cache_entries").await, 0.0);
    let nothing = ask(&gateway, &[("cache-control", "only-if-cached")]).await;
    assert_eq!(nothing.expect(504).json()["code"], "NotCached");
}

#[tokio::test]
async fn a_refused_credential_loses_what_was_held_for_it_if_it_is_the_callers_own() {
    for (status, path) in [(401, BATCH), (403, BATCH), (401, "/api/vehicles"), (403, "/api/x")] {
        let gateway = Gateway::start(OWN_CREDENTIALS).await;
        let other = gateway.sandbox.vehicles(Class::Finished).nth(20).unwrap();
        let (mine, foreign) = ([("authorization", "a")], [("authorization", "b")]);
        ask(&gateway, &mine).await.expect(200);
        ask(&gateway, &foreign).await.expect(200);

        let refuses = Faults { only: Only::All, status: Some(status), ..Faults::default() };
        gateway.sandbox.set_faults(refuses);
        let request = Request::get(path)
            .header("content-type", JSON)
            .header("authorization", "a");
        let body = if path == BATCH { batch_body(&[spelled(&other)]) } else { String::new() };
        gateway.send_bare(request, body).await.expect(status);
        gateway.sandbox.clear_faults();

        let batches = gateway.sandbox.counters().batches;
        ask(&gateway, &foreign).await.expect(200);
        assert_eq!(gateway.sandbox.counters().batches, batches, "others keep theirs");
        ask(&gateway, &mine).await.expect(200);
        assert_eq!(gateway.sandbox.counters().batches, batches + 1, "{status} {path}");
    }
}

#[tokio::test]
async fn a_refused_account_is_not_the_callers_fault_and_keeps_its_entries() {
    let gateway = Gateway::start("").await;
    let other = gateway.sandbox.vehicles(Class::Finished).nth(20).unwrap();
    let first = gateway.batch(&[ONE]).await.expect(200);
    let challenge = [("WWW-Authenticate".to_owned(), "Basic".to_owned())];
    gateway.sandbox.set_faults(Faults {
        only: Only::All,
        status: Some(401),
        headers: challenge.into(),
        ..Faults::default()
    });
    for refused in [gateway.batch(&[spelled(&other)]).await, gateway.get("/api/vehicles").await] {
        let refused = refused.expect(401);
        assert_eq!(refused.field("www-authenticate"), "");
        assert_eq!(refused.field("proxy-status"), "vingate; received-status=401");
        assert_eq!(refused.json()["detail"], "Fault", "the bytes are the upstream's");
    }
    let held = gateway.batch(&[ONE]).await.expect(200);
    assert_eq!(held.body, first.body);
    assert!(held.field("cache-status").starts_with("vingate; hit;"));
    assert_eq!(held.text(), gateway.response_for([&vehicle(ONE)], ALL));
}

#[tokio::test]
async fn forwarded_requests_carry_what_batch_calls_carry() {
    let names = ["api_key", "x_tenant_key", "x-api-key", "proxy-authorization", "x-forwarded-user"];
    let credential = |call: &vingate::sandbox::Call| {
        let names = names.into_iter().chain(["authorization", "cookie"]);
        let values = names.map(|name| {
            let values = call.headers.get_all(name).into_iter();
            (
                name,
                values
                    .map(|value| value.to_str().unwrap().to_owned())
                    .collect::<Vec<_>>(),
            )
        });
        values.collect::<Vec<_>>()
    };

    // The clients' own, twice and nominated away.
    let own = format!("{OWN_CREDENTIALS}\n[upstream]\ncredential_headers = {names:?}\n");
    let gateway = Gateway::start(&own).await;
    for name in names.into_iter().chain(["authorization", "cookie"]) {
        let sent = [(name, "SYNC_ONE"), (name, "SYNC_TWO"), ("connection", name)];
        ask(&gateway, &sent).await;
        let batch = credential(&gateway.sandbox.calls().pop().unwrap());
        let mut request = Request::get("/api/vehicles");
        for (name, value) in sent {
            request = request.header(name, value);
        }
        gateway.send_bare(request, "").await;
        let forwarded = credential(&gateway.sandbox.calls().pop().unwrap());
        assert_eq!(batch, forwarded, "{name}");
        assert!(batch.contains(&(name, vec!["SYNC_ONE".into(), "SYNC_TWO".into()])), "{name}");
    }

    // An account's.
    for name in names {
        let account = format!(
            "[[account]]\nname = \"all\"\nheader = \"{name}\"\n\
             value = {{ env = \"SYNC_ALL\" }}\nsubjects = [\"*\"]\n"
        );
        let gateway = Gateway::start(&account).await;
        gateway.batch(&[ONE]).await;
        let batch = credential(&gateway.sandbox.calls().pop().unwrap());
        gateway.get("/api/vehicles").await;
        let forwarded = credential(&gateway.sandbox.calls().pop().unwrap());
        assert_eq!(batch, forwarded, "{name}");
        assert!(batch.contains(&(name, vec!["SYNC_ALL".into()])), "{name}");
    }
}
