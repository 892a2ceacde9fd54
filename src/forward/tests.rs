//! The service against an upstream in memory. `wire` has what only a connection shows.

mod wire;

use bytes::Bytes;
use futures_util::{FutureExt as _, stream};
use http::{
    HeaderMap, StatusCode,
    header::{LOCATION, WWW_AUTHENTICATE},
};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use parking_lot::Mutex;
use tokio::{
    sync::{mpsc, oneshot},
    time::advance,
};
use tower::{ServiceExt as _, service_fn, util::BoxCloneSyncService};

use super::*;
use crate::{
    auth::Credential,
    body::{Error as BodyError, Failure},
    cache::{Affected, Partition},
    route::Route,
};

const MINE: [u8; 32] = [7; 32];
const SECOND: Duration = Duration::from_secs(1);

type Dropped = Arc<Mutex<Vec<(Affected, Cause, Option<Duration>)>>>;

fn config() -> Config {
    Config {
        trusted_proxies: vec!["192.0.2.0/24".parse().unwrap()],
        credential_headers: vec![HeaderName::from_static("x-api-key")],
        max_body: 64,
        body_idle_timeout: 30 * SECOND,
        stream_idle_timeout: 60 * SECOND,
        attempt_timeout: 20 * SECOND,
    }
}

fn forward(upstream: Upstream) -> (Forward, Dropped) {
    let dropped = Dropped::default();
    let kept = Arc::clone(&dropped);
    let invalidate: Invalidate = Arc::new(move |affected, cause, hold_off| {
        kept.lock().push((affected.clone(), cause, hold_off));
    });
    let origin =
        Origin { scheme: http::uri::Scheme::HTTPS, authority: "sync.example".parse().unwrap() };
    let shared = Shared { config: config(), origin, invalidate, tasks: TaskTracker::new() };
    (Forward { upstream, shared: Arc::new(shared) }, dropped)
}

/// An upstream that reads requests whole and answers each with `answer`.
fn answering(answer: fn() -> Response<Body>) -> (Upstream, Arc<Mutex<Vec<Request<Bytes>>>>) {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&seen);
    let upstream = service_fn(move |request: Request<Body>| {
        let kept = Arc::clone(&kept);
        async move {
            let (head, body) = request.into_parts();
            let Ok(body) = body.collect().await else {
                return Err(upstream::Error::Timeout);
            };
            kept.lock().push(Request::from_parts(head, body.to_bytes()));
            Ok(answer())
        }
    });
    (BoxCloneSyncService::new(upstream), seen)
}

type Call = (Request<Body>, oneshot::Sender<Result<Response<Body>, upstream::Error>>);

/// An upstream whose calls are answered by hand.
fn by_hand() -> (Upstream, mpsc::UnboundedReceiver<Call>) {
    let (calls, received) = mpsc::unbounded_channel();
    let upstream = service_fn(move |request: Request<Body>| {
        let (answer, answered) = oneshot::channel();
        let _ = calls.send((request, answer));
        async move { answered.await.unwrap_or(Err(upstream::Error::Timeout)) }
    });
    (BoxCloneSyncService::new(upstream), received)
}

/// A body whose frames are sent by hand.
fn sent_by_hand() -> (mpsc::UnboundedSender<Result<Frame<Bytes>, BodyError>>, Body) {
    let (sender, frames) = mpsc::unbounded_channel();
    let frames = stream::unfold(frames, async |mut frames| Some((frames.recv().await?, frames)));
    (sender, Body::new(StreamBody::new(frames)))
}

fn ok() -> Response<Body> {
    Response::new(Body::full("fine"))
}

fn request(method: Method, uri: &str, body: Body) -> Request<Body> {
    let path = uri.parse::<Uri>().unwrap().path().to_owned();
    Request::builder()
        .method(&method)
        .uri(uri)
        .header("host", "gate:8080")
        .extension(Peer::new("203.0.113.9:5".parse().unwrap(), false))
        .extension(Route::of(&method, &path, false))
        .extension(Credential { digest: Some(MINE), is_account: false })
        .body(body)
        .unwrap()
}

/// The fields of a head in alphabetical order.
fn fields(headers: &HeaderMap) -> Vec<(&str, &str)> {
    let fields = headers.iter();
    let mut fields: Vec<_> = fields
        .map(|(name, value)| (name.as_str(), value.to_str().unwrap()))
        .collect();
    fields.sort_unstable();
    fields
}

fn streamed(frames: Vec<Result<Frame<Bytes>, BodyError>>) -> Body {
    Body::new(StreamBody::new(stream::iter(frames)))
}

