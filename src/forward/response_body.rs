//! The upstream's body on its way to a client.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

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
}

impl ResponseBody {
    /// Passes `body` on, with at most `idle_timeout` of silence.
    pub(super) fn new(body: Body, idle_timeout: Duration, trailers: Trailers) -> Self {
        Self { body, idle: Idle::new(idle_timeout), trailers }
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
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
