use std::collections::VecDeque;

use futures_util::stream;
use http::{Method, header::RETRY_AFTER};
use http_body::Frame;
use http_body_util::StreamBody;
use parking_lot::Mutex;
use prometheus::Registry;
use tower::service_fn;

use super::*;
use crate::upstream::{Account, BreakerConfig, breaker::Breaker, pause::Pauses};

const SECOND: Duration = Duration::from_secs(1);
const WITHIN: Duration = Duration::from_secs(60);

/// What becomes of one try.
#[derive(Clone, Copy, Debug)]
enum Try {
    Status(u16),
    /// With `Retry-After`.
    Paused(u16),
    Timeout,
    Full,
}

struct Tried {
    response: Answer,
    calls: u32,
    retries: u64,
    took: Duration,
}

/// What comes of `request` when its tries end like this, and then well.
async fn tried(shared: &Shared, tries: &[Try], request: Request<Body>) -> Tried {
    let left = Arc::new(Mutex::new(tries.iter().copied().collect::<VecDeque<_>>()));
    let calls = Arc::new(Mutex::new(0));
    let counted = Arc::clone(&calls);
    let service = service_fn(move |_: Request<Body>| {
        *counted.lock() += 1;
        let next = left.lock().pop_front().unwrap_or(Try::Status(200));
        async move {
            let (status, retry_after) = match next {
                Try::Status(status) => (status, None),
                Try::Paused(status) => (status, Some("1")),
                Try::Timeout => return Err(Error::Timeout),
                Try::Full => return Err(Error::Full),
            };
            let mut response = Response::builder().status(status);
            if let Some(value) = retry_after {
                response = response.header(RETRY_AFTER, value);
            }
            Ok(response.body(Body::full("x")).unwrap())
        }
    });
    let Shared { max_attempts, within, ref gate, ref retries, .. } = *shared;
    let retries_before = retries.get();
    let budget = Budget::new(1.0, Instant::now());
    let (gate, retries) = (gate.clone(), retries.clone());
    let layer = RetryLayer(Arc::new(Shared { max_attempts, budget, within, gate, retries }));
    let began_at = Instant::now();
    let response = layer.layer(service).oneshot(request).await;
    let (calls, took) = (*calls.lock(), began_at.elapsed());
    Tried { response, calls, retries: shared.retries.get() - retries_before, took }
}

fn shared() -> Shared {
    let metrics = Metrics::register(&Registry::new()).unwrap();
    let breaking = BreakerConfig {
        failure_ratio: 0.5,
        min_requests: 20,
        open_for: 10 * SECOND,
        probe_for: 20 * SECOND,
    };
    Shared {
        max_attempts: 3,
        budget: Budget::new(0.2, Instant::now()),
        within: WITHIN,
        gate: Gate { pauses: Pauses::new(), breaker: Breaker::new(breaking, &metrics) },
        retries: metrics.retries,
    }
}

fn get() -> Request<Body> {
    Request::new(Body::full("{}"))
}

#[tokio::test(start_paused = true)]
async fn makes_a_call_again_when_that_may_help() {
    use Try::{Full, Paused, Status, Timeout};
    for (tries, status, calls) in [
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
        (&[Paused(429)], Some(429), 1),
        (&[Status(500), Paused(503)], Some(503), 2),
        (&[Full], None, 1),
    ] {
        let tried = tried(&shared(), tries, get()).await;
        let found = tried
            .response
            .ok()
            .map(|response| response.status().as_u16());
        assert_eq!((found, tried.calls), (status, calls), "{tries:?}");
        assert_eq!(tried.retries, u64::from(calls - 1), "{tries:?}");
        let is_busy = matches!(tries, [Status(429)]);
        assert_eq!(tried.took >= BUSY_WAIT, is_busy, "{tries:?} took {:?}", tried.took);
    }
}

#[tokio::test(start_paused = true)]
async fn makes_again_only_reads_whose_body_is_at_hand() {
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
        route.map(|route: Route| request.extensions_mut().insert(route));
        let what = format!("{request:?}");
        let tried = tried(&shared(), &[Try::Status(500)], request).await;
        assert_eq!(tried.calls, calls, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn sends_the_same_again() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&seen);
    let failing = service_fn(move |request: Request<Body>| {
        let noted = Arc::clone(&noted);
        async move {
            use http_body_util::BodyExt as _;
            let (head, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            let account = head.extensions.get::<Account>().copied();
            let fields = (head.method, head.uri, head.version, head.headers);
            noted.lock().push((fields, body, account));
            Err::<Response<Body>, _>(Error::Timeout)
        }
    });
    let request = Request::builder()
        .method(Method::QUERY)
        .uri("/a?b")
        .header("x", "1")
        .header("x", "2")
        .extension(Account([1; 32]))
        .body(Body::full("body"))
        .unwrap();
    let service = RetryLayer(Arc::new(shared())).layer(failing);
    assert!(service.oneshot(request).await.is_err());
    let seen = seen.lock();
    assert_eq!(seen.len(), 3);
    assert!(seen.iter().all(|call| *call == seen[0]));
    assert_eq!(seen[0].1, "body");
}

#[tokio::test(start_paused = true)]
async fn comes_too_late_for_nobody() {
    // The first try takes as long as a caller waits, but for a moment.
    for (takes, calls) in [(WITHIN - BUSY_WAIT - SECOND, 2), (WITHIN - BUSY_WAIT, 1)] {
        let count = Arc::new(Mutex::new(0));
        let counted = Arc::clone(&count);
        let slow = service_fn(move |_: Request<Body>| {
            *counted.lock() += 1;
            async move {
                sleep(takes).await;
                Ok::<_, Error>(Response::builder().status(429).body(Body::empty()).unwrap())
            }
        });
        let service = RetryLayer(Arc::new(shared())).layer(slow);
        service.oneshot(get()).await.unwrap();
        assert_eq!(*count.lock(), calls, "{takes:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn makes_no_more_calls_again_than_the_budget_allows() {
    let (shared, count) = (Arc::new(shared()), Arc::new(Mutex::new(0)));
    let counted = Arc::clone(&count);
    let failing = service_fn(move |_: Request<Body>| {
        *counted.lock() += 1;
        async { Err::<Response<Body>, _>(Error::Timeout) }
    });
    let service = RetryLayer(Arc::clone(&shared)).layer(failing);
    let all = (0..100).map(|_| service.clone().oneshot(get()));
    futures_util::future::join_all(all).await;
    // Ten at once, a fifth of the first tries, and what comes back within the longest waits.
    let retries = *count.lock() - 100;
    assert!((30..=33).contains(&retries), "{retries}");
    assert_eq!(shared.retries.get(), retries);
}

#[tokio::test(start_paused = true)]
async fn waits_longer_from_try_to_try_and_never_the_same() {
    for (tries, longest) in [(1, 100), (2, 200), (3, 400), (5, 1600), (6, 2000), (99, 2000)] {
        let longest = Duration::from_millis(longest);
        assert_eq!(backoff(tries, 0), longest / 2, "{tries}");
        assert_eq!(backoff(tries, u64::MAX), longest, "{tries}");
    }
}