fn data(text: &'static str) -> Result<Frame<Bytes>, BodyError> {
    Ok(Frame::data(Bytes::from_static(text.as_bytes())))
}

#[tokio::test]
async fn sends_the_callers_request_with_a_head_of_its_own() {
    let (upstream, seen) = answering(ok);
    let (forward, _) = forward(upstream);
    let mut request = request(Method::GET, "http://gate:8080/a%2fb?c=%20+", Body::empty());
    *request.version_mut() = Version::HTTP_2;
    let headers = request.headers_mut();
    headers.insert("x-forwarded-for", HeaderValue::from_static("1.1.1.1"));
    headers.insert("x-request-id", HeaderValue::from_static("r1"));
    headers.insert("te", HeaderValue::from_static("gzip, Trailers"));
    forward.oneshot(request).await.unwrap();

    let request = seen.lock().pop().unwrap();
    assert_eq!(request.uri(), "/a%2fb?c=%20+");
    assert_eq!(request.version(), Version::HTTP_11);
    assert_eq!(
        fields(request.headers()),
        [
            ("connection", "te"),
            ("forwarded", "for=203.0.113.9;host=\"gate:8080\";proto=http"),
            ("te", "trailers"),
            ("via", "2 vingate"),
            ("x-forwarded-for", "203.0.113.9"),
            ("x-forwarded-host", "gate:8080"),
            ("x-forwarded-proto", "http"),
            ("x-request-id", "r1"),
        ]
    );
}

#[tokio::test]
async fn believes_a_trusted_proxy() {
    let (upstream, seen) = answering(ok);
    let (forward, _) = forward(upstream);
    let mut request = request(Method::GET, "/", Body::empty());
    request
        .headers_mut()
        .insert("x-forwarded-for", HeaderValue::from_static("1.1.1.1"));
    request
        .extensions_mut()
        .insert(Peer::new("192.0.2.1:5".parse().unwrap(), true));
    forward.oneshot(request).await.unwrap();
    assert_eq!(seen.lock()[0].headers()["x-forwarded-for"], "1.1.1.1, 192.0.2.1");
}

#[tokio::test]
async fn sends_a_get_body_of_unknown_length_in_one_piece() {
    let (upstream, seen) = answering(ok);
    let (forward, _) = forward(upstream);
    let body = streamed(vec![data("12"), data("34")]);
    forward
        .clone()
        .oneshot(request(Method::GET, "/", body))
        .await
        .unwrap();
    assert_eq!(seen.lock()[0].body(), "1234");

    let body = streamed(vec![Ok(Frame::data(vec![b'x'; 65].into()))]);
    let refused = forward
        .oneshot(request(Method::HEAD, "/", body))
        .await
        .unwrap_err();
    assert!(matches!(refused, Error::Body(Failure::TooLarge { limit: 64 })));
    assert_eq!(seen.lock().len(), 1, "nothing was sent");
}

#[tokio::test]
async fn streams_both_ways_at_once() {
    let (upstream, mut calls) = by_hand();
    let (forward, _) = forward(upstream);
    let (up, body) = sent_by_hand();
    let mut asked = Box::pin(forward.oneshot(request(Method::QUERY, "/", body)));
    assert!(asked.as_mut().now_or_never().is_none());

    let (mut call, answer) = calls.recv().await.unwrap();
    up.send(data("ping")).unwrap();
    assert_eq!(
        call.body_mut()
            .frame()
            .await
            .unwrap()
            .unwrap()
            .into_data()
            .unwrap(),
        "ping"
    );

    let (down, body) = sent_by_hand();
    answer.send(Ok(Response::new(body))).unwrap();
    let mut answer = asked.await.unwrap();
    down.send(data("pong")).unwrap();
    assert_eq!(
        answer
            .body_mut()
            .frame()
            .await
            .unwrap()
            .unwrap()
            .into_data()
            .unwrap(),
        "pong"
    );

    up.send(data("more")).unwrap();
    assert_eq!(
        call.body_mut()
            .frame()
            .await
            .unwrap()
            .unwrap()
            .into_data()
            .unwrap(),
        "more"
    );
    drop((up, down));
    assert!(call.body_mut().frame().await.is_none());
    assert!(answer.body_mut().frame().await.is_none());
}

