//! Another configuration while requests are served.

mod file;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use bytes::Bytes;
use http::{Request, header::AUTHORIZATION};
use http_body_util::Full;
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{net::TcpStream, task::JoinHandle};
use vingate::{
    app::ReloadOutcome,
    sandbox::{Class, Faults},
};

use crate::support::{
    ALL, BATCH, Gateway, HOUR, JSON, Response, Wire, batch_body, configuration, eventually, now,
    parse, spelled, vehicle,
};

const ONE: (&str, &str) = ("3VWFE21C04M000001", "MFF956M");
const TWO: (&str, &str) = ("1N4MUZFY2GA189462", "MFF956M");

/// An account for everybody with the secret that the variable holds.
fn account(variable: &str) -> String {
    format!("[[account]]\nname = \"all\"\nvalue = {{ env = \"{variable}\" }}\nsubjects = [\"*\"]\n")
}

#[track_caller]
fn applied(outcome: ReloadOutcome) -> Vec<String> {
    let ReloadOutcome::Applied(changes) = outcome else { panic!("{outcome:?}") };
    changes.keys().map(str::to_owned).collect()
}

/// A connection that is kept, over either version of HTTP.
enum Kept {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Kept {
    async fn open(gateway: &Gateway, is_http2: bool) -> Self {
        let stream = TokioIo::new(TcpStream::connect(gateway.address).await.unwrap());
        if is_http2 {
            let executor = TokioExecutor::new();
            let (sender, connection) = http2::handshake(executor, stream).await.unwrap();
            tokio::spawn(connection);
            Self::Http2(sender)
        } else {
            let (sender, connection) = http1::handshake(stream).await.unwrap();
            tokio::spawn(connection);
            Self::Http1(sender)
        }
    }

    async fn batch(&mut self, gateway: &Gateway, vehicles: &[(&str, &str)]) -> Response {
        let request = Request::get(format!("http://{}{BATCH}", gateway.address))
            .header("host", gateway.address.to_string())
            .header("content-type", JSON)
            .header(AUTHORIZATION, gateway.authorization())
            .body(Full::from(batch_body(vehicles)))
            .unwrap();
        let response = match self {
            Self::Http1(sender) => {
                sender.ready().await.unwrap();
                sender.send_request(request).await
            }
            Self::Http2(sender) => sender.send_request(request).await,
        };
        Response::read(response.unwrap()).await
    }
}

/// Asks for `ONE` over a connection of its own until it is told to stop; what is not a right
/// answer fails it. Gives how often.
fn caller(gateway: &Arc<Gateway>, is_http2: bool, done: &Arc<AtomicBool>) -> JoinHandle<usize> {
    let (gateway, done) = (Arc::clone(gateway), Arc::clone(done));
    tokio::spawn(async move {
        let right = gateway.response_for([&vehicle(ONE)], ALL);
        let mut kept = Kept::open(&gateway, is_http2).await;
        let mut count = 0;
        while !done.load(Relaxed) {
            let response = kept.batch(&gateway, &[ONE]).await.expect(200);
            assert_eq!(response.text(), right);
            count += 1;
        }
        count
    })
}

#[tokio::test]
async fn loses_no_request_and_keeps_what_is_held() {
    let gateway = Arc::new(Gateway::start("").await);
    gateway.batch(&[ONE]).await.expect(200);
    let done = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..8)
        .map(|nth| caller(&gateway, nth % 2 == 0, &done))
        .collect();
    for nth in 1..=12 {
        let chunk = 500 - nth;
        let more = if nth % 3 == 0 { "[limit.rate]\nrequests_per_second = 1000000\n" } else { "" };
        let more = format!("{more}[batch]\nchunk = {chunk}\n[limit]\nmax_in_flight = {chunk}");
        assert!(applied(gateway.reload(&more)).contains(&"batch.chunk".to_owned()));
        let requests = "vingate_cache_vehicles_total{outcome=\"hit\"}";
        let before = gateway.metric(requests).await;
        eventually(async || gateway.metric(requests).await > before + 20.0).await;
    }
    done.store(true, Relaxed);
    for caller in callers {
        assert!(caller.await.unwrap() > 0);
    }
    assert_eq!(gateway.sandbox.counters().batches, 1, "everything else was held");
    gateway.until_metric("vingate_http_in_flight", 0.0).await;
}

#[tokio::test]
async fn a_connection_that_stood_before_meets_what_is_in_force() {
    let gateway = Gateway::start("").await;
    for is_http2 in [false, true] {
        let mut kept = Kept::open(&gateway, is_http2).await;
        kept.batch(&gateway, &[ONE, TWO]).await.expect(200);
        applied(gateway.reload("[batch]\nmax_vehicles = 1"));
        kept.batch(&gateway, &[ONE, TWO]).await.expect(413);
        applied(gateway.reload(""));
        kept.batch(&gateway, &[ONE, TWO]).await.expect(200);
    }
}

