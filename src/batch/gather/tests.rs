//! Several requests at once, and an upstream that answers when and what the test says.

use std::time::Duration;

use http::{Request, Response, StatusCode};
use prometheus::Registry;
use tokio::sync::{mpsc, oneshot};
use tower::{service_fn, util::BoxCloneSyncService};

use super::*;
use crate::{
    batch::{Config, Metrics},
    body::Body,
    cache::{self, StaleWindows, Ttl},
    vehicle::{Plate, Vin},
};

const SECOND: Duration = Duration::from_secs(1);

/// Gathers, one vehicle a call and `max_parallel` calls at once.
fn gather(max_parallel: usize) -> (Gather, Calls) {
    let (sender, calls) = mpsc::unbounded_channel();
    let upstream = BoxCloneSyncService::new(service_fn(move |call: Request<Body>| {
        let (response, answered) = oneshot::channel();
        sender.send((call, response)).unwrap();
        async { Ok(answered.await.expect("the test lets the call panic")) }
    }));
    let config = Config {
        max_vehicles: 100,
        chunk: 1,
        max_parallel,
        max_answer: 1 << 20,
        max_body: 1 << 20,
        body_idle_timeout: SECOND,
        stream_idle_timeout: SECOND,
        request_timeout: 60 * SECOND,
    };
    let metrics = Metrics::register(&Registry::new()).unwrap();
    let fetch = Fetch::new(upstream, &config, &[], metrics);
    let life = 900 * SECOND;
    let config = cache::Config { enabled: true, capacity: 1 << 20 };
    let lifetimes = cache::Lifetimes {
        ttl: Ttl { finished: life, pending: life, failed: life, absent: life, jitter: 0.0 },
        stale: StaleWindows { while_revalidate: 300 * SECOND, if_error: 3600 * SECOND },
    };
    let cache = Cache::new(config, lifetimes, cache::Metrics::register(&Registry::new()).unwrap());
    (Gather { cache, fetch, chunk: 1, max_parallel }, Calls(calls))
}

/// A request for vehicles of these numbers, under way.
fn ask(gather: &Gather, numbers: &[u32]) -> tokio::task::JoinHandle<Result<Gathered, Error>> {
    let (gather, vehicles) =
        (gather.clone(), numbers.iter().map(|&n| vehicle(n)).collect::<Vec<_>>());
    tokio::spawn(async move {
        let wanted = Wanted {
            vehicles: &vehicles,
            partition: Some(Partition::new(&[1; 32])),
            account: None,
            of_account: true,
            directives: &Directives::default(),
            fields: &HeaderMap::new(),
        };
        gather.gather(&wanted).await
    })
}

fn vehicle(n: u32) -> Vehicle {
    Vehicle {
        vin: Vin::parse(&format!("3VWFE21C04M{n:06}")).unwrap(),
        plate: Plate::parse("ABC123").unwrap(),
    }
}

/// Lets all that can go on do so.
async fn pass() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

fn status(result: Result<Gathered, Error>) -> Option<StatusCode> {
    match result.unwrap_err() {
        Error::Call { error, .. } => error.status(),
        other => panic!("{other}"),
    }
}

fn found(result: Result<Gathered, Error>) -> Vec<CacheStatus> {
    result.unwrap().parts.iter().map(|part| part.from).collect()
}

type Sent = (Request<Body>, oneshot::Sender<Response<Body>>);

/// The calls that have come in.
struct Calls(mpsc::UnboundedReceiver<Sent>);

/// One call, and its answer to be.
struct Call {
    text: String,
    turn: Turn,
    response: oneshot::Sender<Response<Body>>,
}

// === impl Calls ===

impl Calls {
    /// The next call, which must be for the vehicle of this number.
    async fn next(&mut self, number: u32) -> Call {
        let (mut call, response) = self.0.recv().await.unwrap();
        let bytes = call.body_mut().buffer(1 << 20, SECOND).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        assert!(text.contains(vehicle(number).vin.as_str()), "{text} is not for {number}");
        let turn = call.extensions().get().cloned().unwrap();
        Call { text, turn, response }
    }

    async fn are_none(&mut self) {
        pass().await;
        assert!(self.0.is_empty());
    }
}

// === impl Call ===

