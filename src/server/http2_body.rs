//! The body of a request over HTTP/2.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use tokio::{runtime::Handle, time::timeout};

use super::{connection_state::SILENCE, socket::LINGER_FOR};
use crate::body::Error;

/// Checks trailers as headers are checked: malformed ones end the body with an error, and the
/// stream with it.
///
/// What is left of it when nobody reads it any more is thrown away as it comes, for as long as a
/// closed HTTP/1.1 connection lingers. A stream that ends with its window used up leaves some
/// clients waiting to send the rest, although they have the response (Java 17), and resetting it
/// (`NO_ERROR`, RFC 9113 section 8.1) does not wake them.
pub(super) struct Http2Body {
    // `None` when it has ended.
    inner: Option<Incoming>,
    malformed: Arc<AtomicBool>,
}

impl Http2Body {
    /// `malformed` is set when its trailers are.
    pub(super) fn new(inner: Incoming, malformed: Arc<AtomicBool>) -> Self {
        Self { inner: Some(inner), malformed }
    }
}

impl Body for Http2Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let Some(inner) = &mut self.inner else {
            return Poll::Ready(None);
        };
        let frame = ready!(Pin::new(inner).poll_frame(cx));
        if !matches!(frame, Some(Ok(_))) {
            self.inner = None;
        }
        if let Some(Ok(frame)) = &frame
            && frame.trailers_ref().is_some_and(has_padded_value)
        {
            self.malformed.store(true, Relaxed);
            self.inner = None;
            return Poll::Ready(Some(Err(h2::Error::from(h2::Reason::PROTOCOL_ERROR).into())));
        }
        Poll::Ready(frame.map(|frame| frame.map_err(Error::from)))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Incoming::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner
            .as_ref()
            .map_or_else(|| SizeHint::with_exact(0), Incoming::size_hint)
    }
}

impl Drop for Http2Body {
    fn drop(&mut self) {
        if let Some(rest) = self.inner.take()
            && !rest.is_end_stream()
            && let Ok(runtime) = Handle::try_current()
        {
            runtime.spawn(timeout(LINGER_FOR, discard(rest)));
        }
    }
}

async fn discard(mut rest: Incoming) {
    while let Ok(Some(Ok(_))) = timeout(SILENCE, rest.frame()).await {}
}

/// Whether a value begins or ends with white space: over HTTP/2 such a request is malformed
/// (RFC 9113 section 8.2.1). HTTP/1 has it there as a matter of style, and hyper drops it.
pub(super) fn has_padded_value(headers: &HeaderMap) -> bool {
    headers.values().any(|value| {
        let is_space = |byte: &u8| matches!(byte, b' ' | b'\t');
        let bytes = value.as_bytes();
        bytes.first().is_some_and(is_space) || bytes.last().is_some_and(is_space)
    })
}
