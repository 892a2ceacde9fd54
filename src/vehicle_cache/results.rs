use std::{
    fmt,
    sync::atomic::{AtomicU8, Ordering::Relaxed},
    time::Duration,
};

use tokio::time::Instant;

use super::classes::Classes;
use crate::{cache::Moment, digest, gzip::Piece, labels::labels};

/// What the upstream's response has of one vehicle. `Debug` does not show its bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Element {
    /// The element's own bytes, as they came; empty if there was no element.
    pub bytes: Box<[u8]>,
    /// What its results are like.
    pub classes: Classes,
}

/// What is held of a vehicle: an [`Element`] with its life. `Debug` does not show its bytes.
///
/// Laid out so that it takes two lines of a processor's cache with what the cache adds: a large
/// request reads them for every vehicle, and there are as many of them as vehicles.
pub struct Results {
    bytes: Box<[u8]>,
    /// The bytes in compressed form, beside the plain ones.
    piece: Option<Piece>,
    content_hash: ContentHash,
    filled_at: Moment,
    /// In milliseconds. A `Duration` would take twice the room.
    fresh_for: u64,
    classes: Classes,
    source: Source,
    /// How often the compressed form was wanted while it was not there, up to [`WANTED`].
    wanted: AtomicU8,
}

/// Results that are asked for once need not be compressed.
const WANTED: u8 = 2;

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

impl fmt::Debug for Results {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Results")
            .field("length", &self.bytes.len())
            .field("classes", &self.classes)
            .field("source", &self.source)
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
        Self::from_parts(element, content_hash, now, fresh_for, Source::Call)
    }

    /// What was held once, be it elsewhere.
    pub(super) fn from_parts(
        Element { bytes, classes }: Element,
        content_hash: ContentHash,
        filled_at: Moment,
        fresh_for: Duration,
        source: Source,
    ) -> Self {
        let fresh_for = u64::try_from(fresh_for.as_millis()).unwrap_or(u64::MAX);
        let (piece, wanted) = (None, AtomicU8::new(0));
        Self { bytes, piece, content_hash, filled_at, fresh_for, classes, source, wanted }
    }

    /// The element's bytes as the upstream sent them; empty if it sent none.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What its results are like.
    pub fn classes(&self) -> Classes {
        self.classes
    }

    /// A hash of the bytes, taken when the entry was filled.
    pub fn content_hash(&self) -> &ContentHash {
        &self.content_hash
    }

    /// The bytes, compressed by themselves, if they are.
    pub fn piece(&self) -> Option<&Piece> {
        self.piece.as_ref()
    }

    /// Notes that the bytes would have been of use in compressed form. Gives whether it is time to
    /// compress them.
    pub fn wants_piece(&self) -> bool {
        let wanted = self.wanted.load(Relaxed);
        if self.piece.is_some() || wanted == WANTED {
            return false;
        }
        // Two at once may count as one, or both compress.
        self.wanted.store(wanted + 1, Relaxed);
        wanted + 1 == WANTED
    }

    /// The same with a compressed form, if that is smaller.
    pub(super) fn compressed(&self) -> Option<Self> {
        let Self { ref bytes, content_hash, filled_at, fresh_for, classes, source, .. } = *self;
        let (piece, wanted) = (Some(Piece::of(bytes)?), AtomicU8::new(WANTED));
        let bytes = bytes.clone();
        Some(Self { bytes, piece, content_hash, filled_at, fresh_for, classes, source, wanted })
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
        self.filled_at.instant + self.fresh_for()
    }

    /// How long it is good from when the upstream's response came.
    pub fn fresh_for(&self) -> Duration {
        Duration::from_millis(self.fresh_for)
    }

    /// How long ago the upstream's response came.
    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.filled_at.instant)
    }

    /// Whether it is still good at `now`.
    pub(super) fn freshness(&self, now: Instant) -> Freshness {
        Freshness::at(self.fresh_until(), now)
    }
}
