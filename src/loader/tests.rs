//! Requests that wait for an upstream which responds when and what the test says.

mod gathering;
mod isolation;
mod refreshes;
mod replays;
mod rides;
mod sizes;

use std::time::Duration;

use http::{HeaderMap, Request, Response};
use parking_lot::Mutex as PlainMutex;
use prometheus::Registry;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::Instant,
};

use super::*;
use crate::{
    body::Body,
    trace::RequestTrace,
    upstream::{self, Account, ClientId, tests::Fake},
    vehicle::{Plate, Vehicle, Vin},
    vehicle_cache::{
        self, Cause, Directives, Invalidate as _, InvalidationScope, Lookups, Outcome, Partition,
        StaleWindows, Ttl,
    },
};

const SECOND: Duration = Duration::from_secs(1);

/// The longest that a small look-up waits for company.
const GATHER_FOR: Duration = Duration::from_millis(100);

/// Whose calls: the partition and the account in one.
const MINE: [u8; 32] = [1; 32];

/// How large calls are, how many of one request are made at once, and of all.
#[derive(Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) chunk: usize,
    pub(crate) max_parallel: usize,
    pub(crate) max_in_flight: usize,
    pub(crate) gather_from: usize,
    pub(crate) refresh_wait: Duration,
    pub(crate) ride: Duration,
}

/// A loader over an upstream that responds by hand.
pub(crate) fn loader(sizes: Sizes) -> (Loader, Calls) {
    let life = 900 * SECOND;
    let lifetimes = vehicle_cache::Lifetimes {
        ttl: Ttl { finished: life, pending: life, failed: life, absent: life, jitter: 0.0 },
        stale: StaleWindows { while_revalidate: 300 * SECOND, if_error: 3600 * SECOND },
    };
    by_hand(sizes, lifetimes)
}

/// The same, with other lifetimes.
fn by_hand(sizes: Sizes, lifetimes: vehicle_cache::Lifetimes) -> (Loader, Calls) {
    let (sender, calls) = mpsc::unbounded_channel();
    let fake = Fake::new(move |call: Request<Body>| {
        let (response, responded) = oneshot::channel();
        sender.send((call, response)).unwrap();
        async { Ok(responded.await.expect("the test lets the call panic")) }
    });
    (loader_over(fake, sizes, lifetimes, 1 << 20), Calls(calls))
}

fn loader_over(
    fake: Fake,
    sizes: Sizes,
    lifetimes: vehicle_cache::Lifetimes,
    capacity: u64,
) -> Loader {
    let Sizes { max_in_flight, .. } = sizes;
    let (upstream, _) =
        fake.upstream_with(&upstream::Config { max_in_flight, ..upstream::tests::config() });
    let registry = Registry::new();
    let cache_config = vehicle_cache::Config { enabled: true, capacity };
    let cache_metrics = vehicle_cache::Metrics::register(&registry).unwrap();
    let cache = VehicleCache::of_vehicles(&cache_config, lifetimes, cache_metrics);
    let metrics = Metrics::register(&registry).unwrap();
    let credential = [http::header::AUTHORIZATION];
    Loader::new(&sizes.config(), State::new(), cache, upstream, &credential, metrics)
}

/// What a reload makes of a loader.
fn reloaded(Loader(inner): &Loader, sizes: Sizes) -> Loader {
    let Inner { cache, upstream, state, metrics, .. } = &**inner;
    let (cache, upstream) = (cache.clone(), upstream.clone());
    let credential = [http::header::AUTHORIZATION];
    Loader::new(&sizes.config(), state.clone(), cache, upstream, &credential, metrics.clone())
}

impl Sizes {
    fn config(self) -> Config {
        let Self { chunk, max_parallel, gather_from, refresh_wait, ride, .. } = self;
        Config {
            chunk,
            max_parallel,
            gather_from,
            gather_for: GATHER_FOR,
            refresh_wait,
            ride,
            max_response: 1 << 20,
            stream_idle_timeout: SECOND,
            request_timeout: 60 * SECOND,
        }
    }
}

pub(crate) fn vehicle(n: u32) -> Vehicle {
    Vehicle {
        vin: Vin::parse(&format!("3VWFE21C04M{n:06}")).unwrap(),
        plate: Plate::parse("ABC123").unwrap(),
    }
}

/// Lets all that can go on do so.
pub(crate) async fn pass() {
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
}

type Sent = (Request<Body>, oneshot::Sender<Response<Body>>);

/// The calls that have come in.
pub(crate) struct Calls(mpsc::UnboundedReceiver<Sent>);

