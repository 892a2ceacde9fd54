//! Responses that wait for whoever reads them.
//!
//! Sync has done its part of a response that its client does not read, so it stops counting as a
//! call: others would wait for a client that takes its time, or that means them harm. What may come
//! of the response is bounded: by the connection's buffers, by `server.write_idle_timeout`, and by
//! the requests that a client may have in flight.

use std::{
    pin::Pin,
    sync::{
        Arc, Weak,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use parking_lot::Mutex;
use tokio::time::sleep;

use super::admission::Slot;
use crate::body::{Body, Error, Progress};

/// A body that counts as a call while somebody reads it.
struct Counted {
    body: Body,
    reading: Arc<Reading>,
}

#[derive(Debug)]
struct Reading {
    slot: Mutex<Option<Slot>>,
    /// How often it was asked for more.
    reads: AtomicU64,
}

/// `body` with its slot, which it gives back when it has ended, or when nobody has read on for as
/// long as `patience`, up to twice. A body that is here as a whole needs none.
pub(super) fn count(mut body: Body, slot: Slot, patience: Duration) -> Body {
    let Some(progress) = body.progress() else { return body };
    let reading = Arc::new(Reading { slot: Mutex::new(Some(slot)), reads: AtomicU64::new(0) });
    tokio::spawn(watch(Arc::downgrade(&reading), progress, patience));
    Body::new(Counted { body, reading })
}

async fn watch(reading: Weak<Reading>, progress: Progress, patience: Duration) {
    let mut reads = 0;
    loop {
        sleep(patience).await;
        let Some(reading) = reading.upgrade() else { return };
        let before = std::mem::replace(&mut reads, reading.reads.load(Relaxed));
        // While the reader waits, it is Sync that is late.
        if before == reads && !progress.is_awaited() {
            reading.slot.lock().take();
            return;
        }
    }
}

impl http_body::Body for Counted {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.reading.reads.fetch_add(1, Relaxed);
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
