//! The one body type, for requests and responses, in both directions.
//!
//! Layers that must know when a message has ended put a guard into its body with
//! [`Body::hold`]: a permit that is given back, a gauge that goes down. The guard lives as long
//! as the work does, which is until the last byte was taken, not until the head was written.

mod buffer;
mod failure;
mod idle;
mod room;

use std::{
    any::Any,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use futures_util::FutureExt as _;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use parking_lot::Mutex;

pub use self::{failure::Failure, idle::Idle};

/// Why a body ended before its end.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// A message body: nothing, bytes in memory, a stream off the wire, or any other stream.
pub struct Body {
    inner: Inner,
    guards: Vec<Guard>,
    tunnel: Option<Tunnel>,
    /// Whether the last read found nothing, for [`Progress`].
    is_late: Option<Arc<AtomicBool>>,
}

/// Tells of a body that somebody else reads whether it is waited for.
#[derive(Clone, Debug)]
pub struct Progress(Weak<AtomicBool>);

/// A connection that goes on behind a response without a body. What the response holds is kept
/// until the last handle is dropped.
#[derive(Clone, Default)]
pub struct Tunnel(Arc<Mutex<Vec<Guard>>>);

/// What a body keeps until it has ended.
pub type Guard = Box<dyn Any + Send>;

/// The code that makes a body panicked. What was sent of it is all that is sent.
#[derive(Debug, thiserror::Error)]
#[error("a panic while the body was read")]
struct Panicked;

enum Inner {
    Full(Full<Bytes>),
    Incoming(Incoming),
    Boxed(Pin<Box<dyn http_body::Body<Data = Bytes, Error = Error> + Send>>),
}

impl Body {
    /// A body without a byte, of known length 0.
    pub fn empty() -> Self {
        Inner::Full(Full::default()).into()
    }

    /// An empty body whose guards are kept by `tunnel`.
    pub fn before(tunnel: &Tunnel) -> Self {
        Self { tunnel: Some(tunnel.clone()), ..Self::empty() }
    }

    /// A body of bytes in memory, of known length.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        Inner::Full(Full::new(bytes.into())).into()
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
        Inner::Boxed(Box::pin(body.map_err(Into::into))).into()
    }

    /// Keeps `guard` until this body has ended or is dropped, whichever comes first.
    pub fn hold(self, guard: impl Any + Send) -> Self {
        self.hold_guard(Box::new(guard))
    }

    /// The same as [`hold`](Self::hold).
    pub fn hold_guard(mut self, guard: Guard) -> Self {
        match &self.tunnel {
            Some(tunnel) => tunnel.0.lock().push(guard),
            None => self.guards.push(guard),
        }
        self
    }

    /// What tells from now on whether this body is waited for; `None` if all of it is in memory.
    pub fn progress(&mut self) -> Option<Progress> {
        if self.is_buffered() {
            return None;
        }
        let is_late = self.is_late.get_or_insert_default();
        Some(Progress(Arc::downgrade(is_late)))
    }

    /// The same body once more, if all of it is in memory. What this one holds it keeps for itself.
    pub fn try_clone(&self) -> Option<Self> {
        match &self.inner {
            Inner::Full(full) => Some(Inner::Full(full.clone()).into()),
            Inner::Incoming(_) | Inner::Boxed(_) => None,
        }
    }

    /// All that is left of it, if that is in memory.
    pub fn buffered(&self) -> Option<Bytes> {
        let Inner::Full(full) = &self.inner else {
            return None;
        };
        let frame = full.clone().frame().now_or_never().flatten();
        Some(frame.map_or_else(Bytes::new, |Ok(frame)| frame.into_data().unwrap_or_default()))
    }

    /// Whether nothing of it has to be waited for.
    pub fn is_buffered(&self) -> bool {
        matches!(self.inner, Inner::Full(_))
    }

    fn poll_inner(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        match &mut self.inner {
            Inner::Full(full) => Pin::new(full)
                .poll_frame(cx)
                .map_err(|never| match never {}),
            Inner::Incoming(incoming) => Pin::new(incoming).poll_frame(cx).map_err(Error::from),
            Inner::Boxed(boxed) => {
                // Connections read bodies in their own task, which others need, too.
                let polled = catch_unwind(AssertUnwindSafe(|| boxed.as_mut().poll_frame(cx)));
                polled.unwrap_or_else(|_| {
                    self.inner = Inner::Full(Full::default());
                    Poll::Ready(Some(Err(Panicked.into())))
                })
            }
        }
    }
}

