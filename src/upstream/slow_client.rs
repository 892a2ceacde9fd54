//! Calls that wait for their client: one that does not read its response, or does not send its
//! request, or hardly.
//!
//! Sync does not work on such a call, so it stops counting as one: others would wait for a client
//! that takes its time, or that means them harm. What that may cost is bounded: there are only so
//! many of them, and for one more one is cut of the client that has most of them, that which has been
//! slow for longest. Each has some buffers of its connections, `server.write_idle_timeout` and
//! `server.body_idle_timeout` end it, and a client has only so many requests in flight.
//!
//! A batch response needs no call any more, but holds all of its vehicles until it is read: such
//! responses are bounded in the same way, by their bytes.

use std::{
    pin::Pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use foldhash::{HashMap, HashMapExt as _};
use futures_util::task::AtomicWaker;
use http_body::{Frame, SizeHint};
use parking_lot::Mutex;
use prometheus::IntGauge;
use tokio::time::sleep;

use super::ClientId;
use crate::body::{Body, Error, Progress};

/// The calls that wait for their clients: a handle, cheap to clone.
#[derive(Clone, Debug)]
pub struct SlowClients(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// What all of them may weigh.
    max: u64,
    /// How long a client may do nothing, up to twice.
    patience: Duration,
    /// Those that may become slow; some of them have ended.
    watched: Mutex<Watched>,
    /// From the one that has been slow for longest on; some of them have ended.
    calls: Mutex<Vec<Weak<Call>>>,
    count: IntGauge,
}

#[derive(Debug, Default)]
struct Watched {
    calls: Vec<Weak<Call>>,
    /// Whether a task looks at them.
    is_looked_at: bool,
}

/// What ends a call's being one.
type GiveBack = Box<dyn FnOnce() + Send>;

/// A body that is sent at its client's pace.
struct WatchedBody(Arc<Call>);

/// One direction of a call.
struct Call {
    /// `None`: it was cut.
    body: Mutex<Option<Body>>,
    give_back: Mutex<Option<GiveBack>>,
    progress: Progress,
    /// Who is late when nothing passes.
    side: Side,
    client: Option<ClientId>,
    weight: u64,
    /// How many bytes have passed, and had when it was looked at.
    bytes: AtomicU64,
    seen: AtomicU64,
    reader: AtomicWaker,
    slow: SlowClients,
    is_slow: AtomicBool,
}

/// Whom a body waits for when it stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Of a response.
    Reader,
    /// Of a request.
    Sender,
}

/// Bytes that pass between two looks, at least, of a call that goes on: with less, a client could
/// keep a permit for ever.
const LEAST: u64 = 1024;

/// It was never looked at.
const UNSEEN: u64 = u64::MAX;

/// The client was so slow that its call was cut for others.
#[derive(Debug, thiserror::Error)]
#[error("the client was too slow")]
pub(super) struct TooSlow;

