use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use futures_util::{FutureExt as _, future::join_all, stream};
use http::header::{RETRY_AFTER, TRANSFER_ENCODING};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use parking_lot::Mutex;
use tokio::time::{Instant, advance, sleep, timeout};

use super::*;
use crate::route::Route;

const SECOND: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(20);
const OPEN_FOR: Duration = Duration::from_secs(10);

/// Calls of a kind that may wait for each permit.
const QUEUE: usize = 16;

/// The bodies that the upstream still reads.
type Reading = Arc<Mutex<Vec<Body>>>;

const BUFFERED: Reservation = Reservation::of(Kind::Buffered);
const STREAMING: Reservation = Reservation::of(Kind::Streaming);

/// So many permits for an upstream that responds at once, before it has read a byte, as the path
/// says.
fn upstream(max_in_flight: usize) -> (Upstream, Metrics, Reading) {
    upstream_of(Config { max_in_flight, ..config() })
}

fn upstream_of(config: Config) -> (Upstream, Metrics, Reading) {
    let reading = Reading::default();
    let bodies = Arc::clone(&reading);
    let fake = Fake::new(move |request: Request<Body>| {
        let path = request.uri().path().to_owned();
        bodies.lock().push(request.into_body());
        async move {
            let response = Response::builder();
            let (what, how) = path[1..].split_once('/').unwrap_or((&path[1..], ""));
            let response = match what {
                "timeout" => return Err(Error::Timeout),
                "full" => return Err(Error::Full { rest: Duration::ZERO, hold: Duration::ZERO }),
                "hang" => return std::future::pending().await,
                "" => response,
                "busy" => response.status(503).header(RETRY_AFTER, "7"),
                status => response.status(status),
            };
            // Longer than what is read with the head: nobody knows its end before it is read.
            let response = match how {
                "coded" => response.header(TRANSFER_ENCODING, "gzip"),
                _ => response,
            };
            let frame = || match how {
                "torn" => Err("torn"),
                _ => Ok(Frame::data(Bytes::from("x"))),
            };
            let body = stream::iter([frame(), frame(), frame()]);
            Ok(response.body(Body::new(StreamBody::new(body))).unwrap())
        }
    });
    let config = Config { attempt_timeout: PATIENCE, ..config };
    let (upstream, metrics) = fake.upstream_with(&config);
    (upstream, metrics, reading)
}

async fn call(
    upstream: &Upstream,
    reservation: Reservation,
    path: &str,
    body: &'static str,
) -> Result<Box<Response<Body>>, Error> {
    let mut request = Request::new(Body::full(body));
    *request.uri_mut() = path.parse().unwrap();
    let permit = upstream.reserve(reservation).await?;
    permit.send(Call::new(Route::Other, request)).await
}

async fn plain(upstream: &Upstream) -> Result<Box<Response<Body>>, Error> {
    call(upstream, BUFFERED, "/", "").await
}

#[tokio::test]
async fn a_response_that_is_here_as_a_whole_holds_no_permit() {
    let fake = Fake::new(|_| async { Ok(Response::new(Body::full("x"))) });
    let (upstream, metrics) = fake.upstream_with(&config());
    let response = plain(&upstream).await.unwrap();
    assert_eq!(metrics.in_flight.get(), 0);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "x");
}

