//! The upstream's body on its way to a client.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use tokio::time::timeout;

use super::trailers::Trailers;
use crate::body::{Body, Failure, Idle};

/// A body that fails, and so cuts the response off, when the upstream falls silent.
///
/// It never ends early as if it were whole.
#[derive(Debug)]
pub(super) struct ResponseBody {
    body: Body,
    idle: Idle,
    trailers: Trailers,
    /// The first frame, read ahead.
    first: Option<Frame<Bytes>>,
}

/// How long a head waits for the first frame behind it.
///
/// As a rule both come in one packet, and then this costs nothing. A body that breaks right behind
/// its head does so at once as well, so that a moment is enough to see it while a 502 can still be
/// sent. A body that legitimately begins later, such as server-sent events, is delayed by no more
/// than a person notices.
const HEAD_WAIT: Duration = Duration::from_millis(50);

impl ResponseBody {
    /// Passes `body` on, with at most `idle_timeout` of silence.
    pub(super) fn new(body: Body, idle_timeout: Duration, trailers: Trailers) -> Self {
        Self { body, idle: Idle::new(idle_timeout), trailers, first: None }
    }

    /// Reads ahead to the first frame, if it comes with the head. Fails if there is none to pass on.
    pub(super) async fn begin(mut self) -> Result<Body, Failure> {
        let first = poll_fn(|cx| Pin::new(&mut self).poll_frame(cx));
        match timeout(HEAD_WAIT, first).await {
            Ok(None) => return Ok(Body::empty()),
            Ok(Some(first)) => self.first = Some(first?),
            Err(_) => {}
        }
        Ok(Body::new(self))
    }
}

impl http_body::Body for ResponseBody {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let this = &mut *self;
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(first)));
        }
        loop {
            match ready!(this.idle.poll_frame(&mut this.body, cx)?) {
                None => return Poll::Ready(None),
                Some(frame) => {
                    if let Some(frame) = this.trailers.filter(frame) {
                        return Poll::Ready(Some(Ok(frame)));
                    }
                }
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let mut hint = self.body.size_hint();
        let first = self.first.as_ref().and_then(Frame::data_ref);
        let ahead = first.map_or(0, |data| data.len() as u64);
        // The upper bound first: it is never below the lower.
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper.saturating_add(ahead));
        }
        hint.set_lower(hint.lower().saturating_add(ahead));
        hint
    }
}