#[tokio::test]
async fn passes_announced_trailers_both_ways() {
    let sum = || {
        HeaderMap::from_iter(
            [("x-sum", 1), ("x-other", 2)]
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from(value))),
        )
    };
    let (upstream, mut calls) = by_hand();
    let (forward, _) = forward(upstream);
    let mut request =
        request(Method::POST, "/", streamed(vec![data("x"), Ok(Frame::trailers(sum()))]));
    request
        .headers_mut()
        .insert(TRAILER, HeaderValue::from_static("X-Sum, Authorization"));
    let asked = tokio::spawn(forward.oneshot(request));

    let (call, answer) = calls.recv().await.unwrap();
    assert_eq!(call.headers()[TRAILER], "x-sum");
    let trailers = call
        .into_body()
        .collect()
        .await
        .unwrap()
        .trailers()
        .cloned()
        .unwrap();
    assert_eq!(trailers.keys().collect::<Vec<_>>(), ["x-sum"]);

    let answered = Response::new(streamed(vec![data("x"), Ok(Frame::trailers(sum()))]));
    answer.send(Ok(answered)).unwrap();
    let answer = asked
        .await
        .unwrap()
        .unwrap()
        .into_body()
        .collect()
        .await
        .unwrap();
    assert!(answer.trailers().is_none(), "nobody announced them");
}

#[tokio::test]
async fn blames_the_caller_for_a_torn_body_whatever_the_upstream_answers() {
    let (upstream, mut calls) = by_hand();
    let (forward, _) = forward(upstream);
    for has_answer in [true, false] {
        let body = streamed(vec![data("x"), Err("bad chunk".into())]);
        let asked = tokio::spawn(forward.clone().oneshot(request(Method::QUERY, "/", body)));
        let (call, answer) = calls.recv().await.unwrap();
        assert!(call.into_body().collect().await.is_err(), "it never looks whole");
        let answered = if has_answer { Ok(ok()) } else { Err(upstream::Error::Timeout) };
        answer.send(answered).unwrap();
        let refused = asked.await.unwrap().unwrap_err();
        assert!(matches!(refused, Error::Body(Failure::Torn(_))));
    }
}

#[tokio::test(start_paused = true)]
async fn ends_a_silent_body_of_a_caller() {
    let (upstream, _) = answering(ok);
    let (forward, dropped) = forward(upstream);
    let (up, body) = sent_by_hand();
    up.send(data("x")).unwrap();
    let refused = forward
        .oneshot(request(Method::POST, "/", body))
        .await
        .unwrap_err();
    assert!(matches!(refused, Error::Body(Failure::Idle)));
    assert_eq!(dropped.lock()[0].2, Some(20 * SECOND), "nobody knows what was done");
}

#[tokio::test(start_paused = true)]
async fn cuts_an_answer_that_falls_silent_and_never_ends_it() {
    let (upstream, mut calls) = by_hand();
    let (forward, _) = forward(upstream);
    let asked = tokio::spawn(forward.oneshot(request(Method::GET, "/", Body::empty())));
    let (_, answer) = calls.recv().await.unwrap();
    let (down, body) = sent_by_hand();
    answer.send(Ok(Response::new(body))).unwrap();
    let mut body = asked.await.unwrap().unwrap().into_body();
    down.send(data("x")).unwrap();
    assert!(matches!(body.frame().await, Some(Ok(_))));
    advance(100 * SECOND).await;
    down.send(data("y")).unwrap();
    assert!(matches!(body.frame().await, Some(Ok(_))), "the caller was slow, not the upstream");
    assert!(matches!(body.frame().await, Some(Err(_))));
}

#[tokio::test]
async fn shows_the_caller_an_answer_of_its_own() {
    let (upstream, _) = answering(|| {
        let mut answer = ok();
        *answer.version_mut() = Version::HTTP_10;
        *answer.status_mut() = StatusCode::FOUND;
        let headers = answer.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("close, x-hop"));
        headers.insert("x-hop", HeaderValue::from_static("1"));
        headers.insert(LOCATION, HeaderValue::from_static("https://sync.example/a#b"));
        headers.insert("set-cookie", HeaderValue::from_static("c=1"));
        answer
    });
    let (forward, dropped) = forward(upstream);
    let answer = forward
        .oneshot(request(Method::GET, "/", Body::empty()))
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::FOUND);
    assert_eq!(answer.version(), Version::HTTP_11);
    assert_eq!(
        fields(answer.headers()),
        [("location", "/a#b"), ("set-cookie", "c=1"), ("via", "1.0 vingate")]
    );
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), "fine");
    assert!(dropped.lock().is_empty(), "a read drops nothing");
}

