//! WebSocket: after both sides have agreed, the gateway only carries bytes (RFC 6455, RFC 9110
//! section 7.8). No other protocol is upgraded to.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{
    HeaderMap, HeaderValue, Method, Request, Version,
    header::{CONNECTION, UPGRADE},
};
use http_body::Body as _;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf, copy_bidirectional},
    time::{Instant, sleep_until, timeout},
};

use super::header_filter::has_token;
use crate::body::{Body, Tunnel};

/// Takes the upgrade that a request asks for, if it is one that passes: `websocket`, on a `GET`
/// without a body over HTTP/1.1.
pub(super) fn take(request: &mut Request<Body>) -> Option<OnUpgrade> {
    let passes = is_websocket(request.headers())
        && request.method() == Method::GET
        && request.version() == Version::HTTP_11
        && request.body().is_end_stream();
    passes.then(|| request.extensions_mut().remove()).flatten()
}

/// Whether a head asks for or confirms the upgrade to a WebSocket.
pub(super) fn is_websocket(headers: &HeaderMap) -> bool {
    headers.contains_key(UPGRADE)
        && has_token(headers, UPGRADE, "websocket")
        && has_token(headers, CONNECTION, "upgrade")
}

/// Asks for or confirms the upgrade on the next connection.
pub(super) fn announce(headers: &mut HeaderMap) {
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
}

/// Carries bytes both ways until both sides have ended, one fails, or neither says a word for
/// `idle_timeout`. `held` is kept as long.
pub(super) async fn tunnel(
    client: OnUpgrade,
    upstream: OnUpgrade,
    idle_timeout: Duration,
    held: (Body, Tunnel),
) {
    let both = async { tokio::try_join!(client, upstream) };
    if let Ok(Ok((client, upstream))) = timeout(idle_timeout, both).await {
        carry(TokioIo::new(client), TokioIo::new(upstream), idle_timeout).await;
    }
    drop(held);
}

async fn carry(
    client: impl AsyncRead + AsyncWrite + Unpin,
    mut upstream: impl AsyncRead + AsyncWrite + Unpin,
    idle_timeout: Duration,
) {
    let last_byte_at = Arc::new(Mutex::new(Instant::now()));
    let mut client = Timed { io: client, last_byte_at: Arc::clone(&last_byte_at) };
    let silence = async {
        loop {
            let ends_at = *last_byte_at.lock() + idle_timeout;
            if ends_at <= Instant::now() {
                return;
            }
            sleep_until(ends_at).await;
        }
    };
    tokio::select! {
        // How a tunnel ends is between its two ends.
        _ = copy_bidirectional(&mut client, &mut upstream) => {}
        () = silence => {}
    }
}

/// One end of a tunnel that records when a byte went by: every byte does, one way or the other.
struct Timed<T> {
    io: T,
    last_byte_at: Arc<Mutex<Instant>>,
}

impl<T> Timed<T> {
    fn touch(&self) {
        *self.last_byte_at.lock() = Instant::now();
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Timed<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        self.touch();
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Timed<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut self.io).poll_write(cx, buf))?;
        self.touch();
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_websocket_on_a_get_without_a_body_over_http_1_1() {
        let (get, post) = (Method::GET, Method::POST);
        let (http_10, http_11) = (Version::HTTP_10, Version::HTTP_11);
        for (method, version, upgrade, connection, body, want) in [
            (&get, http_11, "websocket", "upgrade", "", true),
            (&get, http_11, "h2c, WebSocket", "close, Upgrade", "", true),
            (&get, http_11, "h2c", "upgrade", "", false),
            (&get, http_11, "websocket", "close", "", false),
            (&get, http_11, "websocket", "upgrade", "x", false),
            (&get, http_10, "websocket", "upgrade", "", false),
            (&post, http_11, "websocket", "upgrade", "", false),
        ] {
            let mut request = Request::builder()
                .method(method)
                .version(version)
                .header(UPGRADE, upgrade)
                .header(CONNECTION, connection)
                .extension(hyper::upgrade::on(Request::new(())))
                .body(Body::full(body))
                .unwrap();
            let taken = take(&mut request).is_some();
            assert_eq!(taken, want, "{method} {version:?} {upgrade} {connection}");
        }
    }
}
