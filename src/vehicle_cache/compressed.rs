//! The bytes of results in compressed form, beside the plain ones.

use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use crate::gzip::Piece;

/// What is there, and what was wanted.
#[derive(Debug, Default)]
pub struct Compressed {
    pub(super) piece: Option<Piece>,
    /// How often it was wanted while it was not there, up to [`WANTED`].
    wanted: AtomicU8,
}

/// Results that are asked for once need not be compressed.
const WANTED: u8 = 2;

impl Compressed {
    /// Notes that it is wanted. Gives whether it is time to compress, which it is once.
    pub(super) fn wants_piece(&self) -> bool {
        let wanted = self.wanted.load(Relaxed);
        if self.piece.is_some() || wanted == WANTED {
            return false;
        }
        // Two at once may count as one, or both compress.
        self.wanted.store(wanted + 1, Relaxed);
        wanted + 1 == WANTED
    }
}

impl From<Piece> for Compressed {
    fn from(piece: Piece) -> Self {
        Self { piece: Some(piece), wanted: WANTED.into() }
    }
}