#[tokio::test]
async fn minds_a_credential_that_the_upstream_refuses() {
    let partition = Affected { partition: Some(Partition::new(&MINE)), ..Affected::default() };
    let unauthorized = (partition, Cause::Unauthorized, None);
    for (status, is_account, challenge, proxy_status, drops) in [
        (401, false, Some("Basic"), None, true),
        (403, false, Some("Basic"), None, true),
        (401, true, None, Some("vingate; received-status=401"), false),
        (403, true, Some("Basic"), None, false),
        (404, false, Some("Basic"), None, false),
    ] {
        let (upstream, mut calls) = by_hand();
        let (forward, dropped) = forward(upstream);
        let mut request = request(Method::GET, "/", Body::empty());
        request
            .extensions_mut()
            .insert(Credential { digest: Some(MINE), is_account });
        let asked = tokio::spawn(forward.oneshot(request));
        let answer = Response::builder()
            .status(status)
            .header(WWW_AUTHENTICATE, "Basic");
        let answer = answer.body(Body::empty()).unwrap();
        calls.recv().await.unwrap().1.send(Ok(answer)).unwrap();
        let answer = asked.await.unwrap().unwrap();
        let field = |name| {
            answer
                .headers()
                .get(name)
                .map(|value| value.to_str().unwrap())
        };
        assert_eq!(field("www-authenticate"), challenge, "{status}");
        assert_eq!(field("proxy-status"), proxy_status, "{status}");
        let want = if drops { vec![unauthorized.clone()] } else { vec![] };
        assert_eq!(*dropped.lock(), want, "{status}");
    }
}

#[tokio::test]
async fn drops_what_a_write_changed_before_its_answer_leaves() {
    let (upstream, _) = answering(ok);
    let (forward, dropped) = forward(upstream);
    let body = Body::full(r#"{"plate":"A1"}"#);
    forward
        .oneshot(request(Method::POST, "/", body))
        .await
        .unwrap();
    assert_eq!(dropped.lock()[0].0.plates.len(), 1);
    assert_eq!(dropped.lock()[0].2, None);
}

#[tokio::test]
async fn runs_a_write_to_its_end_whoever_hangs_up() {
    let (upstream, mut calls) = by_hand();
    let (forward, dropped) = forward(upstream);
    let asked = forward
        .clone()
        .oneshot(request(Method::DELETE, "/x", Body::empty()));
    let mut asked = Box::pin(asked);
    assert!(asked.as_mut().now_or_never().is_none());
    drop(asked);
    assert_eq!(dropped.lock()[0].2, Some(20 * SECOND), "given up: nobody knows");

    let (_, answer) = calls.recv().await.unwrap();
    answer
        .send(Ok(ok()))
        .expect("somebody waits for the answer");
    forward.shared.tasks.close();
    forward.shared.tasks.wait().await;
    assert_eq!(dropped.lock().len(), 2);
    assert_eq!(dropped.lock()[1].2, None, "done");
}

#[tokio::test]
async fn stops_a_read_when_its_caller_hangs_up() {
    let (upstream, mut calls) = by_hand();
    let (forward, _) = forward(upstream);
    let mut asked = Box::pin(forward.oneshot(request(Method::GET, "/x", Body::empty())));
    assert!(asked.as_mut().now_or_never().is_none());
    drop(asked);
    assert!(calls.recv().await.unwrap().1.is_closed());
}

#[tokio::test]
async fn leaves_the_cache_alone_when_no_connection_could_be_made() {
    use hyper_util::{
        client::legacy::Client,
        rt::{TokioExecutor, TokioIo},
    };
    let no_connector = service_fn(|_: Uri| {
        let refused = std::io::Error::other("no route");
        std::future::ready(Err::<TokioIo<tokio::net::TcpStream>, _>(refused))
    });
    let client = Client::builder(TokioExecutor::new()).build::<_, Body>(no_connector);
    let upstream = service_fn(move |mut request: Request<Body>| {
        *request.uri_mut() = Uri::from_static("http://sync.example/");
        let call = client.request(request);
        async {
            call.await
                .map(|a| a.map(Body::incoming))
                .map_err(upstream::Error::Connect)
        }
    });
    let (forward, dropped) = forward(BoxCloneSyncService::new(upstream));
    let refused = forward
        .oneshot(request(Method::PUT, "/", Body::full("{}")))
        .await
        .unwrap_err();
    assert!(matches!(refused, Error::Upstream(upstream::Error::Connect(_))));
    assert!(dropped.lock().is_empty());
}

#[tokio::test]
async fn refuses_a_switch_of_protocols_that_nobody_asked_for() {
    let (upstream, _) = answering(|| {
        let answer = Response::builder()
            .status(101)
            .header("upgrade", "websocket");
        answer
            .header("connection", "upgrade")
            .body(Body::empty())
            .unwrap()
    });
    let (forward, _) = forward(upstream);
    let refused = forward
        .oneshot(request(Method::GET, "/", Body::empty()))
        .await
        .unwrap_err();
    assert!(matches!(refused, Error::UnaskedUpgrade));
}
