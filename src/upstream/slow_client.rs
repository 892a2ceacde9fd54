//! Calls that wait for their client: one that does not read its response, or does not send its
//! request.
//!
//! Sync does not work on such a call, so it stops counting as one: others would wait for a client
//! that takes its time, or that means them harm. What that may cost is bounded: there are only so
//! many of them, and for one more the one that has been slow for longest is cut. Each has some
//! buffers of its connections, `server.write_idle_timeout` and `server.body_idle_timeout` end it,
//! and a client has only so many requests in flight.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use http_body::{Frame, SizeHint};
use parking_lot::Mutex;
use prometheus::IntGauge;
use tokio::time::sleep;

use crate::body::{Body, Error, Progress};

/// The calls that wait for their clients: a handle, cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct SlowClients(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    max: usize,
    /// How long a client may do nothing, up to twice.
    patience: Duration,
    /// From the one that has been slow for longest on; some of them have ended.
    calls: Mutex<VecDeque<Weak<Call>>>,
    count: IntGauge,
}

/// What ends a call's being one.
type GiveBack = Box<dyn FnOnce() + Send>;

/// A body that is sent at its client's pace.
struct Watched(Arc<Call>);

/// One direction of a call.
struct Call {
    /// `None`: it was cut.
    body: Mutex<Option<Body>>,
    give_back: Mutex<Option<GiveBack>>,
    /// How many frames have passed.
    frames: AtomicU64,
    reader: AtomicWaker,
    slow: SlowClients,
    is_slow: AtomicBool,
}

/// Whom a body waits for when it stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Reader,
    Sender,
}

/// The client was so slow that its call was cut for others.
#[derive(Debug, thiserror::Error)]
#[error("the client was too slow")]
pub(super) struct TooSlow;

impl SlowClients {
    /// So many of them, each of which has done nothing for as long as `patience`, up to twice.
    pub(super) fn new(max: usize, patience: Duration, count: IntGauge) -> Self {
        Self(Arc::new(Inner { max, patience, calls: Mutex::default(), count }))
    }

    /// `body`, for which `give_back` is called when nothing passes, and it is `side` that is late.
    /// One that is here as a whole is as it was.
    pub(super) fn watch(
        &self,
        mut body: Body,
        side: Side,
        give_back: impl FnOnce() + Send + 'static,
    ) -> Body {
        let Some(progress) = body.progress() else { return body };
        let call = Arc::new(Call {
            body: Mutex::new(Some(body)),
            give_back: Mutex::new(Some(Box::new(give_back))),
            frames: AtomicU64::new(0),
            reader: AtomicWaker::new(),
            slow: self.clone(),
            is_slow: AtomicBool::new(false),
        });
        tokio::spawn(watch(Arc::downgrade(&call), progress, side, self.0.patience));
        Body::new(Watched(call))
    }

    /// One more of them.
    fn enter(&self, call: &Arc<Call>) {
        call.is_slow.store(true, Relaxed);
        self.0.count.inc();
        let mut calls = self.0.calls.lock();
        if calls.len() >= self.0.max {
            calls.retain(|call| call.strong_count() > 0);
        }
        if calls.len() >= self.0.max
            && let Some(call) = calls.pop_front().and_then(|call| call.upgrade())
        {
            call.cut();
        }
        calls.push_back(Arc::downgrade(call));
    }
}

/// Gives back what a call counts by when its client does nothing.
async fn watch(call: Weak<Call>, progress: Progress, side: Side, patience: Duration) {
    let mut frames = 0;
    loop {
        sleep(patience).await;
        let Some(call) = call.upgrade() else { return };
        let before = std::mem::replace(&mut frames, call.frames.load(Relaxed));
        // The sender is late while it is waited for, and else the reader.
        let late = if progress.is_awaited() { Side::Sender } else { Side::Reader };
        if before == frames && late == side {
            if let Some(give_back) = call.give_back.lock().take() {
                give_back();
            }
            return call.slow.enter(&call);
        }
    }
}

impl Call {
    fn cut(&self) {
        let body = self.body.lock().take();
        drop(body);
        self.reader.wake();
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.is_slow.load(Relaxed) {
            self.slow.0.count.dec();
        }
    }
}

impl http_body::Body for Watched {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        let call = &*self.0;
        call.reader.register(cx.waker());
        let mut body = call.body.lock();
        let Some(body) = body.as_mut() else { return Poll::Ready(Some(Err(TooSlow.into()))) };
        let frame = ready!(Pin::new(body).poll_frame(cx));
        call.frames.fetch_add(1, Relaxed);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.0
            .body
            .lock()
            .as_ref()
            .is_some_and(http_body::Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        let body = self.0.body.lock();
        body.as_ref()
            .map_or_else(SizeHint::default, http_body::Body::size_hint)
    }
}

impl std::fmt::Debug for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call").finish_non_exhaustive()
    }
}