/// What `hint` says of a body, with so many bytes before it.
pub(crate) fn longer(mut hint: SizeHint, bytes: usize) -> SizeHint {
    // The upper bound first: it is never below the lower.
    if let Some(upper) = hint.upper() {
        hint.set_upper(upper.saturating_add(bytes as u64));
    }
    hint.set_lower(hint.lower().saturating_add(bytes as u64));
    hint
}

impl Progress {
    /// Whether somebody reads the body and waits for whoever sends it.
    pub fn is_awaited(&self) -> bool {
        self.0
            .upgrade()
            .is_some_and(|is_late| is_late.load(Relaxed))
    }
}

impl From<Inner> for Body {
    fn from(inner: Inner) -> Self {
        Self { inner, guards: Vec::new(), tunnel: None, is_late: None }
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match &self.inner {
            Inner::Full(full) if full.is_end_stream() => "empty",
            Inner::Full(_) => "full",
            Inner::Incoming(_) => "incoming",
            Inner::Boxed(_) => "boxed",
        };
        write!(f, "Body({kind})")
    }
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tunnel")
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let polled = self.poll_inner(cx);
        if let Some(is_late) = &self.is_late {
            is_late.store(polled.is_pending(), Relaxed);
        }
        if matches!(polled, Poll::Ready(None)) {
            self.guards.clear();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        match &self.inner {
            Inner::Full(full) => full.is_end_stream(),
            Inner::Incoming(incoming) => incoming.is_end_stream(),
            Inner::Boxed(boxed) => boxed.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.inner {
            Inner::Full(full) => full.size_hint(),
            Inner::Incoming(incoming) => incoming.size_hint(),
            Inner::Boxed(boxed) => boxed.size_hint(),
        }
    }
}

#[cfg(test)]
mod tests {
    use http_body_util::StreamBody;

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

    #[tokio::test]
    async fn a_tunnel_keeps_what_the_response_before_it_holds() {
        let guard = Arc::new(());
        let tunnel = Tunnel::default();
        let mut body = Body::before(&tunnel).hold(Arc::clone(&guard));
        assert!(body.is_end_stream());
        assert!(body.frame().await.is_none());
        drop(body);
        assert_eq!(Arc::strong_count(&guard), 2);
        drop(tunnel);
        assert_eq!(Arc::strong_count(&guard), 1);
    }

    #[test]
    fn is_cloned_only_if_all_of_it_is_in_memory() {
        let guard = Arc::new(());
        let held = Body::full("x").hold(Arc::clone(&guard));
        let again = held.try_clone().expect("it is in memory");
        drop(held);
        assert_eq!(Arc::strong_count(&guard), 1);
        assert_eq!(again.size_hint().exact(), Some(1));
        assert!(Body::empty().try_clone().is_some());
        let frames = futures_util::stream::iter([Ok::<_, Error>(Frame::data(Bytes::from("x")))]);
        let streamed = Body::new(StreamBody::new(frames));
        assert!(streamed.try_clone().is_none() && !streamed.is_buffered());
    }

    #[tokio::test]
    async fn is_awaited_while_its_sender_is_behind_its_reader() {
        assert!(Body::empty().progress().is_none() && Body::full("x").progress().is_none());
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        let frames = futures_util::stream::poll_fn(move |cx| receiver.poll_recv(cx));
        let mut body = Body::new(StreamBody::new(frames));
        let progress = body.progress().expect("nothing of it is in memory");
        assert!(!progress.is_awaited(), "nobody reads");
        assert!(futures_util::poll!(body.frame()).is_pending());
        assert!(progress.is_awaited());
        sender
            .send(Ok::<_, Error>(Frame::data(Bytes::from("x"))))
            .unwrap();
        assert!(body.frame().await.is_some());
        assert!(!progress.is_awaited(), "the sender is ahead");
        assert!(futures_util::poll!(body.frame()).is_pending());
        assert!(progress.is_awaited());
        drop(body);
        assert!(!progress.is_awaited(), "nobody reads any more");
    }

    #[tokio::test]
    async fn a_panic_in_a_body_is_an_error_of_that_body() {
        let guard = Arc::new(());
        let panicking = futures_util::stream::once(async {
            if true {
                panic!("provoked");
            }
            Ok::<_, Error>(Frame::data(Bytes::new()))
        });
        let mut body = Body::new(StreamBody::new(Box::pin(panicking))).hold(Arc::clone(&guard));
        assert!(body.frame().await.unwrap().is_err());
        assert!(body.frame().await.is_none());
        assert_eq!(Arc::strong_count(&guard), 1);
    }

    #[test]
    fn knows_its_length_before_it_is_read() {
        assert_eq!(Body::empty().size_hint().exact(), Some(0));
        assert_eq!(Body::full("1234").size_hint().exact(), Some(4));
        assert!(Body::full("").is_end_stream());
    }
}
