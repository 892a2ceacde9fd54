use std::{fmt, time::Duration};

use tokio::time::Instant;

use super::{classes::Classes, compressed::Compressed};
use crate::{cache::Moment, digest, gzip::Piece, labels::labels};

/// What the upstream's response has of one vehicle. `Debug` does not show its bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Element {
    /// The element's own bytes, as they came; empty if there was no element.
    pub bytes: Box<[u8]>,
    /// What its results are like.
    pub classes: Classes,
}

/// What is held of a vehicle: an [`Element`] with its life.
#[derive(Debug)]
pub struct Results {
    pub(super) element: Element,
    pub(super) content_hash: ContentHash,
    pub(super) filled_at: Moment,
    pub(super) fresh_until: Instant,
    pub(super) source: Source,
    pub(super) compressed: Compressed,
}

labels! {
    /// Where an entry came from.
    pub enum Source {
        /// A call of this process.
        Call = "call",
        /// Another replica, over the shared tier.
        Shared = "shared",
        /// An earlier process, over a restart.
        Snapshot = "snapshot",
    }
}

/// The first 128 bits of the SHA-256 of an element's bytes.
pub type ContentHash = [u8; 16];

/// Where an entry is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Freshness {
    /// Good for this much longer.
    Fresh(Duration),
    /// Past its time for this long.
    Stale(Duration),
}

impl fmt::Debug for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Element")
            .field("length", &self.bytes.len())
            .field("classes", &self.classes)
            .finish_non_exhaustive()
    }
}

impl Freshness {
    /// Where in its life at `now` is what stays fresh until `fresh_until`.
    pub fn at(fresh_until: Instant, now: Instant) -> Self {
        match fresh_until.checked_duration_since(now) {
            Some(left) if !left.is_zero() => Self::Fresh(left),
            _ => Self::Stale(now.saturating_duration_since(fresh_until)),
        }
    }
}

impl Results {
    /// What is held of an element that comes now.
    pub fn new(element: Element, fresh_for: Duration, now: Moment) -> Self {
        let mut content_hash = ContentHash::default();
        let whole = digest::of(&element.bytes);
        content_hash.copy_from_slice(&whole[..size_of::<ContentHash>()]);
        let (filled_at, fresh_until) = (now, now.instant + fresh_for);
        let (source, compressed) = (Source::Call, Compressed::default());
        Self { element, content_hash, filled_at, fresh_until, source, compressed }
    }

    /// The element's bytes as the upstream sent them; empty if it sent none.
    pub fn bytes(&self) -> &[u8] {
        &self.element.bytes
    }

    /// What its results are like.
    pub fn classes(&self) -> Classes {
        self.element.classes
    }

    /// A hash of the bytes, taken when the entry was filled.
    pub fn content_hash(&self) -> &ContentHash {
        &self.content_hash
    }

    /// The bytes, compressed by themselves, if they are.
    pub fn piece(&self) -> Option<&Piece> {
        self.compressed.piece.as_ref()
    }

    /// Notes that the bytes would have been of use in compressed form. Gives whether it is time to
    /// compress them.
    pub fn wants_piece(&self) -> bool {
        self.compressed.wants_piece()
    }

    /// The same with a compressed form, if that is smaller.
    pub(super) fn compressed(&self) -> Option<Self> {
        let Self { ref element, content_hash, filled_at, fresh_until, source, .. } = *self;
        let (element, compressed) = (element.clone(), Piece::of(&element.bytes)?.into());
        Some(Self { element, content_hash, filled_at, fresh_until, source, compressed })
    }

    /// Where it came from.
    pub fn source(&self) -> Source {
        self.source
    }

    /// When the upstream's response came.
    pub fn filled_at(&self) -> Moment {
        self.filled_at
    }

    /// Until when it is good.
    pub fn fresh_until(&self) -> Instant {
        self.fresh_until
    }

    /// How long ago the upstream's response came.
    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.filled_at.instant)
    }

    /// Whether it is still good at `now`.
    pub(super) fn freshness(&self, now: Instant) -> Freshness {
        Freshness::at(self.fresh_until, now)
    }
}
