//! The body of a batch answer, spliced from elements as the upstream sent them.
//!
//! Its length is known from the start, and it is put together while it is taken: a reader that
//! is slow, or gone, holds references to cached elements and one frame, not a copy of the
//! answer.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};

use crate::cache::Entry;

/// `{"vehicleData":[…]}` with the bytes of each entry that has some.
#[derive(Debug)]
pub struct Splice {
    /// With bytes, in order.
    entries: std::vec::IntoIter<Arc<Entry>>,
    /// How much of the answer is still to come.
    left: usize,
    is_begun: bool,
}

const HEAD: &[u8] = br#"{"vehicleData":["#;
const TAIL: &[u8] = b"]}";

/// Bytes after which a frame is full. Large enough that the socket takes most of it at a time,
/// small enough to be still in the processor's cache when it does.
const FRAME: usize = 128 * 1024;

// === impl Splice ===

impl Splice {
    /// The answer of these entries, in this order.
    pub fn new(entries: impl IntoIterator<Item = Arc<Entry>>) -> Self {
        let has_bytes = |entry: &Arc<Entry>| !entry.bytes().is_empty();
        let entries: Vec<_> = entries.into_iter().filter(has_bytes).collect();
        let elements: usize = entries.iter().map(|entry| entry.bytes().len()).sum();
        let commas = entries.len().saturating_sub(1);
        Self {
            left: HEAD.len() + elements + commas + TAIL.len(),
            entries: entries.into_iter(),
            is_begun: false,
        }
    }

    /// Bytes of the whole answer, as long as none was taken.
    pub fn len(&self) -> usize {
        self.left
    }

    /// Whether everything was taken.
    pub fn is_empty(&self) -> bool {
        self.left == 0
    }

    fn next_frame(&mut self) -> Option<Bytes> {
        if self.left == 0 {
            return None;
        }
        let mut frame = BytesMut::with_capacity(self.left.min(FRAME + FRAME / 4));
        if !self.is_begun {
            frame.extend_from_slice(HEAD);
        }
        while frame.len() < FRAME
            && let Some(entry) = self.entries.next()
        {
            if std::mem::replace(&mut self.is_begun, true) {
                frame.extend_from_slice(b",");
            }
            frame.extend_from_slice(entry.bytes());
        }
        if self.entries.len() == 0 {
            frame.extend_from_slice(TAIL);
        }
        self.left -= frame.len();
        Some(frame.freeze())
    }
}

impl http_body::Body for Splice {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.next_frame().map(|frame| Ok(Frame::data(frame))))
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left as u64)
    }
}