#[tokio::test]
async fn a_flight_lands_for_those_before_and_after() {
    let gateway = Arc::new(Gateway::start("").await);
    let ask = || {
        let gateway = Arc::clone(&gateway);
        tokio::spawn(async move { gateway.batch(&[ONE]).await })
    };
    gateway
        .sandbox
        .set_faults(Faults { hang: true, ..Faults::default() });
    let before = ask();
    gateway.until(|seen| seen.hanging == 1).await;
    applied(gateway.reload("[batch]\nchunk = 7"));
    let after = ask();
    gateway.until_metric("vingate_http_in_flight", 2.0).await;
    gateway.sandbox.clear_faults();
    let right = gateway.response_for([&vehicle(ONE)], ALL);
    assert_eq!(before.await.unwrap().expect(200).text(), right);
    let after = after.await.unwrap().expect(200);
    assert_eq!(after.text(), right);
    assert!(after.field("cache-status").contains("collapsed"), "{:?}", after.headers);
    assert_eq!(gateway.sandbox.counters().batches, 1);
}

#[tokio::test]
async fn a_changed_secret_goes_upstream_next_and_finds_an_empty_cache() {
    let gateway = Gateway::start(&account("SYNC_OLD")).await;
    for _ in 0..2 {
        let response = gateway.batch(&[ONE]).await.expect(200);
        assert_eq!(response.text(), gateway.response_for([&vehicle(ONE)], "SYNC_OLD"));
    }
    assert_eq!(gateway.sandbox.counters().batches, 1);
    assert_eq!(applied(gateway.reload(&account("SYNC_NEW"))), ["account[0].value"]);
    let response = gateway.batch(&[ONE]).await.expect(200);
    assert_ne!(response.text(), gateway.response_for([&vehicle(ONE)], "SYNC_OLD"));
    assert_eq!(response.text(), gateway.response_for([&vehicle(ONE)], "SYNC_NEW"));
    let calls = gateway.sandbox.calls();
    assert_eq!(calls.last().unwrap().headers["authorization"], "SYNC_NEW");

    // Operators know the account by its name, and mean what it fills now.
    let purge = Request::post("/cache/purge").header("content-type", JSON);
    let purged = gateway.admin(purge, r#"{"account":"all"}"#).await;
    assert_eq!(purged.expect(200).json()["purged"], 1);
    gateway.batch(&[ONE]).await.expect(200);
    assert_eq!(gateway.sandbox.counters().batches, 3);
}

const OTHER_KEY: &str = "[[auth.key]]\nid = \"other\"\nalgorithm = \"HS256\"\n\
                         secret = { env = \"ANOTHER_SECRET_OF_TESTS_THAT_IS_LONG\" }\n";

#[tokio::test]
async fn a_removed_key_takes_its_tokens_along_and_no_others() {
    let gateway = Gateway::start(OTHER_KEY).await;
    // A file with the other key alone signs with it.
    let text = configuration(OTHER_KEY, &gateway.sandbox.url());
    let mut issuer = parse(&text).reloadable.auth;
    issuer.keys.remove(0);
    let other = format!("Bearer {}", issuer.issue("tester", None, HOUR, now()).unwrap());
    let ask = async |token: &str| {
        let request = Request::get("/api/vehicles?plate=A").header(AUTHORIZATION, token);
        gateway.send(request, "").await.status.as_u16()
    };
    let own = gateway.own_token();
    assert_eq!((ask(own).await, ask(&other).await), (200, 200));
    assert_eq!((ask(own).await, ask(&other).await), (200, 200), "remembered");
    assert!(
        applied(gateway.reload(""))
            .iter()
            .all(|key| key.starts_with("auth.key[1]"))
    );
    assert_eq!((ask(own).await, ask(&other).await), (200, 401));
    applied(gateway.reload(OTHER_KEY));
    assert_eq!((ask(own).await, ask(&other).await), (200, 200));
    // What a remembered token may do is judged anew, too.
    let scope = format!("{OTHER_KEY}[auth.scope]\nread = \"v:r\"\nwrite = \"v:w\"");
    applied(gateway.reload(&scope));
    assert_eq!(ask(own).await, 403);
}

#[tokio::test]
async fn lives_and_limits_hold_for_the_next_request() {
    let gateway = Gateway::start("").await;
    applied(
        gateway.reload("[cache]\nstale_while_revalidate = \"0s\"\n[cache.ttl]\nfinished = \"0s\""),
    );
    let known = gateway.sandbox.vehicles(Class::Finished).next().unwrap();
    let finished = [spelled(&known)];
    for _ in 0..2 {
        gateway.batch(&finished).await.expect(200);
    }
    assert_eq!(gateway.sandbox.counters().batches, 2, "nothing was kept");
    applied(gateway.reload("[batch]\nmax_vehicles = 1"));
    gateway.batch(&[ONE, TWO]).await.expect(413);

    // A bucket is as empty as it was, unless it is another bucket.
    let rate = "[limit.rate]\nrequests_per_second = 1\nburst = 2\n";
    applied(gateway.reload(rate));
    for status in [200, 200, 429] {
        gateway.batch(&[ONE]).await.expect(status);
    }
    applied(gateway.reload(&format!("{rate}[batch]\nchunk = 5")));
    gateway.batch(&[ONE]).await.expect(429);
    applied(gateway.reload("[log]\naccess = \"off\""));
    gateway.batch(&[ONE]).await.expect(200);
}

#[tokio::test]
async fn what_is_in_flight_counts_against_the_next_limit() {
    let gateway = Arc::new(Gateway::start("").await);
    let refusals = async |reason: &str| {
        let series = format!("vingate_limit_refusals_total{{reason=\"{reason}\"}}");
        gateway.metric(&series).await
    };
    gateway
        .sandbox
        .set_faults(Faults { hang: true, ..Faults::default() });
    let hanging = {
        let gateway = Arc::clone(&gateway);
        tokio::spawn(async move { gateway.batch(&[ONE]).await })
    };
    gateway.until(|seen| seen.hanging == 1).await;
    applied(gateway.reload("[limit]\nmax_in_flight = 1"));
    gateway.batch(&[TWO]).await.expect(503);
    assert_eq!(refusals("in_flight").await, 1.0);
    applied(gateway.reload("[limit]\nmax_in_flight = 8"));
    let other = {
        let gateway = Arc::clone(&gateway);
        tokio::spawn(async move { gateway.batch(&[TWO]).await })
    };
    gateway.until(|seen| seen.hanging == 2).await;
    gateway.batch(&[TWO]).await.expect(503);
    assert_eq!(refusals("client_in_flight").await, 1.0);
    gateway.sandbox.clear_faults();
    hanging.await.unwrap().expect(200);
    other.await.unwrap().expect(200);
    gateway.batch(&[TWO]).await.expect(200);
}

#[tokio::test]
async fn operators_see_what_is_in_force() {
    let gateway = Gateway::start("").await;
    let config = async || {
        gateway
            .admin(Request::get("/config"), "")
            .await
            .expect(200)
            .json()
    };
    assert_eq!(config().await["batch"]["chunk"], 500);
    applied(gateway.reload("[batch]\nchunk = 7"));
    assert_eq!(config().await["batch"]["chunk"], 7);
    assert_eq!(gateway.reload("[batch]\nchunk = 7"), ReloadOutcome::Unchanged);

    // What takes a restart takes everything else in the file with it.
    let refused = gateway.reload("[batch]\nchunk = 8\n[cache]\ncapacity = \"1MiB\"");
    let ReloadOutcome::Refused(changes) = refused else { panic!("{refused:?}") };
    assert_eq!(changes.restart_only().collect::<Vec<_>>(), ["cache.capacity"]);
    assert_eq!(config().await["batch"]["chunk"], 7);

    applied(gateway.reload("[admin]\ntoken = { env = \"OPERATORS_OF_TESTS\" }"));
    gateway.admin(Request::get("/config"), "").await.expect(401);
    let shown = Request::get("/config").header(AUTHORIZATION, "Bearer OPERATORS_OF_TESTS");
    gateway.admin(shown, "").await.expect(200);
}

#[tokio::test]
async fn a_reload_while_draining_disturbs_nobody() {
    let mut gateway = Gateway::start("").await;
    gateway
        .sandbox
        .set_faults(Faults { hang: true, ..Faults::default() });
    let mut caller = Wire::connect(gateway.address).await;
    let body = batch_body(&[ONE]);
    let head = format!(
        "GET {BATCH} HTTP/1.1\r\nhost: a\r\nauthorization: {}\r\ncontent-type: {JSON}\r\ncontent-length: {}\r\n\r\n{body}",
        gateway.authorization(),
        body.len(),
    );
    caller.send(&head).await;
    gateway.until(|seen| seen.hanging == 1).await;
    gateway.drain();
    applied(gateway.reload("[batch]\nchunk = 7"));
    gateway.sandbox.clear_faults();
    caller.response().await.expect(200);
    gateway.stop().await;
}
