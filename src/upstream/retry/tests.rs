use std::{collections::VecDeque, sync::Arc};

use futures_util::stream;
use http::{Method, header::RETRY_AFTER};
use http_body::Frame;
use http_body_util::StreamBody;
use parking_lot::Mutex;
use tokio::time::sleep;

use super::*;
use crate::{
    route::Route,
    upstream::{
        Account, Call, Kind, Reservation, RetryConfig, Upstream,
        tests::{Fake, config},
    },
};

const SECOND: Duration = Duration::from_secs(1);
const WITHIN: Duration = Duration::from_secs(60);

/// What becomes of one attempt.
#[derive(Clone, Copy, Debug)]
enum End {
    Status(u16),
    /// With `Retry-After`.
    Later(u16),
    Timeout,
    Full,
}

struct Sent {
    response: Attempted,
    calls: u32,
    retries: u64,
    took: Duration,
}

/// Makes calls again up to twice, for a part of `budget` of them.
fn retrying(fake: Fake, budget: f64) -> (Upstream, Metrics) {
    let retry = RetryConfig { max_attempts: 3, budget };
    fake.upstream_with(&Config { retry, request_timeout: WITHIN, ..config() })
}

async fn send(upstream: &Upstream, route: Route, request: Request<Body>) -> Attempted {
    send_call(upstream, Call::new(route, request)).await
}

async fn send_call(upstream: &Upstream, call: Call) -> Attempted {
    let account = Some(Account([1; 32]));
    let reservation = Reservation { account, ..Reservation::of(Kind::Buffered) };
    let permit = upstream.reserve(reservation).await?;
    permit.send(call).await
}

/// What comes of `request` when its attempts end like this, and then well.
async fn sent(ends: &[End], route: Route, request: Request<Body>) -> Sent {
    let left = Mutex::new(ends.iter().copied().collect::<VecDeque<_>>());
    let calls = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&calls);
    let fake = Fake::new(move |_| {
        *counted.lock() += 1;
        let next = left.lock().pop_front().unwrap_or(End::Status(200));
        async move {
            let (status, retry_after) = match next {
                End::Status(status) => (status, None),
                End::Later(status) => (status, Some("1")),
                End::Timeout => return Err(Error::Timeout),
                End::Full => {
                    return Err(Error::Full { rest: Duration::ZERO, hold: Duration::ZERO });
                }
            };
            let mut response = Response::builder().status(status);
            if let Some(value) = retry_after {
                response = response.header(RETRY_AFTER, value);
            }
            Ok(response.body(Body::full("x")).unwrap())
        }
    });
    let (upstream, metrics) = retrying(fake, 1.0);
    let began_at = Instant::now();
    let response = send(&upstream, route, request).await;
    let (calls, took) = (*calls.lock(), began_at.elapsed());
    Sent { response, calls, retries: metrics.retries.get(), took }
}

fn get() -> Request<Body> {
    Request::new(Body::full("{}"))
}

#[tokio::test(start_paused = true)]
async fn makes_a_call_again_when_that_may_help() {
    use End::{Full, Later, Status, Timeout};
    for (ends, status, calls) in [
        (&[][..], Some(200), 1),
        (&[Status(500)], Some(200), 2),
        (&[Status(502), Status(504)], Some(200), 3),
        (&[Timeout, Status(503)], Some(200), 3),
        (&[Timeout, Timeout], Some(200), 3),
        (&[Status(500), Status(502), Status(503)], Some(503), 3),
        (&[Status(500), Status(502), Timeout], None, 3),
        (&[Status(500), Status(404)], Some(404), 2),
        (&[Status(400)], Some(400), 1),
        (&[Status(408)], Some(408), 1),
        (&[Status(501)], Some(501), 1),
        (&[Status(505)], Some(505), 1),
        (&[Status(304)], Some(304), 1),
        (&[Status(101)], Some(101), 1),
        (&[Status(429)], Some(200), 2),
        (&[Later(429)], Some(429), 1),
        (&[Status(500), Later(503)], Some(503), 2),
        (&[Full], None, 1),
    ] {
        let sent = sent(ends, Route::Other, get()).await;
        let found = sent
            .response
            .ok()
            .map(|response| response.status().as_u16());
        assert_eq!((found, sent.calls), (status, calls), "{ends:?}");
        assert_eq!(sent.retries, u64::from(calls - 1), "{ends:?}");
        let is_busy = matches!(ends, [Status(429)]);
        assert_eq!(sent.took >= BUSY_WAIT, is_busy, "{ends:?} took {:?}", sent.took);
    }
}

