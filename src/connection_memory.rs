//! What earlier requests of a connection have shown.

use std::{
    num::NonZero,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use crate::digest::LastDigest;

/// Of one connection, in the extensions of each of its requests.
#[derive(Default)]
pub(crate) struct ConnectionMemory {
    pub(crate) last_digest: LastDigest,
    /// Of the last request; 0: none has come so far.
    client: AtomicU64,
}

impl ConnectionMemory {
    /// The client of the last request, as a hash; `None`: none is known.
    pub(crate) fn client(&self) -> Option<NonZero<u64>> {
        NonZero::new(self.client.load(Relaxed))
    }

    /// A request of this client has come.
    pub(crate) fn note_client(&self, hash: u64) {
        let hash = hash.max(1);
        // Most connections have one client, and what is not written stays in every cache.
        if self.client.load(Relaxed) != hash {
            self.client.store(hash, Relaxed);
        }
    }
}