#[tokio::test(start_paused = true)]
async fn holds_a_permit_until_the_responses_body_has_ended() {
    let (upstream, metrics, _) = upstream(1);
    let first = plain(&upstream).await.unwrap();
    assert_eq!(metrics.in_flight.get(), 1);
    let second = tokio::spawn({
        let upstream = upstream.clone();
        async move { plain(&upstream).await }
    });
    sleep(5 * SECOND).await;
    assert!(!second.is_finished());

    first.into_body().collect().await.unwrap();
    let second = second.await.unwrap().unwrap();
    assert_eq!(metrics.in_flight.get(), 1);
    drop(second);
    assert_eq!(metrics.in_flight.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_permit_that_is_not_used_is_given_back() {
    let (upstream, metrics, _) = upstream(1);
    let permit = upstream.reserve(BUFFERED).await.unwrap();
    assert!(plain(&upstream).now_or_never().is_none());
    drop(permit);
    assert_eq!(metrics.in_flight.get(), 0);
    assert!(plain(&upstream).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_response_that_nobody_reads_stops_counting_as_a_call() {
    let (sender, frames) = tokio::sync::mpsc::unbounded_channel();
    let frames = Mutex::new(Some(frames));
    let fake = Fake::new(move |_| {
        let mut frames = frames.lock().take().expect("one call");
        let frames = stream::poll_fn(move |cx| frames.poll_recv(cx));
        async { Ok(Response::new(Body::new(StreamBody::new(frames)))) }
    });
    let slow_after = SECOND / 10;
    let (upstream, metrics) = fake.upstream_with(&Config { slow_after, ..config() });
    let frame = || Ok::<_, Infallible>(Frame::data(Bytes::from(vec![b'x'; 1024])));
    sender.send(frame()).unwrap();
    let mut body = plain(&upstream).await.unwrap().into_body();
    // While it is read, and while it is Sync that is awaited, it counts.
    for _ in 0..20 {
        assert!(body.frame().await.is_some());
        sender.send(frame()).unwrap();
        sleep(slow_after / 2).await;
        assert_eq!(metrics.in_flight.get(), 1);
    }
    assert!(body.frame().await.is_some());
    assert!(body.frame().now_or_never().is_none());
    sleep(100 * slow_after).await;
    assert_eq!(metrics.in_flight.get(), 1);
    // Now it is the reader.
    sender.send(frame()).unwrap();
    assert!(body.frame().await.is_some());
    sleep(3 * slow_after).await;
    assert_eq!(metrics.in_flight.get(), 0);
    drop(sender);
    assert!(body.frame().await.is_none(), "it can still be read");
    assert_eq!(metrics.in_flight.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_nobody_sends_stops_counting_as_a_call() {
    let slow_after = SECOND / 10;
    // It responds when it has read all.
    let fake = Fake::new(|request: Request<Body>| async {
        let read = request.into_body().collect().await;
        Ok(Response::new(Body::full(read.unwrap().to_bytes())))
    });
    let (upstream, metrics) = fake.upstream_with(&Config { slow_after, ..config() });
    let (sender, mut frames) = tokio::sync::mpsc::unbounded_channel();
    let frames = stream::poll_fn(move |cx| frames.poll_recv(cx));
    let permit = upstream.reserve(STREAMING).await.unwrap();
    let request = Request::new(Body::new(StreamBody::new(frames)));
    let sending = tokio::spawn(permit.send(Call::new(Route::Other, request)));
    let frame = |size| Ok::<_, Infallible>(Frame::data(Bytes::from(vec![b'x'; size])));
    for _ in 0..20 {
        sender.send(frame(1024)).unwrap();
        sleep(slow_after / 2).await;
        assert_eq!((metrics.in_flight.get(), metrics.slow_clients.get()), (1, 0));
    }
    // A trickle is nothing.
    for _ in 0..20 {
        sender.send(frame(10)).unwrap();
        sleep(slow_after / 5).await;
    }
    assert_eq!((metrics.in_flight.get(), metrics.slow_clients.get()), (0, 1));
    sender.send(frame(1)).unwrap();
    drop(sender);
    let response = sending.await.unwrap().unwrap();
    assert_eq!(
        response
            .into_body()
            .collect()
            .await
            .unwrap()
            .to_bytes()
            .len(),
        20 * 1024 + 20 * 10 + 1
    );
    assert_eq!((metrics.in_flight.get(), metrics.slow_clients.get()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn cuts_the_slowest_client_when_there_are_too_many() {
    let config = Config { slow_after: SECOND / 10, max_in_flight: 1, ..config() };
    let fake = Fake::new(|_| async {
        let frame = || Ok::<_, Infallible>(Frame::data(Bytes::from(vec![b'x'; 2048])));
        Ok(Response::new(Body::new(StreamBody::new(stream::repeat_with(frame)))))
    });
    let (upstream, metrics) = fake.upstream_with(&config);
    let mut unread = Vec::new();
    for _ in 0..5 {
        let response = timeout(SECOND, plain(&upstream))
            .await
            .expect("nobody waits");
        unread.push(response.unwrap().into_body());
        sleep(SECOND).await;
    }
    assert_eq!(metrics.slow_clients.get(), 5);
    assert!(unread[0].frame().await.unwrap().is_err(), "it was cut");
    assert!(unread[1].frame().await.unwrap().is_ok());
    unread.remove(0);
    assert_eq!(metrics.slow_clients.get(), 4);
    // Who goes on is slow no more, and gives its place to another.
    unread.push(plain(&upstream).await.unwrap().into_body());
    for _ in 0..20 {
        assert!(unread[0].frame().await.unwrap().is_ok());
        sleep(SECOND / 20).await;
    }
    assert_eq!(metrics.slow_clients.get(), 4);
    for body in &mut unread {
        assert!(body.frame().await.unwrap().is_ok(), "it was cut");
    }
    drop(unread);
    assert_eq!(metrics.slow_clients.get(), 0);

    // It is one of the client that has most of them.
    let mut unread = Vec::new();
    for client in [1, 2, 3, 2, 1] {
        let of_client = Reservation { client: Some(ClientId(client)), ..BUFFERED };
        let response = call(&upstream, of_client, "/", "").await;
        unread.push(response.unwrap().into_body());
        sleep(SECOND).await;
    }
    let mut are_cut = Vec::new();
    for body in &mut unread {
        are_cut.push(body.frame().await.unwrap().is_err());
    }
    assert_eq!(are_cut, [false, true, false, false, false]);
    drop(unread);
    assert_eq!(metrics.slow_clients.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn lets_only_so_many_wait_and_only_so_long() {
    let (upstream, metrics, _) = upstream(2);
    let held = [plain(&upstream).await.unwrap(), plain(&upstream).await.unwrap()];
    let began_at = Instant::now();
    let mut waiting: Vec<_> = (0..2 * QUEUE).map(|_| Box::pin(plain(&upstream))).collect();
    for call in &mut waiting {
        assert!(call.now_or_never().is_none());
    }
    let refused = plain(&upstream).now_or_never().expect("refused at once");
    assert!(matches!(refused, Err(Error::Full { .. })));

    // One that is given up makes room for one, and takes no permit.
    drop(waiting.pop());
    let mut last = Box::pin(plain(&upstream));
    assert!(last.as_mut().now_or_never().is_none());
    waiting.push(last);
    drop(held);
    let admitted: Vec<_> = join_all(waiting.drain(..2)).await;
    assert!(admitted.iter().all(Result::is_ok));
    assert_eq!(metrics.in_flight.get(), 2);
    for late in join_all(waiting).await {
        // Two were served meanwhile.
        let Err(Error::Full { rest, .. }) = late else { panic!("admitted") };
        assert!(rest >= PATIENCE / 2, "{rest:?}");
    }
    assert_eq!(began_at.elapsed().as_secs(), PATIENCE.as_secs());
    drop(admitted);
    assert_eq!(metrics.in_flight.get(), 0);
    assert!(plain(&upstream).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_after_it_was_admitted_gives_its_permit_to_the_next() {
    let (upstream, metrics, _) = upstream(1);
    let held = upstream.reserve(BUFFERED).await.unwrap();
    let mut first = Box::pin(upstream.reserve(BUFFERED));
    let mut second = Box::pin(upstream.reserve(BUFFERED));
    assert!(first.as_mut().now_or_never().is_none());
    assert!(second.as_mut().now_or_never().is_none());
    drop(held);
    // It has not heard of it yet.
    drop(first);
    let second = second.now_or_never().expect("it is admitted").unwrap();
    assert_eq!(metrics.in_flight.get(), 1);
    drop(second);
    assert_eq!(metrics.in_flight.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn streaming_calls_leave_permits_to_the_others() {
    for (path, body) in [("/", "upload"), ("/101", "")] {
        let (upstream, _, reading) = upstream(4);
        let streaming = || call(&upstream, STREAMING, path, body);
        let held = [streaming().await.unwrap(), streaming().await.unwrap()];
        let mut waiting: Vec<_> = (0..99).map(|_| Box::pin(streaming())).collect();
        for call in &mut waiting {
            let _ = call.now_or_never();
        }
        assert_eq!(reading.lock().len(), 2, "{path}");
        let others = [plain(&upstream).await.unwrap(), plain(&upstream).await.unwrap()];
        reading.lock().clear();
        drop((held, others));
        assert!(waiting.swap_remove(0).await.is_ok(), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_has_sent_all_sets_the_pace_no_more() {
    let (upstream, _, reading) = upstream(2);
    let streaming = || call(&upstream, STREAMING, "/", "upload");
    let first = streaming().await.unwrap();
    assert!(streaming().now_or_never().is_none());
    reading.lock().clear();
    let second = streaming()
        .now_or_never()
        .expect("there is a permit")
        .unwrap();
    drop((first, second));
    reading.lock().clear();
    // Nor does one whose upgrade the upstream declined.
    let declined = call(&upstream, STREAMING, "/", "").await.unwrap();
    assert!(streaming().now_or_never().is_some());
    drop(declined);
}

#[tokio::test(start_paused = true)]
async fn one_client_holds_no_more_than_its_share_while_others_wait() {
    let (upstream, ..) = upstream_of(Config { max_in_flight: 4, client_share: 0.5, ..config() });
    let of = |client| Reservation { client: Some(ClientId(client)), ..BUFFERED };
    let mut held: Vec<_> = join_all((0..4).map(|_| upstream.reserve(of(1)))).await;
    assert!(held.iter().all(Result::is_ok), "all of them, when nobody else wants any");
    let mut greedy: Vec<_> = (0..4).map(|_| Box::pin(upstream.reserve(of(1)))).collect();
    let mut other: Vec<_> = (0..2).map(|_| Box::pin(upstream.reserve(of(2)))).collect();
    for call in greedy.iter_mut().chain(&mut other) {
        assert!(call.as_mut().now_or_never().is_none());
    }
    // It gives back two, and has its share still: both go to the other.
    held.truncate(2);
    let other: Vec<_> = other
        .into_iter()
        .map(|call| call.now_or_never().expect("admitted"))
        .collect();
    assert!(greedy[0].as_mut().now_or_never().is_none());
    drop(other);
    assert!(greedy[0].as_mut().now_or_never().is_some(), "nobody else waits");
}

#[tokio::test(start_paused = true)]
async fn calls_nobody_for_the_account_before_retry_after() {
    let (upstream, ..) = upstream(9);
    // What the head says holds, also if the body cannot be read.
    for (number, path, status) in [
        (None, "/busy", Some(503)),
        (Some(1), "/busy", Some(503)),
        (None, "/busy/torn", None),
        (None, "/busy/coded", None),
    ] {
        let account = number.map(|number| Account([number; 32]));
        let (of, other) = (
            Reservation { account, ..BUFFERED },
            Reservation { account: Some(Account([9; 32])), ..BUFFERED },
        );
        assert!(call(&upstream, of, "/", "").await.is_ok());
        let response = call(&upstream, of, path, "").await.ok();
        assert_eq!(response.map(|response| response.status().as_u16()), status, "as it came");
        advance(3 * SECOND).await;
        let Err(Error::RetryAfter { rest }) = call(&upstream, of, "/", "").await else {
            panic!("it was called");
        };
        assert_eq!(rest, 4 * SECOND);
        assert!(call(&upstream, other, "/", "").await.is_ok());
        advance(4 * SECOND).await;
        assert!(call(&upstream, of, "/", "").await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_a_permit_is_refused_when_sync_asks_for_no_calls_meanwhile() {
    let (upstream, ..) = upstream(1);
    let busy = call(&upstream, BUFFERED, "/busy", "").await.unwrap();
    assert!(matches!(plain(&upstream).await, Err(Error::RetryAfter { .. })));
    drop(busy);
    advance(7 * SECOND).await;
    let permit = upstream.reserve(BUFFERED).await.unwrap();
    let mut waiting = Box::pin(plain(&upstream));
    assert!(waiting.as_mut().now_or_never().is_none());
    let mut request = Request::new(Body::empty());
    *request.uri_mut() = "/busy".parse().unwrap();
    drop(permit.send(Call::new(Route::Other, request)).await);
    assert!(matches!(waiting.await, Err(Error::RetryAfter { .. })));
}

/// Opens after two failures.
fn breaker() -> Config {
    let breaker = BreakerConfig {
        failure_ratio: 0.5,
        min_requests: 2,
        open_for: OPEN_FOR,
        probe_for: 2 * OPEN_FOR,
    };
    Config { breaker, ..config() }
}

#[tokio::test(start_paused = true)]
async fn the_breaker_opens_on_failures_of_the_upstream_and_of_nobody_else() {
    for (path, opens) in [
        ("/timeout", true),
        ("/500", true),
        ("/503", true),
        ("/500/torn", true),
        ("/500/coded", true),
        ("/200/torn", false),
        ("/200/coded", false),
        ("/200", false),
        ("/404", false),
        ("/429", false),
        ("/full", false),
        ("/hang", false),
    ] {
        let (upstream, metrics, _) = upstream_of(breaker());
        for _ in 0..2 {
            // What hangs is given up.
            let _ = call(&upstream, BUFFERED, path, "").now_or_never();
        }
        assert_eq!(metrics.breaker_state.get(), i64::from(opens), "{path}");
        let response = plain(&upstream).await;
        assert_eq!(matches!(response, Err(Error::Open { rest: OPEN_FOR })), opens, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_probe_at_a_time_closes_the_breaker() {
    let (upstream, metrics, _) = upstream_of(breaker());
    let call = |path| call(&upstream, BUFFERED, path, "");
    for _ in 0..2 {
        call("/500").await.unwrap();
    }
    advance(OPEN_FOR).await;
    let mut probe = Box::pin(call("/hang"));
    assert!(probe.as_mut().now_or_never().is_none());
    assert_eq!(metrics.breaker_state.get(), 2);
    assert!(matches!(call("/200").await, Err(Error::Open { .. })));
    // Its client hangs up: that says nothing of the upstream.
    drop(probe);
    assert_eq!(metrics.breaker_state.get(), 2);
    call("/502").await.unwrap();
    assert_eq!(metrics.breaker_state.get(), 1);
    assert!(call("/200").await.is_err());
    advance(OPEN_FOR).await;
    assert!(call("/200").await.is_ok());
    assert_eq!(metrics.breaker_state.get(), 0);
    assert!(call("/200").await.is_ok());
}

/// What a request keeps while it waits for its call, on 64-bit machines: with many requests, all of
/// that competes for the processor's caches.
#[tokio::test]
async fn a_call_keeps_little_while_it_is_made() {
    let (upstream, ..) = upstream(9);
    let reserving = upstream.reserve(BUFFERED);
    let reserved = size_of_val(&reserving);
    let permit = reserving.await.unwrap();
    let sent = size_of_val(&permit.send(Call::new(Route::Other, Request::default())));
    println!("{reserved} bytes while it waits for a permit, {sent} while it is made");
    assert!(reserved <= 640 && sent <= 1700);
}
