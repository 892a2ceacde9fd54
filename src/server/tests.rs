mod drain;
mod http2_body;

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use futures_util::{future::ready, stream::once};
use http::{Request, Response, StatusCode, Version};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, oneshot},
    task::JoinHandle,
    time::{Instant, advance, sleep, timeout},
};
use tower::service_fn;

use super::{
    Config, Metrics, bind,
    connection::Protocols,
    connection_state::{Command, ConnectionState},
    metrics::Reason,
    serve,
    tls::Tls,
};
use crate::{
    body::{self, Body},
    peer::Peer,
    request_context::RequestContext,
};

pub(super) const BIG: usize = 1024 * 1024;

pub(super) fn config() -> Config {
    Config::side("127.0.0.1:0".parse().unwrap())
}

pub(super) fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// `/` answers at once, `/stream` the same without its length, `/tls` whether it was asked over TLS, `/slow` after 100 s, `/big` with more than anybody buffers, `/upgrade`
/// sends back what comes.
async fn answer(mut request: Request<Body>) -> Result<Response<Body>, Infallible> {
    let peer = RequestContext::of(request.extensions()).peer;
    assert_eq!(peer.unwrap().address.port(), 4711);
    let body = match request.uri().path() {
        "/big" => Body::full(vec![b'x'; BIG]),
        "/upgrade" => {
            let upgrade = hyper::upgrade::on(&mut request);
            tokio::spawn(async move {
                let (mut read, mut write) = tokio::io::split(TokioIo::new(upgrade.await.unwrap()));
                tokio::io::copy(&mut read, &mut write).await.unwrap();
            });
            let response = Response::builder()
                .status(StatusCode::SWITCHING_PROTOCOLS)
                .header("connection", "upgrade")
                .header("upgrade", "echo");
            return Ok(response.body(Body::empty()).unwrap());
        }
        "/stream" => {
            let frame = Ok::<_, body::Error>(Frame::data("hello".into()));
            Body::new(StreamBody::new(once(ready(frame))))
        }
        "/tls" => Body::full(peer.unwrap().tls.to_string()),
        "/slow" => {
            sleep(seconds(100)).await;
            Body::full("late")
        }
        _ => Body::full("hello"),
    };
    Ok(Response::new(body))
}

/// A connection in memory, served.
pub(super) struct Served {
    pub(super) client: DuplexStream,
    pub(super) state: Arc<ConnectionState>,
    pub(super) metrics: Metrics,
    places: Arc<Semaphore>,
    pub(super) task: JoinHandle<()>,
}

impl Served {
    fn start() -> Self {
        Self::over(None)
    }

    pub(super) fn over(tls: Option<Tls>) -> Self {
        let (client, server) = duplex(4 * 1024);
        let metrics = Metrics::unregistered().unwrap();
        let secure = tls.is_some();
        let protocols = Protocols::new(&config(), tls, metrics.clone());
        assert_eq!(protocols.are_secure(), secure);
        let state = Arc::new(ConnectionState::new());
        let places = Arc::new(Semaphore::new(1));
        let place = Arc::clone(&places).try_acquire_owned().unwrap();
        let task = tokio::spawn({
            let state = Arc::clone(&state);
            let peer = Peer::new("192.0.2.1:4711".parse().unwrap(), secure);
            async move {
                protocols
                    .serve(server, peer, service_fn(answer), state, place)
                    .await
            }
        });
        Self { client, state, metrics, places, task }
    }

    async fn send(&mut self, bytes: &str) {
        self.client.write_all(bytes.as_bytes()).await.unwrap();
    }

    /// Reads until `end` has come.
    async fn read_to(&mut self, end: &str) -> String {
        let mut text = String::new();
        while !text.ends_with(end) {
            let mut bytes = [0; 1];
            assert_ne!(self.client.read(&mut bytes).await.unwrap(), 0, "closed after {text:?}");
            text.push(char::from(bytes[0]));
        }
        text
    }

    /// Reads until the server closes.
    async fn rest(&mut self) -> String {
        let mut bytes = Vec::new();
        self.client.read_to_end(&mut bytes).await.unwrap();
        String::from_utf8(bytes).unwrap()
    }

