use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
};

use bytes::Bytes;
use futures_util::stream;
use http::StatusCode;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    sync::{Notify, Semaphore},
    time::{Instant, sleep},
};
use tower::{Layer as _, ServiceExt as _, service_fn};
use tracing::Level;

use super::*;
use crate::{
    batch,
    gateway::leftover::{MAX_DRAINED, MAX_DRAINING},
    limit,
    rule::{self, Pass, Rule},
    telemetry::{self, Format},
};

const KIB: usize = 1024;

/// The response to a request that is refused with this body unread.
async fn refuse(body: Body) -> Response<Body> {
    refuse_request(Request::new(body)).await
}

async fn refuse_request(request: Request<Body>) -> Response<Body> {
    let refusing = service_fn(async |request: Request<Body>| {
        Err::<Response<Body>, _>(Rejection::<Error>::new(limit::Error::Full, request))
    });
    let Ok(response) = Respond(refusing).oneshot(request).await;
    response
}

/// Counts the error lines of this thread.
#[derive(Clone, Default)]
struct ErrorLines(Arc<AtomicUsize>);

impl io::Write for ErrorLines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.fetch_add(1, Relaxed);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn what_clients_bring_about_themselves_is_no_error_in_the_log() {
    for (error, status, count) in [
        ((|| limit::Error::Full.into()) as fn() -> Error, 503, 0),
        (|| limit::Error::ClientFull { hold: Duration::ZERO }.into(), 503, 0),
        (|| batch::Error::NotCached.into(), 504, 0),
        (|| limit::Error::Deadline.into(), 504, 1),
        (|| Error::Panic, 500, 1),
    ] {
        let lines = ErrorLines::default();
        let writer = lines.clone();
        let log = telemetry::subscriber(Format::Text, Level::INFO, move || writer.clone());
        let _guard = tracing::subscriber::set_default(log);
        let failing = service_fn(move |request: Request<Body>| async move {
            Err::<Response<Body>, _>(Rejection::new(error(), request))
        });
        let Ok(response) = Respond(failing).oneshot(Request::default()).await;
        assert_eq!((response.status().as_u16(), lines.0.load(Relaxed)), (status, count));
    }
}

/// A body of frames of 1 KiB, one each `every`, and how many were taken.
fn frames(every: Duration) -> (Body, Arc<AtomicUsize>) {
    let taken = Arc::<AtomicUsize>::default();
    let counted = Arc::clone(&taken);
    let frames = stream::unfold((), move |()| {
        let counted = Arc::clone(&counted);
        async move {
            sleep(every).await;
            counted.fetch_add(1, Relaxed);
            let frame = Frame::data(Bytes::from_static(&[b'x'; KIB]));
            Some((Ok::<_, crate::body::Error>(frame), ()))
        }
    });
    (Body::new(StreamBody::new(Box::pin(frames))), taken)
}

#[tokio::test(start_paused = true)]
async fn a_refusal_that_is_held_back_holds_nothing_else() {
    let hold = Duration::from_millis(300);
    let in_flight = Arc::new(Semaphore::new(1));
    let permits = Arc::clone(&in_flight);
    let refusing = service_fn(move |request: Request<Body>| {
        let permit = Arc::clone(&permits).try_acquire_owned().unwrap();
        async move {
            let _permit = permit;
            let error = limit::Error::ClientFull { hold };
            Err::<Response<Body>, _>(Rejection::<Error>::new(error, request))
        }
    });
    let began_at = Instant::now();
    for body in [Body::empty(), Body::full("unread")] {
        let began_at = Instant::now();
        let refused = Respond(refusing.clone()).oneshot(Request::new(body));
        let look = async {
            sleep(hold / 2).await;
            in_flight.available_permits()
        };
        let (Ok(response), free) = tokio::join!(refused, look);
        assert_eq!(response.headers()["retry-after"], "1");
        assert_eq!((began_at.elapsed(), free), (hold, 1));
    }
    assert_eq!(began_at.elapsed(), 2 * hold);
}

#[tokio::test]
async fn turns_errors_and_panics_into_responses() {
    let code = async |response: Response<Body>| {
        let status = response.status();
        assert_eq!(response.headers()["content-type"], "application/problem+json");
        let json = response.into_body().collect().await.unwrap().to_bytes();
        let problem: serde_json::Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(problem["status"], status.as_u16());
        let code = problem["code"].as_str().unwrap().to_owned();
        assert_eq!(problem["type"], format!("urn:vingate:problem:{code}"));
        (status, code)
    };
    let refused = refuse(Body::empty()).await;
    assert_eq!(refused.headers()["retry-after"], "1");
    let overloaded = (StatusCode::SERVICE_UNAVAILABLE, "Overloaded".to_owned());
    assert_eq!(code(refused).await, overloaded);

    let panicking = service_fn(async |_: Request<Body>| {
        panic!("as asked for");
        #[expect(unreachable_code, reason = "it gives the function its type")]
        Err::<Response<Body>, Rejection<Error>>(Rejection::bare(Error::Panic))
    });
    let Ok(response) = Respond(panicking).oneshot(Request::default()).await;
    let internal = (StatusCode::INTERNAL_SERVER_ERROR, "Internal".to_owned());
    assert_eq!(code(response).await, internal);

    let Ok(response) = panicking_rule().oneshot(request_to("/panic")).await;
    assert_eq!(code(response).await, internal);
}

