//! The one body type, for requests and answers, in both directions.
//!
//! Layers that must know when a message has ended put a guard into its body with
//! [`Body::hold`]: a permit that is given back, a gauge that goes down. The guard lives as long
//! as the work does, which is until the last byte was taken, not until the head was written.

mod buffer;
mod idle;

use std::{
    any::Any,
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;

pub use self::{buffer::Failure, idle::Idle};

/// Why a body ended before its end.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// A message body: nothing, bytes at hand, a stream off the wire, or any other stream.
pub struct Body {
    inner: Inner,
    guards: Vec<Box<dyn Any + Send>>,
}

enum Inner {
    Empty,
    Full(Bytes),
    Incoming(Incoming),
    Boxed(Pin<Box<dyn http_body::Body<Data = Bytes, Error = Error> + Send>>),
}

// === impl Body ===

impl Body {
    /// A body without a byte, of known length 0.
    pub fn empty() -> Self {
        Inner::Empty.into()
    }

    /// A body of bytes at hand, of known length.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        if bytes.is_empty() { Self::empty() } else { Inner::Full(bytes).into() }
    }

    /// A body that is still on the wire.
    pub fn incoming(incoming: Incoming) -> Self {
        if incoming.is_end_stream() { Self::empty() } else { Inner::Incoming(incoming).into() }
    }

    /// Any other stream of frames.
    pub fn new<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Error>,
    {
        use http_body_util::BodyExt as _;
        Inner::Boxed(Box::pin(body.map_err(Into::into))).into()
    }

    /// Keeps `guard` until this body has ended or is dropped, whichever comes first.
    pub fn hold(mut self, guard: impl Any + Send) -> Self {
        self.guards.push(Box::new(guard));
        self
    }
}

impl From<Inner> for Body {
    fn from(inner: Inner) -> Self {
        Self { inner, guards: Vec::new() }
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.inner {
            Inner::Empty => "empty",
            Inner::Full(_) => "full",
            Inner::Incoming(_) => "incoming",
            Inner::Boxed(_) => "boxed",
        };
        write!(f, "Body({kind})")
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let frame = match &mut self.inner {
            Inner::Empty => None,
            Inner::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.inner = Inner::Empty;
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            Inner::Incoming(incoming) => ready!(Pin::new(incoming).poll_frame(cx)?),
            Inner::Boxed(boxed) => ready!(boxed.as_mut().poll_frame(cx)?),
        };
        if frame.is_none() {
            self.guards.clear();
        }
        Poll::Ready(frame.map(Ok))
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Inner::Empty => true,
            Inner::Full(_) => false,
            Inner::Incoming(incoming) => incoming.is_end_stream(),
            Inner::Boxed(boxed) => boxed.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Inner::Empty => SizeHint::with_exact(0),
            Inner::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Inner::Incoming(incoming) => incoming.size_hint(),
            Inner::Boxed(boxed) => boxed.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;

    #[tokio::test]
    async fn gives_back_what_it_holds_when_it_ends() {
        let guard = Arc::new(());
        let frames = futures_util::stream::iter([Ok::<_, Error>(Frame::data(Bytes::from("x")))]);
        let mut body = Body::new(StreamBody::new(frames)).hold(Arc::clone(&guard));

        assert!(body.frame().await.is_some());
        assert_eq!(Arc::strong_count(&guard), 2, "a frame is not the end");
        assert!(body.frame().await.is_none());
        assert_eq!(Arc::strong_count(&guard), 1);
    }

    #[test]
    fn gives_back_what_it_holds_when_it_is_dropped() {
        let guard = Arc::new(());
        drop(Body::full("x").hold(Arc::clone(&guard)));
        assert_eq!(Arc::strong_count(&guard), 1);
    }

    #[test]
    fn knows_its_length_before_it_is_read() {
        assert_eq!(Body::empty().size_hint().exact(), Some(0));
        assert_eq!(Body::full("1234").size_hint().exact(), Some(4));
        assert!(Body::full("").is_end_stream());
    }
}
