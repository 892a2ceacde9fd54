use futures_util::{FutureExt as _, future::join_all};
use http_body_util::BodyExt as _;
use parking_lot::Mutex;
use prometheus::Registry;
use tokio::time::{Instant, sleep};
use tower::ServiceExt as _;

use super::*;

const PATIENCE: Duration = Duration::from_secs(20);

/// The bodies that the upstream still reads.
type Reading = Arc<Mutex<Vec<Body>>>;

/// Places before a service that answers at once, before it has read a byte.
fn bulkhead(
    places: usize,
) -> (
    impl Service<Request<Body>, Response = Response<Body>, Error = Error, Future: Send> + Clone,
    Metrics,
    Reading,
) {
    let metrics = Metrics::register(&Registry::new()).unwrap();
    let layer = BulkheadLayer::new(places, PATIENCE, &metrics);
    let reading = Reading::default();
    let bodies = Arc::clone(&reading);
    let service = tower::service_fn(move |request: Request<Body>| {
        let mut response = Response::new(Body::full("x"));
        if request.uri().path() == "/tunnel" {
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
        }
        bodies.lock().push(request.into_body());
        async { Ok(response) }
    });
    (layer.layer(service), metrics, reading)
}

fn plain() -> Request<Body> {
    Request::new(Body::empty())
}

fn paced(path: &str, body: &'static str) -> Request<Body> {
    let mut request = Request::new(Body::full(body));
    *request.uri_mut() = path.parse().unwrap();
    request.extensions_mut().insert(Paced);
    request
}

#[tokio::test(start_paused = true)]
async fn holds_a_place_until_the_answers_body_has_ended() {
    let (bulkhead, metrics, _) = bulkhead(1);
    let call = || bulkhead.clone().oneshot(plain());

    let first = call().await.unwrap();
    assert_eq!(metrics.in_flight.get(), 1);
    let second = tokio::spawn(call());
    sleep(Duration::from_secs(5)).await;
    assert!(!second.is_finished());

    first.into_body().collect().await.unwrap();
    let second = second.await.unwrap().unwrap();
    assert_eq!(metrics.in_flight.get(), 1);
    drop(second);
    assert_eq!(metrics.in_flight.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn lets_only_so_many_wait_and_only_so_long() {
    let (bulkhead, metrics, _) = bulkhead(2);
    let call = || bulkhead.clone().oneshot(plain());
    let held = [call().await.unwrap(), call().await.unwrap()];
    let began_at = Instant::now();
    let mut waiting: Vec<_> = (0..2 * QUEUE).map(|_| Box::pin(call())).collect();
    for call in &mut waiting {
        assert!(call.now_or_never().is_none());
    }
    let refused = call().now_or_never().expect("refused at once");
    assert!(matches!(refused, Err(Error::Full)));

    // One that is given up makes room for one, and takes no place.
    drop(waiting.pop());
    let mut last = Box::pin(call());
    assert!(last.as_mut().now_or_never().is_none());
    waiting.push(last);
    drop(held);
    let answered: Vec<_> = join_all(waiting.drain(..2)).await;
    assert!(answered.iter().all(Result::is_ok));
    assert_eq!(metrics.in_flight.get(), 2);
    for late in join_all(waiting).await {
        assert!(matches!(late, Err(Error::Full)));
    }
    assert_eq!(began_at.elapsed().as_secs(), PATIENCE.as_secs());
    drop(answered);
    assert_eq!(metrics.in_flight.get(), 0);
    assert!(call().await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn paced_calls_leave_places_to_the_others() {
    for (path, body) in [("/", "upload"), ("/tunnel", "")] {
        let (bulkhead, _, reading) = bulkhead(4);
        let call = || bulkhead.clone().oneshot(paced(path, body));
        let held = [call().await.unwrap(), call().await.unwrap()];
        let mut waiting: Vec<_> = (0..99).map(|_| Box::pin(call())).collect();
        for call in &mut waiting {
            let _ = call.now_or_never();
        }
        assert_eq!(reading.lock().len(), 2, "{path}");
        let others = || bulkhead.clone().oneshot(plain());
        let others = [others().await.unwrap(), others().await.unwrap()];
        reading.lock().clear();
        drop((held, others));
        assert!(waiting.swap_remove(0).await.is_ok(), "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_has_sent_all_sets_the_pace_no_more() {
    let (bulkhead, _, reading) = bulkhead(2);
    let call = || bulkhead.clone().oneshot(paced("/", "upload"));
    let first = call().await.unwrap();
    assert!(call().now_or_never().is_none());
    reading.lock().clear();
    let second = call().now_or_never().expect("there is a place").unwrap();
    drop((first, second));
    reading.lock().clear();
    // Nor does one whose upgrade the upstream declined.
    let declined = bulkhead.clone().oneshot(paced("/", "")).await.unwrap();
    assert!(call().now_or_never().is_some());
    drop(declined);
}

#[tokio::test(start_paused = true)]
async fn tells_whether_a_call_waits() {
    let (bulkhead, ..) = bulkhead(1);
    let call = |turn: &Turn| {
        let mut request = plain();
        request.extensions_mut().insert(turn.clone());
        bulkhead.clone().oneshot(request)
    };
    let (first, second) = (Turn::default(), Turn::default());
    let held = call(&first).await.unwrap();
    assert!(!first.is_awaited());
    let mut waiting = Box::pin(call(&second));
    assert!(waiting.as_mut().now_or_never().is_none());
    assert!(second.is_awaited());
    drop(held);
    waiting.await.unwrap();
    assert!(!second.is_awaited());
}
