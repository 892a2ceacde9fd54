//! The memory of verified tokens: one costs one signature check, and from then on a hash and a
//! look-up.
//!
//! A sharded map of our own and no cache library: there is nothing to be clever about. Only an
//! issuer can fill it, an entry knows its own end, and which of 65,536 live tokens goes first
//! matters to nobody. So no clock is read, no recency is booked, and a look-up writes nothing
//! but the count of a read lock.
//!
//! It is keyed by SHA-256 of the whole token, never by a part of it or a faster hash: whoever
//! finds another token of the same hash would be its subject.

use std::{array, collections::HashMap, sync::Arc, time::Duration};

use parking_lot::RwLock;

use super::{Identity, verifier::Accepted};
use crate::digest::Digest;

/// Tokens in all.
const CAPACITY: usize = 65_536;

/// Far more than threads that could meet.
const SHARDS: usize = 64;

/// Verified tokens, at most [`CAPACITY`].
#[derive(Debug)]
pub(super) struct TokenCache {
    shards: Box<[RwLock<Shard>; SHARDS]>,
    shard_capacity: usize,
}

type Shard = HashMap<Digest, Accepted, foldhash::fast::RandomState>;

impl TokenCache {
    fn with_capacity(capacity: usize) -> Self {
        Self {
            shards: Box::new(array::from_fn(|_| RwLock::default())),
            shard_capacity: capacity / SHARDS,
        }
    }

    /// Whom the token with this hash speaks for, if it was verified, has not ended at `now`, and
    /// its key is still valid.
    #[inline]
    pub(super) fn get(&self, token: &Digest, now: Duration) -> Option<Arc<Identity>> {
        let shard = self.shard(token).read();
        let accepted = shard.get(token).filter(|accepted| accepted.is_live(now))?;
        Some(Arc::clone(&accepted.identity))
    }

    /// Remembers a token. If its shard is full, what has ended goes, or else any one.
    pub(super) fn insert(&self, token: Digest, accepted: Accepted, now: Duration) {
        let mut shard = self.shard(&token).write();
        if shard.len() >= self.shard_capacity && !shard.contains_key(&token) {
            shard.retain(|_, accepted| accepted.is_live(now));
            if shard.len() >= self.shard_capacity
                && let Some(any) = shard.keys().next().copied()
            {
                shard.remove(&any);
            }
        }
        shard.insert(token, accepted);
    }

    fn shard(&self, token: &Digest) -> &RwLock<Shard> {
        &self.shards[usize::from(token[0]) % SHARDS]
    }
}

impl Default for TokenCache {
    fn default() -> Self {
        Self::with_capacity(CAPACITY)
    }
}

impl Accepted {
    fn is_live(&self, now: Duration) -> bool {
        now < self.until && self.key.strong_count() > 0
    }
}

#[cfg(test)]
mod tests {
    use jsonwebtoken::Algorithm;

    use super::{super::Key, *};
    use crate::digest;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn key() -> Arc<Key> {
        Arc::new(Key::from_secret("house".into(), Algorithm::HS256, &[7; 32]).unwrap())
    }

    fn accepted(subject: &str, until: Duration, key: &Arc<Key>) -> Accepted {
        let identity = Arc::new(Identity::new("", subject, true, true));
        Accepted { identity, until, key: Arc::downgrade(key) }
    }

    fn len(verified: &TokenCache) -> usize {
        verified.shards.iter().map(|shard| shard.read().len()).sum()
    }

    #[test]
    fn forgets_a_token_at_its_end() {
        let (verified, key) = (TokenCache::default(), key());
        let token = digest::of(b"token");
        assert!(verified.get(&token, at(0)).is_none());

        verified.insert(token, accepted("billing", at(100), &key), at(10));
        assert!(verified.get(&token, at(99)).is_some());
        assert!(verified.get(&token, at(100)).is_none());
        assert!(verified.get(&digest::of(b"tokeN"), at(99)).is_none());
    }

    #[test]
    fn forgets_a_token_with_its_key() {
        let (verified, key) = (TokenCache::default(), key());
        let token = digest::of(b"token");
        verified.insert(token, accepted("billing", at(100), &key), at(10));
        drop(key);
        assert!(verified.get(&token, at(10)).is_none());
    }

    #[test]
    fn never_holds_more_than_its_capacity() {
        let (verified, key) = (TokenCache::with_capacity(4 * SHARDS), key());
        for number in 0..2_000_u32 {
            let token = digest::of(&number.to_be_bytes());
            verified.insert(token, accepted("billing", at(100), &key), at(10));
            assert!(verified.get(&token, at(10)).is_some(), "the latest stays");
        }
        assert_eq!(len(&verified), 4 * SHARDS);
        assert_eq!(CAPACITY % SHARDS, 0, "so that the whole capacity is used");
    }

    #[test]
    fn what_has_ended_goes_first() {
        let (verified, key) = (TokenCache::with_capacity(2 * SHARDS), key());
        let [old, live, new] = [0_u8, 1, 2].map(|last| {
            let mut token = [0; 32];
            token[31] = last;
            token
        });
        verified.insert(live, accepted("live", at(100), &key), at(10));
        verified.insert(old, accepted("old", at(20), &key), at(10));
        verified.insert(new, accepted("new", at(100), &key), at(20));
        assert!(verified.get(&live, at(20)).is_some());
        assert!(verified.get(&new, at(20)).is_some());
        assert_eq!(len(&verified), 2);
    }

    #[test]
    fn a_token_twice_takes_one_place() {
        let (verified, key) = (TokenCache::with_capacity(SHARDS), key());
        for _ in 0..3 {
            verified.insert([1; 32], accepted("billing", at(100), &key), at(10));
        }
        assert_eq!(len(&verified), 1);
    }
}