/// Panics over `/panic` before it has a future, answers the rest once `/wait` is let go.
fn panicking_rule()
-> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone
{
    #[derive(Debug)]
    struct Panicking;

    impl Rule for Panicking {
        type Error = Error;

        fn check(&self, request: &mut Request<Body>) -> Result<Pass<Error>, Error> {
            assert!(request.uri().path() != "/panic", "provoked");
            Ok(Pass::Now)
        }
    }

    let released = Arc::new(Notify::new());
    Respond(rule::layer(Panicking).layer(service_fn(move |request: Request<Body>| {
        let released = Arc::clone(&released);
        async move {
            match request.uri().path() {
                "/wait" => released.notified().await,
                _ => released.notify_one(),
            }
            Ok::<_, Rejection<Error>>(Response::new(Body::empty()))
        }
    })))
}

fn request_to(path: &str) -> Request<Body> {
    let mut request = Request::default();
    *request.uri_mut() = path.parse().unwrap();
    request
}

#[tokio::test]
async fn a_panic_before_there_is_a_future_leaves_other_streams_alone() {
    let (client, server) = tokio::io::duplex(4096);
    let path = panicking_rule();
    let served = hyper::service::service_fn(move |request: Request<Incoming>| {
        path.clone().oneshot(request.map(Body::incoming))
    });
    let server =
        http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(server), served);
    tokio::spawn(server);
    let (mut client, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(client))
            .await
            .unwrap();
    tokio::spawn(connection);

    let mut waiting = Box::pin(client.send_request(request_to("http://a/wait")));
    assert!(futures_util::poll!(waiting.as_mut()).is_pending());
    for (path, status) in [("http://a/panic", 500), ("http://a/panic", 500), ("http://a/", 200)] {
        let response = client.send_request(request_to(path)).await.unwrap();
        assert_eq!(response.status(), status);
    }
    assert_eq!(waiting.await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_panic_before_there_is_a_future_is_answered_over_http1_and_the_connection_is_kept() {
    let (client, server) = tokio::io::duplex(4096);
    let path = panicking_rule();
    let served = hyper::service::service_fn(move |request: Request<Incoming>| {
        path.clone().oneshot(request.map(Body::incoming))
    });
    tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(server), served));
    let (mut client, connection) = hyper::client::conn::http1::handshake(TokioIo::new(client))
        .await
        .unwrap();
    tokio::spawn(connection);

    for (path, status) in [("/panic", 500), ("/panic", 500), ("/", 200)] {
        client.ready().await.unwrap();
        let response = client.send_request(request_to(path)).await.unwrap();
        assert_eq!(response.status(), status);
    }
}

#[tokio::test]
async fn every_response_has_the_id_of_its_request() {
    let inner = service_fn(async |request: Request<Body>| match request.uri().path() {
        "/refuse" => Err(Rejection::<Error>::new(limit::Error::Full, request)),
        "/panic" => panic!("provoked"),
        // The upstream has IDs of its own.
        _ => Ok(Response::builder()
            .header(X_REQUEST_ID, "theirs")
            .body(Body::empty())
            .unwrap()),
    });
    for path in ["/", "/refuse", "/panic"] {
        for body in [Body::empty(), Body::full("unread")] {
            let mut request = request_to(path).map(|_| body);
            request
                .headers_mut()
                .insert(X_REQUEST_ID, HeaderValue::from_static("ours"));
            let id = crate::request_id::RequestIds::new().mark(request.headers_mut());
            RequestContext::of_mut(request.extensions_mut()).id = Some(id);
            let Ok(response) = Respond(inner).oneshot(request).await;
            let ids: Vec<_> = response.headers().get_all(X_REQUEST_ID).iter().collect();
            assert_eq!(ids, ["ours"], "{path}");
        }
    }
}

fn is_last(response: &Response<Body>) -> bool {
    response
        .headers()
        .get(CONNECTION)
        .is_some_and(|value| value == "close")
}

#[tokio::test]
async fn is_the_last_response_only_after_a_body_that_was_not_read() {
    let incomplete = || {
        let frames = stream::iter([Ok(Frame::data(Bytes::from("x"))), Err("incomplete")]);
        Body::new(StreamBody::new(frames))
    };
    for (body, last) in [
        (Body::empty(), false),
        (Body::full("x"), false),
        (Body::full(vec![b'x'; MAX_DRAINED]), false),
        (incomplete(), true),
    ] {
        assert_eq!(is_last(&refuse(body).await), last);
    }
    let mut expecting = Request::new(Body::full("x"));
    expecting
        .headers_mut()
        .insert(EXPECT, HeaderValue::from_static("100-continue"));
    assert!(is_last(&refuse_request(expecting).await));
    let mut over_http2 = Request::new(incomplete());
    *over_http2.version_mut() = Version::HTTP_2;
    assert!(!is_last(&refuse_request(over_http2).await));
}

#[tokio::test(start_paused = true)]
async fn reads_what_nobody_wanted_within_bounds() {
    let millis = Duration::from_millis;
    // How fast the body comes, how long it is read, and how many frames are taken at most.
    for (every, takes, most) in [
        (millis(1), millis(257), 257),
        (millis(10), MAX_DRAINING, 100),
        (millis(5000), MAX_DRAINING, 0),
    ] {
        let (body, taken) = frames(every);
        let began_at = Instant::now();
        let response = refuse(body).await;
        assert_eq!((response.status().as_u16(), is_last(&response)), (503, true));
        assert!(began_at.elapsed() <= takes + millis(2), "{:?}", began_at.elapsed());
        let taken = taken.load(Relaxed);
        assert!((most.max(1) - 1..=most).contains(&taken), "{taken} frames, one each {every:?}");
    }
}