#[tokio::test(start_paused = true)]
async fn makes_again_only_reads_whose_body_is_buffered() {
    let streamed = || {
        let frame = Ok::<_, crate::body::Error>(Frame::data("x".into()));
        Body::new(StreamBody::new(stream::iter([frame])))
    };
    for (method, body, route, calls) in [
        (Method::GET, Body::empty(), None, 2),
        (Method::HEAD, Body::empty(), None, 2),
        (Method::OPTIONS, Body::full("x"), None, 2),
        (Method::QUERY, Body::full("x"), None, 2),
        (Method::GET, Body::full("x").hold(()), None, 2),
        (Method::GET, streamed(), None, 1),
        (Method::QUERY, streamed(), None, 1),
        (Method::POST, Body::empty(), None, 1),
        (Method::PUT, Body::full("x"), Some(Route::TaxIdentity), 1),
        (Method::DELETE, Body::empty(), None, 1),
        (Method::TRACE, Body::empty(), None, 1),
        (Method::from_bytes(b"get").unwrap(), Body::empty(), None, 1),
    ] {
        let mut request = Request::new(body);
        *request.method_mut() = method.clone();
        let what = format!("{request:?}");
        let route = route.unwrap_or(Route::Other);
        let sent = sent(&[End::Status(500)], route, request).await;
        assert_eq!(sent.calls, calls, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn sends_the_same_again() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let failing = Fake::new(move |request: Request<Body>| {
        let noted = Arc::clone(&noted);
        async move {
            use http_body_util::BodyExt as _;
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let headers = (head.method, head.uri, head.version, head.headers);
            noted.lock().push((headers, body));
            Err::<Response<Body>, _>(Error::Timeout)
        }
    });
    let request = Request::builder()
        .method(Method::QUERY)
        .uri("/a?b")
        .header("x", "1")
        .header("x", "2")
        .body(Body::full("body"))
        .unwrap();
    let (upstream, _) = retrying(failing, 1.0);
    assert!(send(&upstream, Route::Other, request).await.is_err());
    let seen = seen.lock();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|call| *call == seen[0]));
    assert_eq!(seen[0].1, "body");
}

#[tokio::test(start_paused = true)]
async fn comes_too_late_for_nobody() {
    // The first attempt takes as long as a client waits, but for a moment.
    for (takes, calls) in [(WITHIN - BUSY_WAIT - SECOND, 2), (WITHIN - BUSY_WAIT, 1)] {
        let count = Arc::new(Mutex::new(0));
        let counted = Arc::clone(&count);
        let slow = Fake::new(move |_| {
            *counted.lock() += 1;
            async move {
                sleep(takes).await;
                Ok::<_, Error>(Response::builder().status(429).body(Body::empty()).unwrap())
            }
        });
        let (upstream, _) = retrying(slow, 1.0);
        send(&upstream, Route::Other, get()).await.unwrap();
        assert_eq!(*count.lock(), calls, "{takes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_holds_no_permit_while_it_waits() {
    let failing = Fake::new(|_| async { Err::<Response<Body>, _>(Error::Timeout) });
    let (upstream, metrics) = retrying(failing, 1.0);
    let mut sending = Box::pin(send(&upstream, Route::Other, get()));
    assert!(futures_util::FutureExt::now_or_never(sending.as_mut()).is_none());
    assert_eq!(metrics.in_flight.get(), 0);
    assert!(sending.await.is_err());
    assert_eq!(metrics.retries.get(), 2);
}

#[tokio::test(start_paused = true)]
async fn makes_no_more_calls_again_than_the_budget_allows() {
    let count = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&count);
    let failing = Fake::new(move |_| {
        *counted.lock() += 1;
        async { Err::<Response<Body>, _>(Error::Timeout) }
    });
    let (upstream, metrics) = retrying(failing, 0.2);
    let all = (0..100).map(|_| send(&upstream, Route::Other, get()));
    futures_util::future::join_all(all).await;
    // Ten at once, a fifth of the calls, and what comes back within the longest waits.
    let retries = *count.lock() - 100;
    assert!((30..=33).contains(&retries), "{retries}");
    assert_eq!(metrics.retries.get(), retries);
}

#[tokio::test(start_paused = true)]
async fn waits_longer_from_attempt_to_attempt_and_never_the_same() {
    for (attempts, longest) in [(1, 100), (2, 200), (3, 400), (5, 1600), (6, 2000), (99, 2000)] {
        let longest = Duration::from_millis(longest);
        let wait = |draw| backoff(attempts, FIRST_WAIT, MAX_WAIT, draw);
        assert_eq!(wait(0), longest / 2, "{attempts}");
        assert_eq!(wait(u64::MAX), longest, "{attempts}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_large_call_that_was_late_is_not_made_again_as_it_is() {
    for (vehicles, end, want) in [
        (26, End::Status(504), 1),
        (26, End::Timeout, 1),
        (26, End::Status(503), 2),
        (25, End::Status(504), 2),
        (25, End::Timeout, 2),
    ] {
        let calls = Arc::new(Mutex::new(0));
        let counted = Arc::clone(&calls);
        let fake = Fake::new(move |_| {
            *counted.lock() += 1;
            let is_first = *counted.lock() == 1;
            async move {
                match end {
                    End::Timeout if is_first => Err(Error::Timeout),
                    End::Status(status) if is_first => Ok(Response::builder()
                        .status(status)
                        .body(Body::empty())
                        .unwrap()),
                    _ => Ok(Response::new(Body::empty())),
                }
            }
        });
        let (upstream, _) = retrying(fake, 1.0);
        let call = Call { vehicles, ..Call::new(Route::Batch, get()) };
        let _ = send_call(&upstream, call).await;
        assert_eq!(*calls.lock(), want, "{vehicles} {end:?}");
    }
}