    /// The connection has ended, counted only as said.
    pub(super) async fn ended(self, reasons: &[Reason]) {
        self.task.await.unwrap();
        assert_eq!(self.places.available_permits(), 1);
        for reason in Reason::ALL {
            let count = u64::from(reasons.contains(&reason));
            assert_eq!(self.metrics.count(reason), count, "{reason:?}");
        }
    }
}

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

#[tokio::test(start_paused = true)]
async fn serves_one_request_after_the_other() {
    let mut served = Served::start();
    for _ in 0..3 {
        served.send(GET).await;
        let answer = served.read_to("hello").await;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(!answer.contains("connection: close"), "{answer}");
    }
}

#[tokio::test(start_paused = true)]
async fn serves_http_1_0_and_closes() {
    let mut served = Served::start();
    served.send("GET / HTTP/1.0\r\n\r\n").await;
    assert!(served.rest().await.starts_with("HTTP/1.0 200 OK\r\n"));
    served.ended(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn says_to_http_1_0_whether_it_closes() {
    let mut served = Served::start();
    for (path, says) in [("/", "keep-alive"), ("/", "keep-alive"), ("/stream", "close")] {
        let head = format!("GET {path} HTTP/1.0\r\nconnection: keep-alive\r\n\r\n");
        served.send(&head).await;
        let response = served.read_to("hello").await;
        assert!(response.contains(&format!("\r\nconnection: {says}\r\n")), "{response}");
    }
    assert_eq!(served.rest().await, "");
    served.ended(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn cuts_heads_that_take_too_long() {
    for head in ["G", "GET / HTTP/1.1\r\nhost: a\r\n", "PRI * HTTP/2.0\r\n"] {
        let mut served = Served::start();
        advance(seconds(40)).await;
        let begun_at = Instant::now();
        served.send(head).await;
        sleep(seconds(6)).await;
        served.send(&head[head.len()..]).await;
        assert_eq!(served.rest().await, "");
        assert_eq!(begun_at.elapsed().as_secs(), 10, "{head:?}");
        served.ended(&[Reason::HeaderTimeout]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn times_every_head_anew() {
    let mut served = Served::start();
    for _ in 0..3 {
        served.send("GET / HTTP/1.1\r\n").await;
        sleep(seconds(9)).await;
        served.send("host: a\r\n\r\n").await;
        served.read_to("hello").await;
        sleep(seconds(9)).await;
    }
    served.send("GET").await;
    assert_eq!(served.rest().await, "");
    served.ended(&[Reason::HeaderTimeout]).await;
}

#[tokio::test(start_paused = true)]
async fn closes_idle_connections_quietly() {
    let mut fresh = Served::start();
    let opened_at = Instant::now();
    assert_eq!(fresh.rest().await, "");
    assert_eq!(opened_at.elapsed().as_secs(), 60);
    fresh.ended(&[]).await;

    let mut kept = Served::start();
    sleep(seconds(50)).await;
    kept.send(GET).await;
    kept.read_to("hello").await;
    let answered_at = Instant::now();
    assert_eq!(kept.rest().await, "");
    assert_eq!(answered_at.elapsed().as_secs(), 60);
    kept.ended(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn waits_for_slow_answers() {
    let mut served = Served::start();
    served.send("GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await;
    served.read_to("late").await;
}

#[tokio::test(start_paused = true)]
async fn cuts_callers_that_do_not_take_their_answer() {
    let mut served = Served::start();
    served.send("GET /big HTTP/1.1\r\nhost: a\r\n\r\n").await;
    served.read_to("\r\n\r\n").await;
    // A byte now and then is progress.
    for _ in 0..4 {
        sleep(seconds(20)).await;
        served.client.read_exact(&mut [0; 4096]).await.unwrap();
    }
    let read_at = Instant::now();
    let metrics = served.metrics.clone();
    (&mut served.task).await.unwrap();
    assert_eq!(read_at.elapsed().as_secs(), 30);
    assert_eq!(metrics.count(Reason::WriteTimeout), 1);
}

#[tokio::test(start_paused = true)]
async fn counts_what_is_no_http() {
    let fields = "a: b\r\n".repeat(101);
    let large = format!("GET / HTTP/1.1\r\na: {}\r\n\r\n", "b".repeat(64 * 1024));
    for (sent, status, reason) in [
        ("nonsense\r\n\r\n", "400", Reason::Malformed),
        ("GET / HTTP/1.1\r\nhost : a\r\n\r\n", "400", Reason::Malformed),
        ("POST / HTTP/1.1\r\ncontent-length: +5\r\n\r\n", "400", Reason::Malformed),
        (&format!("GET / HTTP/1.1\r\n{fields}\r\n"), "431", Reason::HeadTooLarge),
        (&large, "431", Reason::HeadTooLarge),
    ] {
        let Served { client, metrics, task, .. } = Served::start();
        let (mut read, mut write) = tokio::io::split(client);
        let sent = sent.to_owned();
        let sending = tokio::spawn(async move { write.write_all(sent.as_bytes()).await });
        let mut answer = [0; 13];
        read.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, *format!("HTTP/1.1 {status} ").as_bytes());
        drop(read);
        sending.abort();
        task.await.unwrap();
        assert_eq!(metrics.count(reason), 1, "{reason:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn counts_callers_that_leave_in_the_middle() {
    let mut served = Served::start();
    served.send("GET / HTTP/1.1\r\nhost").await;
    served.client.shutdown().await.unwrap();
    served.rest().await;
    let metrics = served.metrics.clone();
    served.task.await.unwrap();
    assert_eq!(metrics.count(Reason::Incomplete) + metrics.count(Reason::Malformed), 1);
}

#[tokio::test(start_paused = true)]
async fn closes_idle_connections_at_once_when_it_drains() {
    let mut served = Served::start();
    served.send(GET).await;
    served.read_to("hello").await;
    served.state.command(Command::Drain);
    assert_eq!(served.rest().await, "");
    served.ended(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn answers_what_is_coming_in_when_it_drains() {
    for (before, after) in [("", GET), ("GET / HTTP", "/1.1\r\nhost: a\r\n\r\n")] {
        let mut served = Served::start();
        served.send(before).await;
        sleep(seconds(1)).await;
        served.state.command(Command::Drain);
        sleep(seconds(1)).await;
        served.send(after).await;
        let answer = served.rest().await;
        assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
        assert!(answer.contains("connection: close"), "{answer}");
        served.ended(&[]).await;
    }
}

#[tokio::test(start_paused = true)]
async fn makes_room_only_without_a_request() {
    let mut idle = Served::start();
    sleep(seconds(1)).await;
    idle.state.command(Command::MakeRoom);
    assert_eq!(idle.rest().await, "");
    idle.ended(&[Reason::Evicted]).await;

    let mut busy = Served::start();
    busy.send("GET /slow HTTP/1.1\r\nhost: a\r\n\r\n").await;
    sleep(seconds(1)).await;
    busy.state.command(Command::MakeRoom);
    busy.read_to("late").await;
    busy.state.command(Command::Drain);
    busy.rest().await;
    busy.ended(&[]).await;
}

#[tokio::test(start_paused = true)]
async fn keeps_the_place_of_an_upgraded_connection_until_its_socket_is_closed() {
    let mut served = Served::start();
    let fields = "host: a\r\nconnection: upgrade\r\nupgrade: echo\r\n";
    served
        .send(&format!("GET /upgrade HTTP/1.1\r\n{fields}\r\n"))
        .await;
    assert!(
        served
            .read_to("\r\n\r\n")
            .await
            .starts_with("HTTP/1.1 101 ")
    );
    (&mut served.task).await.unwrap();
    sleep(seconds(1000)).await;
    served.send("hello").await;
    served.read_to("hello").await;
    assert_eq!(served.places.available_permits(), 0);
    drop(served.client);
    while served.places.available_permits() == 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn serves_with_times_beyond_the_clock() {
    let metrics = Metrics::unregistered().unwrap();
    let config = Config {
        drain_timeout: Duration::MAX,
        header_timeout: Duration::MAX,
        idle_timeout: Duration::MAX,
        write_idle_timeout: Duration::MAX,
        ..config()
    };
    let (address, go, drain, task) = listener(config, &metrics).await;
    go.send(()).unwrap();
    let stream = begin(address).await;
    stream.readable().await.unwrap();
    drain.send(()).unwrap();
    assert!(finish(stream).await.unwrap().ends_with("done"));
    task.await.unwrap();
}

type Http2Client = hyper::client::conn::http2::SendRequest<Body>;

/// A client of HTTP/2 with a window of 32 KiB a stream, and its connection.
async fn http2(client: DuplexStream) -> (Http2Client, JoinHandle<hyper::Result<()>>) {
    let (sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(32 * 1024)
        .initial_connection_window_size(1024 * 1024)
        .handshake(TokioIo::new(client))
        .await
        .unwrap();
    (sender, tokio::spawn(connection))
}

fn get(path: &str) -> Request<Body> {
    Request::get(format!("http://a{path}"))
        .version(Version::HTTP_2)
        .body(Body::empty())
        .unwrap()
}

#[tokio::test(start_paused = true)]
async fn says_goodbye_to_idle_http2_connections() {
    let Served { client, metrics, task, .. } = Served::start();
    let (mut sender, connection) = http2(client).await;
    for _ in 0..2 {
        sleep(seconds(50)).await;
        let answer = sender.send_request(get("/")).await.unwrap();
        assert_eq!(answer.collect().await.unwrap().to_bytes(), "hello");
    }
    let answered_at = Instant::now();
    connection.await.unwrap().unwrap();
    assert_eq!(answered_at.elapsed().as_secs(), 60);
    task.await.unwrap();
    for reason in Reason::ALL {
        assert_eq!(metrics.count(reason), 0, "{reason:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn resets_an_http2_stream_that_is_not_read_and_leaves_the_others() {
    let Served { client, metrics, .. } = Served::start();
    let (mut sender, _connection) = http2(client).await;
    let unread = sender.send_request(get("/big")).await.unwrap();
    let begun_at = Instant::now();
    for _ in 0..4 {
        // Another one on the same connection is read, if slowly.
        let mut read = sender.send_request(get("/big")).await.unwrap().into_body();
        let mut length = 0;
        while let Some(frame) = read.frame().await {
            length += frame.unwrap().into_data().unwrap().len();
            sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(length, BIG);
        sleep(seconds(4)).await;
    }
    assert!(begun_at.elapsed() > seconds(30), "{:?}", begun_at.elapsed());
    assert_eq!(metrics.count(Reason::WriteTimeout), 1);
    assert!(unread.into_body().collect().await.is_err());
}

/// A listener whose `/` answers once `go` is told, and what drains it.
async fn listener(
    config: Config,
    metrics: &Metrics,
) -> (std::net::SocketAddr, oneshot::Sender<()>, oneshot::Sender<()>, JoinHandle<()>) {
    let listener = bind(config.listen).unwrap();
    let address = listener.local_addr().unwrap();
    let (go, wait) = oneshot::channel::<()>();
    let wait = futures_util::FutureExt::shared(wait);
    let service = service_fn(move |_: Request<Body>| {
        let wait = wait.clone();
        async move {
            let _ = wait.await;
            Ok(Response::new(Body::full("done")))
        }
    });
    let (drain, drained) = oneshot::channel::<()>();
    let drained = async {
        let _ = drained.await;
    };
    let task = tokio::spawn(serve(listener, config, service, metrics.clone(), drained));
    (address, go, drain, task)
}

async fn begin(address: std::net::SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(GET.as_bytes()).await.unwrap();
    stream
}

async fn finish(mut stream: TcpStream) -> io::Result<String> {
    let mut text = String::new();
    stream.read_to_string(&mut text).await?;
    Ok(text)
}

#[tokio::test]
async fn lets_a_caller_in_although_idle_connections_take_all_places() {
    let metrics = Metrics::unregistered().unwrap();
    let config = Config { max_connections: 2, ..config() };
    let (address, go, _drain, _task) = listener(config, &metrics).await;
    go.send(()).unwrap();
    let _idle = [TcpStream::connect(address).await, TcpStream::connect(address).await];
    let mut caller = begin(address).await;
    let mut status = [0; 15];
    timeout(seconds(5), caller.read_exact(&mut status))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(&status, b"HTTP/1.1 200 OK");
    assert_eq!(metrics.count(Reason::Evicted), 1);
}

#[tokio::test]
async fn reports_an_address_that_is_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let error = bind(taken.local_addr().unwrap()).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
}
