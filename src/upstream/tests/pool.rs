//! Calls over sockets.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use bytes::Bytes;
use futures_util::stream;
use http::StatusCode;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};

use super::*;
use crate::body;

const PATIENCE: Duration = Duration::from_secs(20);

/// Calls to a server that treats each of its connections by `serve`, which gets its number.
async fn client<F>(
    idle_timeout: Duration,
    serve: impl Fn(TcpStream, usize) -> F + Send + 'static,
) -> (Client, Arc<AtomicUsize>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    let connections = Arc::new(AtomicUsize::new(0));
    let accepted = Arc::clone(&connections);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream, accepted.fetch_add(1, SeqCst)));
        }
    });
    let origin = Origin { scheme: Scheme::HTTP, authority: authority.parse().unwrap() };
    let config = Config { origin, pool_idle_timeout: idle_timeout, ..config() };
    (Client::new(&config).unwrap(), connections)
}

/// Reads the head of a request; gives whether there is one.
async fn read_head(stream: &mut TcpStream) -> bool {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => return false,
        }
    }
    true
}

/// Responds to so many requests, and closes.
async fn respond(mut stream: TcpStream, times: usize) {
    for _ in 0..times {
        if !read_head(&mut stream).await {
            return;
        }
        let response = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
        stream.write_all(response).await.unwrap();
    }
}

async fn get(client: &Client) -> Result<Bytes, Error> {
    let response = client.send(Request::new(Body::empty()).into()).await?;
    assert_eq!(response.status(), StatusCode::OK);
    let body = response.into_body().collect().await;
    Ok(body.unwrap().to_bytes())
}

#[tokio::test]
async fn uses_a_connection_again_until_it_was_spare_for_too_long() {
    for (idle_timeout, want) in [(HOUR, 1), (Duration::ZERO, 3)] {
        let (client, connections) = client(idle_timeout, |stream, _| respond(stream, 3)).await;
        for _ in 0..3 {
            assert_eq!(get(&client).await.unwrap(), "ok");
        }
        assert_eq!(connections.load(SeqCst), want);
    }
}

#[tokio::test]
async fn a_call_over_a_connection_that_was_closed_goes_over_another() {
    let (ended, mut has_ended) = mpsc::unbounded_channel();
    let (client, connections) = client(HOUR, move |stream, _| {
        let ended = ended.clone();
        async move {
            respond(stream, 1).await;
            ended.send(()).unwrap();
        }
    })
    .await;
    for nth in 1..4 {
        assert_eq!(get(&client).await.unwrap(), "ok");
        has_ended.recv().await.unwrap();
        // Its end has to come here, too.
        sleep(Duration::from_millis(20)).await;
        assert_eq!(connections.load(SeqCst), nth);
    }
}

#[tokio::test]
async fn a_response_that_is_not_read_to_its_end_takes_its_connection_along() {
    let (client, connections) = client(HOUR, |mut stream, nth| async move {
        if nth > 0 {
            return respond(stream, 9).await;
        }
        assert!(read_head(&mut stream).await);
        let begun = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nok";
        stream.write_all(begun).await.unwrap();
        assert!(!read_head(&mut stream).await, "a second call came behind half a response");
    })
    .await;
    let begun = client
        .send(Request::new(Body::empty()).into())
        .await
        .unwrap();
    let mut body = begun.into_body();
    assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "ok");
    drop(body);
    for _ in 0..2 {
        assert_eq!(get(&client).await.unwrap(), "ok");
    }
    assert_eq!(connections.load(SeqCst), 2);
}

/// Both directions at once, as some uploads are: a client that first sends all, and then reads.
#[tokio::test]
async fn a_request_goes_on_while_its_response_is_not_read() {
    const PIECES: usize = 256;
    const PIECE: usize = 32 * 1024;
    let (all, mut has_all) = mpsc::unbounded_channel();
    let (client, _) = client(HOUR, move |mut stream, _| {
        let all = all.clone();
        async move {
            assert!(read_head(&mut stream).await);
            let head = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n";
            stream.write_all(head).await.unwrap();
            let mut read = vec![0; PIECES * PIECE];
            stream.read_exact(&mut read).await.unwrap();
            all.send(()).unwrap();
            stream.write_all(b"ok").await.unwrap();
            std::future::pending::<()>().await;
        }
    })
    .await;
    let piece = |_| Ok::<_, body::Error>(Frame::data(Bytes::from(vec![0; PIECE])));
    let pieces = StreamBody::new(stream::iter((0..PIECES).map(piece)));
    let mut request = Request::new(Body::new(pieces));
    let length = (PIECES * PIECE).to_string().parse().unwrap();
    request
        .headers_mut()
        .insert(http::header::CONTENT_LENGTH, length);
    let response = client.send(request.into()).await.unwrap();
    timeout(PATIENCE, has_all.recv()).await.unwrap().unwrap();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert_eq!(body, "ok");
}

#[tokio::test]
async fn many_calls_at_once_share_nothing_and_keep_their_connections() {
    let (client, connections) = client(HOUR, |stream, _| respond(stream, 99)).await;
    for _ in 0..3 {
        let calls = futures_util::future::join_all((0..20).map(|_| get(&client)));
        assert!(calls.await.iter().all(Result::is_ok));
    }
    let made = connections.load(SeqCst);
    assert!((1..=20).contains(&made), "{made} connections");
}

#[tokio::test]
async fn one_that_cannot_be_made_fails_the_call_that_waits() {
    let (client, _) = client(HOUR, |stream, _| respond(stream, 1)).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let authority = listener.local_addr().unwrap().to_string();
    drop(listener);
    let origin = Origin { scheme: Scheme::HTTP, authority: authority.parse().unwrap() };
    let nowhere = Client::new(&Config { origin, ..config() }).unwrap();
    assert!(matches!(get(&nowhere).await, Err(Error::Connect(_))));
    assert_eq!(get(&client).await.unwrap(), "ok");
}
