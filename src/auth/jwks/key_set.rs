//! The current published keys, shared between requests, which look for keys, and the task that
//! fetches them.

use std::{pin::Pin, sync::Arc};

use jsonwebtoken::Algorithm;
use parking_lot::RwLock;
use tokio::{
    sync::{Notify, futures::OwnedNotified, watch},
    time::Instant,
};

use super::{
    unknown_kids::{Decision, UnknownKids},
    usable_keys::Jwk,
};
use crate::{
    auth::Key,
    digest::{self, Digest},
};

/// The current published keys.
#[derive(Debug)]
pub struct KeySet {
    /// One lock over both, so that no request finds its key neither in the set nor still sought.
    state: RwLock<State>,
    /// A kid caused a fetch, which has not begun.
    wanted: Notify,
    /// A fetch ended, well or not.
    ended: Arc<Notify>,
    in_force: watch::Sender<bool>,
}

#[derive(Debug)]
struct State {
    keys: Vec<Jwk>,
    unknown: UnknownKids,
}

/// What there is for a `kid`.
#[derive(Debug)]
pub(in crate::auth) enum Found {
    /// A key: for the algorithm that was asked for, if there is one under this name.
    Key(Arc<Key>),
    /// Nothing, but a fetch may bring it: to be asked again when this ends.
    Awaited(Fetch),
    /// Nothing.
    Nothing,
}

/// What became of the keys when a set came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Change {
    /// Whether they are others than before.
    pub(super) differs: bool,
    /// Whether a kid that was sought is not among them.
    pub(super) leaves_unknown: bool,
}

/// Ends when a fetch has ended, well or not. It may never end.
pub(in crate::auth) type Fetch = Pin<Box<OwnedNotified>>;

impl KeySet {
    /// No key as yet. Whoever asks for one waits for the first fetch.
    pub(super) fn new() -> Self {
        let state = State { keys: Vec::new(), unknown: UnknownKids::new(Instant::now()) };
        Self {
            state: RwLock::new(state),
            wanted: Notify::new(),
            ended: Arc::default(),
            in_force: watch::Sender::new(false),
        }
    }

    /// The key named `id`; of several that with `algorithm`.
    pub(in crate::auth) fn find(&self, id: &str, algorithm: Algorithm) -> Found {
        if let Some(key) = self.state.read().find(id, algorithm) {
            return Found::Key(key);
        }
        let kid = digest::of(id.as_bytes());
        let mut state = self.state.write();
        // A fetch may have ended meanwhile.
        if let Some(key) = state.find(id, algorithm) {
            return Found::Key(key);
        }
        match state.unknown.ask(kid, Instant::now()) {
            Decision::Refuse => return Found::Nothing,
            Decision::Wait => {}
            Decision::Fetch => self.wanted.notify_one(),
        }
        // Made under the lock, so that the end of this fetch cannot come before it.
        Found::Awaited(Box::pin(Arc::clone(&self.ended).notified_owned()))
    }

    /// The keys for `algorithm`, but for those under a name that `is_taken`.
    pub(in crate::auth) fn fitting(
        &self,
        algorithm: Algorithm,
        is_taken: impl Fn(&str) -> bool,
    ) -> Vec<Arc<Key>> {
        let state = self.state.read();
        let fitting = state.keys.iter().filter(|jwk| {
            jwk.key.algorithm == algorithm && !jwk.id.as_deref().is_some_and(&is_taken)
        });
        fitting.map(|jwk| Arc::clone(&jwk.key)).collect()
    }

    /// Whether there are keys, and every change of that.
    pub(super) fn in_force(&self) -> watch::Receiver<bool> {
        self.in_force.subscribe()
    }

    /// Ends when a fetch is pending that has not begun.
    pub(super) async fn wanted(&self) {
        while !self.state.read().unknown.wants_fetch() {
            self.wanted.notified().await;
        }
    }

    /// A fetch begins.
    pub(super) fn begin(&self) {
        self.state.write().unknown.begin(Instant::now());
    }

    /// The fetch brought `keys`, which replace all others.
    ///
    /// A key that was there before stays the same one, and so does what was verified with it.
    pub(super) fn succeed(&self, keys: Vec<Jwk>) -> Change {
        let mut state = self.state.write();
        let keys: Vec<_> = keys.into_iter().map(|jwk| state.keep(jwk)).collect();
        let ids = keys.iter().filter_map(|jwk| jwk.id.as_ref());
        let change = Change {
            differs: !fingerprints(&keys).eq(fingerprints(&state.keys)),
            leaves_unknown: state
                .unknown
                .succeed(ids.map(|id| digest::of(id.as_bytes()))),
        };
        state.keys = keys;
        drop(state);
        self.ended.notify_waiters();
        self.in_force.send_replace(true);
        change
    }

    /// The fetch brought nothing: the keys stay.
    pub(super) fn fail(&self) {
        self.state.write().unknown.fail();
        self.ended.notify_waiters();
    }

    /// The keys have served their time.
    pub(super) fn expire(&self) {
        self.state.write().keys.clear();
        self.in_force.send_replace(false);
    }
}

impl State {
    fn find(&self, id: &str, algorithm: Algorithm) -> Option<Arc<Key>> {
        let mut named = self
            .keys
            .iter()
            .filter(|jwk| jwk.id.as_deref() == Some(id))
            .map(|jwk| &jwk.key);
        // One name for keys of several types is allowed (RFC 7517 section 4.5).
        let found = named.clone().find(|key| key.algorithm == algorithm);
        found.or_else(|| named.next()).cloned()
    }

    /// `jwk`, with the current key if it is the same.
    fn keep(&self, jwk: Jwk) -> Jwk {
        let mut keys = self.keys.iter();
        match keys.find(|kept| kept.fingerprint == jwk.fingerprint) {
            Some(kept) => Jwk { key: Arc::clone(&kept.key), ..jwk },
            None => jwk,
        }
    }
}

fn fingerprints(keys: &[Jwk]) -> impl Iterator<Item = &Digest> {
    keys.iter().map(|jwk| &jwk.fingerprint)
}

#[cfg(test)]
mod tests;