/// One call, and its response to be.
pub(crate) struct Call {
    pub(crate) numbers: Vec<u32>,
    text: String,
    pub(crate) request_id: Option<String>,
    pub(crate) credential: String,
    pub(crate) response: oneshot::Sender<Response<Body>>,
}

impl Calls {
    pub(crate) async fn next(&mut self) -> Call {
        self.next_or_end().await.unwrap()
    }

    /// The next call; `None`: the loader is gone.
    pub(crate) async fn next_or_end(&mut self) -> Option<Call> {
        let (mut call, response) = self.0.recv().await?;
        let bytes = call.body_mut().buffer(1 << 20, SECOND).await.unwrap();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let vins = text.split("3VWFE21C04M").skip(1);
        let numbers = vins.map(|vin| vin[..6].parse().unwrap()).collect();
        let request_id = call.headers().get("x-request-id");
        let request_id = request_id.map(|id| id.to_str().unwrap().to_owned());
        let credential = call.headers().get(http::header::AUTHORIZATION);
        let credential = credential.map_or("", |it| it.to_str().unwrap()).to_owned();
        Some(Call { numbers, text, request_id, credential, response })
    }

    /// The next call, which must be for the vehicles of these numbers.
    pub(crate) async fn next_for(&mut self, numbers: &[u32]) -> Call {
        let call = self.next().await;
        assert_eq!(call.numbers, numbers);
        call
    }

    /// Whether one has come in.
    async fn are_some(&mut self) -> bool {
        pass().await;
        !self.0.is_empty()
    }

    pub(crate) async fn are_none(&mut self) {
        pass().await;
        assert!(self.0.is_empty());
    }
}

