//! What earlier requests of a connection have shown.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::digest::LastDigest;

/// Of one connection, in the extensions of each of its requests.
pub(crate) struct ConnectionMemory {
    pub(crate) last_digest: LastDigest,
    /// Of the last request that has shown it.
    client: AtomicU64,
}

impl ConnectionMemory {
    /// Of a connection whose requests have shown nothing so far: it is this client's, as a hash.
    pub(crate) fn new(client: u64) -> Self {
        Self { last_digest: LastDigest::default(), client: client.into() }
    }

    /// The client of the last request, as a hash.
    pub(crate) fn client(&self) -> u64 {
        self.client.load(Relaxed)
    }

    /// A request of this client has come.
    pub(crate) fn note_client(&self, hash: u64) {
        // Most connections have one client, and what is not written stays in every cache.
        if self.client() != hash {
            self.client.store(hash, Relaxed);
        }
    }
}
