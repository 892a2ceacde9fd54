//! The body of a response on its way to the connection.

use std::{
    cell::Cell,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::{Sleep, sleep};

use super::connection_state::ConnectionState;
use crate::body::{self, Body, Error};

/// The longest piece handed to HTTP/2 at once: one `DATA` frame of the size that every peer
/// accepts.
///
/// hyper takes a whole frame of the body as soon as the stream's window allows one byte, and then
/// takes the body for sent. In pieces, a body ends when the other end has taken all but the last
/// of it, and a stream never holds more than one of them.
const PIECE: usize = 16 * 1024;

tokio::task_local! {
    /// What happened to the body of the HTTP/2 stream that is being polled.
    pub(super) static FLOW: Cell<Flow>;
}

/// What happened to a body while its stream was polled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Flow {
    #[default]
    NotPolled,
    Waiting,
    /// Its last frame was taken.
    Taken,
}

/// A request that counts as in flight until this is dropped.
pub(super) struct InFlight(Arc<ConnectionState>);

/// The body of a response. Its request is in flight until it is dropped.
pub(super) struct ResponseBody {
    inner: Body,
    /// What is left of a frame that is handed out in pieces.
    rest: Bytes,
    /// What it ends with, and when: all before that is on its way then.
    failure: Option<(Error, Pin<Box<Sleep>>)>,
    http2: bool,
    _in_flight: InFlight,
}

/// How long the server has to write what it was given before a body fails.
const WRITING: Duration = Duration::from_millis(10);

/// What comes of polling a body.
type Polled = Option<Result<Frame<Bytes>, Error>>;

impl InFlight {
    /// Also tells whether the target of the request is what the client sent.
    pub(super) fn begin(state: &Arc<ConnectionState>) -> (Self, bool) {
        let has_target = state.note_begun();
        (Self(Arc::clone(state)), has_target)
    }

    pub(super) fn hand_over(&self) {
        self.0.hand_over();
    }

    pub(super) fn is_last(&self) -> bool {
        self.0.is_last()
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.note_ended();
    }
}

impl ResponseBody {
    pub(super) fn new(inner: Body, http2: bool, in_flight: InFlight) -> Self {
        Self { inner, rest: Bytes::new(), failure: None, http2, _in_flight: in_flight }
    }

    /// hyper drops what it has not written yet, the head among it, when a body fails. It writes while
    /// it waits for more, so a failure comes after a moment of that.
    fn poll_written(
        &mut self,
        cx: &mut Context<'_>,
        poll: fn(&mut Self, &mut Context<'_>) -> Poll<Polled>,
    ) -> Poll<Polled> {
        if self.failure.is_none() {
            match poll(self, cx) {
                Poll::Ready(Some(Err(failure))) => {
                    self.failure = Some((failure, Box::pin(sleep(WRITING))));
                }
                polled => return polled,
            }
        }
        if let Some((_, written)) = &mut self.failure {
            ready!(written.as_mut().poll(cx));
        }
        Poll::Ready(self.failure.take().map(|(failure, _)| Err(failure)))
    }

    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Polled> {
        let mut data = std::mem::take(&mut self.rest);
        if data.is_empty() {
            let frame = match ready!(Pin::new(&mut self.inner).poll_frame(cx)) {
                Some(Ok(frame)) => frame,
                end => return Poll::Ready(end),
            };
            data = match frame.into_data() {
                Ok(data) => data,
                Err(trailers) => return Poll::Ready(Some(Ok(trailers))),
            };
        }
        if data.len() > PIECE {
            self.rest = data.split_off(PIECE);
        }
        Poll::Ready(Some(Ok(Frame::data(data))))
    }
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        if !self.http2 {
            return self.poll_written(cx, |body, cx| Pin::new(&mut body.inner).poll_frame(cx));
        }
        let polled = self.poll_written(cx, Self::poll_piece);
        let flow = if polled.is_pending() { Flow::Waiting } else { Flow::Taken };
        // Only streams want to know.
        let _ = FLOW.try_with(|cell| cell.set(flow));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        body::longer(self.inner.size_hint(), self.rest.len())
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt as _, stream};
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn lets_the_server_write_before_it_fails() {
        for http2 in [false, true] {
            let torn = [Ok(Frame::data(Bytes::from("abc"))), Err(Error::from("torn"))];
            let torn = StreamBody::new(stream::iter(torn));
            let mut body = ResponseBody { inner: Body::new(torn), ..body(http2, 0).0 };
            assert!(matches!(body.frame().now_or_never(), Some(Some(Ok(_)))));
            assert!(body.frame().now_or_never().is_none(), "it can write here");
            assert!(matches!(body.frame().await, Some(Err(_))));
            assert!(body.frame().await.is_none());
        }
    }

    fn body(http2: bool, length: usize) -> (ResponseBody, Arc<ConnectionState>) {
        let state = Arc::new(ConnectionState::new());
        let (in_flight, _) = InFlight::begin(&state);
        (ResponseBody::new(Body::full(vec![b'x'; length]), http2, in_flight), state)
    }

    #[tokio::test]
    async fn comes_in_pieces_over_http2() {
        let (mut body, _) = body(true, 2 * PIECE + 1);
        for (left, piece) in [(2 * PIECE + 1, PIECE), (PIECE + 1, PIECE), (1, 1)] {
            assert_eq!(body.size_hint().exact(), Some(left as u64));
            assert!(!body.is_end_stream());
            let data = body.frame().await.unwrap().unwrap().into_data().unwrap();
            assert_eq!(data.len(), piece);
        }
        assert!(body.is_end_stream());
        assert!(body.frame().await.is_none());
    }

    #[tokio::test]
    async fn comes_whole_over_http1() {
        let (mut body, _) = body(false, 2 * PIECE + 1);
        let data = body.frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(data.len(), 2 * PIECE + 1);
        assert!(body.is_end_stream());
    }

    #[tokio::test]
    async fn is_in_flight_until_it_is_dropped() {
        use super::super::phase::Phase;
        let (body, state) = body(false, 1);
        assert_eq!(state.phase(), Phase::Busy);
        drop(body);
        assert!(matches!(state.phase(), Phase::Idle(_)));
    }
}