impl SlowClients {
    /// Those that weigh no more than `max` together, each of which has done nothing for as long as
    /// `patience`, up to twice. `count` is how many there are.
    pub fn new(max: u64, patience: Duration, count: IntGauge) -> Self {
        let (watched, calls) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Inner { max, patience, watched, calls, count }))
    }

    /// `body`, for which `give_back` is called when nothing passes, and it is `side` that is late.
    /// One that is here as a whole is as it was.
    pub fn watch(
        &self,
        mut body: Body,
        side: Side,
        client: Option<ClientId>,
        weight: u64,
        give_back: impl FnOnce() + Send + 'static,
    ) -> Body {
        let Some(progress) = body.progress() else { return body };
        let call = Arc::new(Call {
            body: Mutex::new(Some(body)),
            give_back: Mutex::new(Some(Box::new(give_back))),
            progress,
            side,
            client,
            weight,
            bytes: AtomicU64::new(0),
            seen: AtomicU64::new(UNSEEN),
            reader: AtomicWaker::new(),
            slow: self.clone(),
            is_slow: AtomicBool::new(false),
        });
        let mut watched = self.0.watched.lock();
        watched.calls.push(Arc::downgrade(&call));
        if !std::mem::replace(&mut watched.is_looked_at, true) {
            tokio::spawn(self.clone().look());
        }
        drop(watched);
        Body::new(WatchedBody(call))
    }

    /// Looks at all of them from time to time, as long as there are some. A task for each would
    /// cost a call more than all else that is done for it here.
    async fn look(self) {
        loop {
            sleep(self.0.patience).await;
            let calls = std::mem::take(&mut self.0.watched.lock().calls);
            let rest = calls.into_iter().filter(|call| {
                let Some(call) = call.upgrade() else { return false };
                let is_slow = call.has_stood_still();
                if is_slow {
                    self.enter(&call);
                }
                !is_slow
            });
            let rest: Vec<_> = rest.collect();
            let mut watched = self.0.watched.lock();
            watched.calls.extend(rest);
            if watched.calls.is_empty() {
                watched.is_looked_at = false;
                return;
            }
        }
    }

    /// One more of them.
    fn enter(&self, call: &Arc<Call>) {
        let give_back = call.give_back.lock().take();
        if let Some(give_back) = give_back {
            give_back();
        }
        call.is_slow.store(true, Relaxed);
        self.0.count.inc();
        let mut calls = self.0.calls.lock();
        if !self.has_room(&calls, call) {
            calls.retain(|call| call.upgrade().is_some_and(|call| !self.has_left(&call)));
        }
        while !self.has_room(&calls, call)
            && let Some(nth) = victim(&calls)
        {
            if let Some(call) = calls.remove(nth).upgrade() {
                call.cut();
            }
        }
        calls.push(Arc::downgrade(call));
    }

    /// Whether there is room for one more beside these.
    fn has_room(&self, calls: &[Weak<Call>], more: &Call) -> bool {
        let weights = calls.iter().filter_map(Weak::upgrade);
        let weight: u64 = weights.map(|call| call.weight).sum();
        weight + more.weight <= self.0.max
    }

    /// Whether a call has gone on since it was one of them. It is none now, and may become one again.
    fn has_left(&self, call: &Arc<Call>) -> bool {
        let has_left = call.bytes.load(Relaxed) >= call.seen.load(Relaxed) + LEAST;
        if has_left {
            call.is_slow.store(false, Relaxed);
            self.0.count.dec();
            self.0.watched.lock().calls.push(Arc::downgrade(call));
        }
        has_left
    }
}

/// Which of these calls is cut, so that none is for the many of another client: the first one of
/// whoever has most of them.
fn victim(calls: &[Weak<Call>]) -> Option<usize> {
    let of = |call: &Weak<Call>| call.upgrade().map(|call| (call.client, call.weight));
    let calls: Vec<_> = calls.iter().map(of).collect();
    let mut weights = HashMap::new();
    for (client, weight) in calls.iter().flatten() {
        *weights.entry(client).or_insert(0) += weight;
    }
    let most = weights.values().copied().max();
    // What has ended goes with the others.
    let has_most = |call: &Option<(_, _)>| call.as_ref().map(|(client, _)| weights[client]) == most;
    calls.iter().position(has_most)
}

impl Call {
    /// Whether hardly anything has passed since this was asked last, and it is its side that was late.
    fn has_stood_still(&self) -> bool {
        let bytes = self.bytes.load(Relaxed);
        let seen = self.seen.swap(bytes, Relaxed);
        // The sender is late while it is waited for, and else the reader.
        let late = if self.progress.is_awaited() { Side::Sender } else { Side::Reader };
        seen != UNSEEN && bytes < seen + LEAST && late == self.side
    }

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

impl http_body::Body for WatchedBody {
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
        if let Some(Ok(frame)) = &frame {
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            call.bytes.fetch_add(bytes as u64, Relaxed);
        }
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