impl Call {
    /// Answers what was asked for, as finished.
    async fn fill(self) {
        let text = self
            .text
            .replace("vehicles", "vehicleData")
            .replace("}]", r#","info":[{"status":1,"finishedDateTime":"x"}]}]"#);
        self.response
            .send(Response::new(Body::full(text.into_bytes())))
            .unwrap();
        pass().await;
    }

    async fn refuse(self, status: u16) {
        let response = Response::builder()
            .status(status)
            .body(Body::empty())
            .unwrap();
        self.response.send(response).unwrap();
        pass().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_reaches_only_the_request_that_composed_the_call() {
    let (gather, mut calls) = gather(4);
    let first = ask(&gather, &[1]);
    let call = calls.next(1).await;
    let joined = [ask(&gather, &[1]), ask(&gather, &[1])];
    pass().await;
    call.refuse(400).await;
    assert_eq!(status(first.await.unwrap()), Some(StatusCode::BAD_REQUEST));

    calls.next(1).await.fill().await;
    for request in joined {
        request.await.unwrap().unwrap();
    }
    calls.are_none().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_again_after_a_refusal_is_asked_again_once() {
    let (gather, mut calls) = gather(4);
    let first = ask(&gather, &[1]);
    let call = calls.next(1).await;
    let joined = [ask(&gather, &[1]), ask(&gather, &[1])];
    pass().await;
    call.refuse(404).await;
    calls.next(1).await.refuse(404).await;
    for request in joined.into_iter().chain([first]) {
        assert_eq!(status(request.await.unwrap()), Some(StatusCode::NOT_FOUND));
    }
    calls.are_none().await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_was_given_up_is_no_second_try() {
    let (gather, mut calls) = gather(1);
    let first = ask(&gather, &[9, 1]);
    let call = calls.next(9).await;
    let joined = [ask(&gather, &[1]), ask(&gather, &[1])];
    pass().await;
    call.refuse(500).await;
    assert_eq!(status(first.await.unwrap()), Some(StatusCode::INTERNAL_SERVER_ERROR));

    // One of them asks now. If it is refused, that is not the other's fault.
    calls.next(1).await.refuse(400).await;
    calls.next(1).await.fill().await;
    let [one, other] = joined.map(async |request| request.await.unwrap());
    assert_eq!(
        [one.await.is_ok(), other.await.is_ok()]
            .map(u8::from)
            .iter()
            .sum::<u8>(),
        1
    );
}

#[tokio::test(start_paused = true)]
async fn a_failure_reaches_everybody_and_drops_what_is_not_sent() {
    let (gather, mut calls) = gather(1);
    let first = ask(&gather, &[1, 2]);
    let call = calls.next(1).await;
    let joined = ask(&gather, &[1]);
    pass().await;
    call.refuse(503).await;
    for request in [first, joined] {
        assert_eq!(status(request.await.unwrap()), Some(StatusCode::SERVICE_UNAVAILABLE));
    }
    calls.are_none().await;
}

#[tokio::test(start_paused = true)]
async fn a_failure_takes_back_what_waits_for_its_turn() {
    let (gather, mut calls) = gather(3);
    let request = ask(&gather, &[1, 2, 3]);
    let (sent, failing, waiting) = (calls.next(1).await, calls.next(2).await, calls.next(3).await);
    waiting.turn.set_awaited(true);
    failing.refuse(503).await;
    assert!(waiting.response.is_closed(), "it still waits");
    assert!(!sent.response.is_closed());
    sent.fill().await;
    assert_eq!(status(request.await.unwrap()), Some(StatusCode::SERVICE_UNAVAILABLE));
}

#[tokio::test(start_paused = true)]
async fn refreshes_behind_go_up_after_what_is_waited_for() {
    let (gather, mut calls) = gather(1);
    let first = ask(&gather, &[1]);
    calls.next(1).await.fill().await;
    first.await.unwrap().unwrap();
    tokio::time::advance(901 * SECOND).await;

    let request = ask(&gather, &[1, 2]);
    let call = calls.next(2).await;
    calls.are_none().await;
    call.fill().await;
    assert_eq!(found(request.await.unwrap()), [CacheStatus::Stale, CacheStatus::Miss]);
    calls.next(1).await.fill().await;
    assert_eq!(found(ask(&gather, &[1, 2]).await.unwrap()), [CacheStatus::Hit, CacheStatus::Hit]);
}

#[tokio::test(start_paused = true)]
async fn a_caller_who_hangs_up_disturbs_nobody() {
    let (gather, mut calls) = gather(4);
    let first = ask(&gather, &[1]);
    let call = calls.next(1).await;
    let joined = ask(&gather, &[1]);
    pass().await;
    first.abort();
    call.fill().await;
    assert_eq!(found(joined.await.unwrap()), [CacheStatus::Joined]);
    calls.are_none().await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_panics_is_replaced_at_once() {
    let (gather, mut calls) = gather(4);
    let first = ask(&gather, &[1]);
    let call = calls.next(1).await;
    let joined = ask(&gather, &[1]);
    pass().await;
    drop(call);
    calls.next(1).await.fill().await;
    for request in [first, joined] {
        request.await.unwrap().unwrap();
    }
    calls.are_none().await;
}

#[tokio::test(start_paused = true)]
async fn calls_that_panic_for_ever_are_asked_for_only_so_often() {
    let (gather, mut calls) = gather(4);
    let request = ask(&gather, &[1]);
    for _ in 0..MAX_ROUNDS {
        drop(calls.next(1).await);
    }
    assert_eq!(status(request.await.unwrap()), None);
    calls.are_none().await;
}