impl Call {
    /// Responds with what was asked for, as finished.
    pub(crate) async fn fill(self) {
        let body = self
            .text
            .replace("vehicles", "vehicleData")
            .replace("\"}", r#"","info":[{"status":1,"finishedDateTime":"x"}]}"#);
        self.response
            .send(Response::new(Body::full(body.into_bytes())))
            .unwrap();
        pass().await;
    }

    pub(crate) async fn refuse(self, status: u16) {
        let response = Response::builder().status(status);
        let response = response.body(Body::full("as it came")).unwrap();
        self.response.send(response).unwrap();
        pass().await;
    }
}

/// What a request gets for a vehicle: whether it is there, or the status of the failure.
pub(crate) type Found = Result<(), Option<u16>>;

/// A request that leads what it can, and waits.
pub(crate) struct Asking(JoinHandle<Vec<Found>>);

impl Asking {
    pub(crate) async fn end(self) -> Vec<Found> {
        self.0.await.unwrap()
    }
}

pub(crate) fn ask(loader: &Loader, numbers: &[u32]) -> Asking {
    ask_as(loader, numbers, MINE, "")
}

pub(crate) fn ask_as(
    loader: &Loader,
    numbers: &[u32],
    credential: [u8; 32],
    directives: &str,
) -> Asking {
    ask_by(loader, numbers, None, credential, directives)
}

/// Asks on behalf of a client.
fn ask_by(
    loader: &Loader,
    numbers: &[u32],
    client: Option<u128>,
    credential: [u8; 32],
    directives: &str,
) -> Asking {
    let loader = loader.clone();
    let vehicles: Vec<_> = numbers.iter().map(|&n| vehicle(n)).collect();
    let mut headers = HeaderMap::new();
    headers.insert(http::header::CACHE_CONTROL, directives.parse().unwrap());
    let directives = Directives::of(&headers);
    let partition = Some(Partition::new(&credential));
    headers.insert(http::header::AUTHORIZATION, credential[0].to_string().parse().unwrap());
    headers.insert("x-request-id", numbers[0].to_string().parse().unwrap());
    Asking(tokio::spawn(async move {
        let Lookups { found, leases } =
            loader
                .cache()
                .lookup(partition, vehicles.into_iter(), &directives, Instant::now());
        let context = CallContext {
            partition,
            account: Some(Account(credential)),
            client: client.map(ClientId),
            is_account: true,
            directives,
            trace: RequestTrace::default(),
            headers: loader.headers(&headers),
        };
        let _loading = loader.load(leases, context);
        let mut results = Vec::new();
        for mut lookup in found {
            results.push(match lookup.outcome().await {
                Some(Outcome::Filled(_)) => Ok(()),
                Some(Outcome::Failed(failure)) => Err(failure.status().map(|it| it.as_u16())),
                Some(Outcome::Abandoned) => Err(None),
                None => panic!("nobody asks for that"),
            });
        }
        results
    }))
}

pub(crate) const ONE_AT_ONCE: Sizes = Sizes {
    chunk: 10,
    max_parallel: 4,
    max_in_flight: 1,
    gather_from: 0,
    refresh_wait: Duration::ZERO,
    ride: Duration::ZERO,
};
const MANY_AT_ONCE: Sizes = Sizes { max_in_flight: 100, ..ONE_AT_ONCE };

#[tokio::test(start_paused = true)]
async fn requests_that_wait_for_a_permit_share_a_call_when_one_comes_free() {
    let (loader, mut calls) = loader(ONE_AT_ONCE);
    let first = ask(&loader, &[1]);
    let call = calls.next_for(&[1]).await;
    let waiting = [ask(&loader, &[2, 3]), ask(&loader, &[4]), ask(&loader, &[3, 5])];
    calls.are_none().await;
    call.fill().await;
    let shared = calls.next_for(&[2, 3, 4, 5]).await;
    assert_eq!(shared.request_id.as_deref(), Some("2"), "of the first");
    shared.fill().await;
    for request in waiting.into_iter().chain([first]) {
        assert!(request.end().await.iter().all(Result::is_ok));
    }
    calls.are_none().await;
}

#[tokio::test(start_paused = true)]
async fn a_call_takes_along_what_fits_in_whole_and_nothing_else() {
    let (loader, mut calls) = loader(ONE_AT_ONCE);
    let first = ask(&loader, &[1]);
    let call = calls.next_for(&[1]).await;
    let large: Vec<_> = (100..108).collect();
    let _waiting = [ask(&loader, &[2, 3]), ask(&loader, &large[..]), ask(&loader, &[4])];
    let _larger = ask(&loader, &(200..211).collect::<Vec<_>>());
    pass().await;
    call.fill().await;
    first.end().await;
    let shared = calls.next().await;
    assert_eq!(shared.numbers, [vec![2, 3], large].concat());
    shared.fill().await;
    // What does not fit is balanced: eleven are six and five.
    let shared = calls.next().await;
    assert_eq!(shared.numbers, [4]);
    shared.fill().await;
    calls
        .next_for(&[200, 201, 202, 203, 204, 205])
        .await
        .fill()
        .await;
    calls
        .next_for(&[206, 207, 208, 209, 210])
        .await
        .fill()
        .await;
}

#[tokio::test(start_paused = true)]
async fn makes_the_fewest_and_most_equal_calls_and_only_so_many_at_once() {
    let sizes = Sizes { max_parallel: 2, ..MANY_AT_ONCE };
    let (loader, mut calls) = loader(sizes);
    let numbers: Vec<_> = (0..42).collect();
    let request = ask(&loader, &numbers);
    let (one, two) = (calls.next_for(&numbers[..9]).await, calls.next_for(&numbers[9..18]).await);
    calls.are_none().await;
    two.fill().await;
    let three = calls.next_for(&numbers[18..26]).await;
    calls.are_none().await;
    for call in [one, three] {
        call.fill().await;
    }
    for part in [26..34, 34..42] {
        calls.next_for(&numbers[part]).await.fill().await;
    }
    assert!(request.end().await.iter().all(Result::is_ok));
}

#[tokio::test(start_paused = true)]
async fn a_refresh_goes_along_with_what_its_request_misses() {
    let (loader, mut calls) = loader(MANY_AT_ONCE);
    let first = ask(&loader, &[1]);
    calls.next_for(&[1]).await.fill().await;
    first.end().await;
    tokio::time::advance(901 * SECOND).await;
    let request = ask(&loader, &[1, 2]);
    // What somebody waits for comes first.
    calls.next_for(&[2, 1]).await.fill().await;
    assert_eq!(request.end().await, [Ok(()), Ok(())]);
    calls.are_none().await;
}

#[tokio::test(start_paused = true)]
async fn credentials_and_private_requests_never_share_a_call() {
    let (loader, mut calls) = loader(ONE_AT_ONCE);
    let _first = ask(&loader, &[1]);
    let call = calls.next_for(&[1]).await;
    let _waiting = [
        ask(&loader, &[2]),
        ask_as(&loader, &[3], [2; 32], ""),
        ask_as(&loader, &[4], MINE, "no-store"),
        ask_as(&loader, &[5], MINE, "no-store"),
        ask_as(&loader, &[6], [2; 32], ""),
        ask(&loader, &[7]),
    ];
    pass().await;
    call.fill().await;
    let mut made = Vec::new();
    for _ in 0..4 {
        let call = calls.next().await;
        made.push(call.numbers.clone());
        call.fill().await;
    }
    assert_eq!(made, [vec![2, 7], vec![3, 6], vec![4], vec![5]]);
    calls.are_none().await;
}

#[tokio::test(start_paused = true)]
async fn what_nobody_waits_for_any_more_is_not_sent() {
    let (loader, mut calls) = loader(ONE_AT_ONCE);
    let _first = ask(&loader, &[1]);
    let call = calls.next_for(&[1]).await;
    let leaving = ask(&loader, &[2, 3]);
    pass().await;
    let joining = ask(&loader, &[3]);
    pass().await;
    leaving.0.abort();
    pass().await;
    call.fill().await;
    // The lease outlives the request that led it, because somebody has joined.
    calls.next_for(&[3]).await.fill().await;
    assert_eq!(joining.end().await, [Ok(())]);

    let call = {
        let _busy = ask(&loader, &[4]);
        calls.next_for(&[4]).await
    };
    let (leaving, joining) = (ask(&loader, &[5]), ask(&loader, &[5]));
    pass().await;
    for request in [leaving, joining] {
        request.0.abort();
    }
    call.fill().await;
    calls.are_none().await;
}

#[tokio::test(start_paused = true)]
async fn a_vehicle_that_two_requests_lead_is_asked_for_once() {
    let (loader, mut calls) = loader(ONE_AT_ONCE);
    let _first = ask(&loader, &[1]);
    let call = calls.next_for(&[1]).await;
    let before = ask(&loader, &[2, 3]);
    pass().await;
    let scope = InvalidationScope { vins: vec![vehicle(2).vin], ..<_>::default() };
    loader
        .cache()
        .invalidate(scope, Cause::OtherWrite, None)
        .await;
    let after = ask(&loader, &[2]);
    pass().await;
    call.fill().await;
    calls.next_for(&[2, 3]).await.fill().await;
    assert_eq!(before.end().await, [Ok(()), Ok(())]);
    assert_eq!(after.end().await, [Ok(())]);
    assert_eq!(ask(&loader, &[2, 3]).end().await, [Ok(()), Ok(())]);
    calls.are_none().await;
}

/// Refuses a call if it has one of `poison`, and fills it otherwise. Gives how many vehicles it had.
async fn respond(calls: &mut Calls, poison: &[u32]) -> usize {
    let call = calls.next().await;
    let count = call.numbers.len();
    match call.numbers.iter().any(|number| poison.contains(number)) {
        true => call.refuse(400).await,
        false => call.fill().await,
    }
    count
}

#[tokio::test(start_paused = true)]
async fn a_single_look_up_waits_for_a_turn_of_each_client_and_not_for_their_batches() {
    let (loader, mut calls) = loader(Sizes { max_in_flight: 4, ..ONE_AT_ONCE });
    let batches = (0..3).map(|client: u32| {
        let numbers: Vec<_> = (1000 * client..1000 * client + 200).collect();
        ask_by(&loader, &numbers, Some(client.into()), MINE, "")
    });
    let batches: Vec<_> = batches.collect();
    let mut under_way = std::collections::VecDeque::new();
    for _ in 0..8 {
        under_way.extend(match calls.are_some().await {
            true => Some(calls.next().await),
            false => None,
        });
        if under_way.len() == 4 {
            Call::fill(under_way.pop_front().unwrap()).await;
        }
    }
    let single = ask_by(&loader, &[9999], Some(9), MINE, "");
    pass().await;
    let mut turns = 0;
    while under_way.iter().all(|call| !call.numbers.contains(&9999)) {
        Call::fill(under_way.pop_front().unwrap()).await;
        under_way.push_back(calls.next().await);
        turns += 1;
    }
    // Of some fifty calls that the batches still need: a turn of each client, and who has one.
    assert!(turns <= 5, "{turns} turns");
    drop((single, batches));
}

#[tokio::test(start_paused = true)]
async fn no_permit_fails_the_request_that_asked_for_one() {
    let (loader, mut calls) = loader(ONE_AT_ONCE);
    let _first = ask(&loader, &[1]);
    let call = calls.next_for(&[1]).await;
    let waiting: Vec<_> = (2..18).map(|n| ask(&loader, &[n])).collect();
    pass().await;
    let refused = ask(&loader, &[50]);
    assert_eq!(refused.end().await, [Err(None)]);
    call.fill().await;
    for _ in 0..2 {
        calls.next().await.fill().await;
    }
    for request in waiting {
        assert_eq!(request.end().await, [Ok(())]);
    }
}
