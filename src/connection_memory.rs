//! What earlier requests of a connection have shown.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use http::{Extensions, HeaderValue, uri::Authority};

use crate::{digest::Digest, last::Last};

/// Of one connection, in the extensions of each of its requests.
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

    /// That of the connection by which a request with these extensions came.
    pub(crate) fn of(extensions: &Extensions) -> Option<&Self> {
        extensions.get::<Arc<Self>>().map(|memory| &**memory)
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
