//! What earlier requests of a connection have shown.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use http::{HeaderValue, uri::Authority};

use crate::{digest::Digest, last::Last};

/// Of one connection; each of its requests knows it.
pub(crate) struct ConnectionMemory {
    /// Of a token.
    pub(crate) last_digest: Last<Digest>,
    /// Of a `Host` or a target.
    pub(crate) last_authority: Last<Authority>,
    /// What is said of the peer, by the name that it called the gateway by.
    pub(crate) last_forwarded: Last<Forwarded>,
    /// Of the last request that has shown it.
    client: AtomicU64,
}

/// Whom a request came from, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Forwarded {
    /// For `X-Forwarded-For`.
    pub(crate) address: HeaderValue,
    /// For `Forwarded`.
    pub(crate) element: HeaderValue,
}

impl ConnectionMemory {
    /// Of a connection whose requests have shown nothing so far: it is this client's, as a hash.
    pub(crate) fn new(client: u64) -> Self {
        Self {
            last_digest: Last::new(),
            last_authority: Last::new(),
            last_forwarded: Last::new(),
            client: client.into(),
        }
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
