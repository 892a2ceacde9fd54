//! Looks at the signs of replicas: who is there, and what they have read of writes.
//!
//! A replica signs with each read of the log ([`acknowledgements`](super::acknowledgements)). All
//! signs are looked at twice a second, and at once when a response waits for what they say: one
//! look is for all that wait.

use std::{convert::Infallible, time::Duration};

use tokio::time::{Instant, sleep_until, timeout};

use super::{
    SharedTier,
    acknowledgements::{Acknowledgements, MARK, Sign, Signs},
    census::Census,
    link::{Link, LinkError},
    position::Stamp,
    release::Receipt,
    rules::Strict,
};
use crate::seal;

/// How many replicas there are, for somebody who is told when that changes.
pub(super) struct Counting<F> {
    census: Census,
    last: u32,
    on_count: F,
}

/// Between two looks for which nobody waits.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// Between two looks at least.
const LOOK_AFTER: Duration = Duration::from_millis(5);

impl<F: Fn(u32)> Counting<F> {
    pub(super) fn new(on_count: F) -> Self {
        Self { census: Census::default(), last: 1, on_count }
    }
}

impl SharedTier {
    /// Ready when everybody has read this who may trust what they read. That may not come.
    pub(super) async fn acknowledged(&self, receipt: Receipt) {
        let inner = &*self.0;
        loop {
            let has_come = inner.signs_have_come.notified();
            let now = Instant::now();
            let reached = inner.acknowledgements.lock().reached(now);
            // Whoever hears of writes knows when the log was lost.
            let hears = inner.trust().lasts(now);
            if hears && receipt.is_acknowledged(inner.outbox.link(), reached) {
                return;
            }
            inner.signs_wanted.notify_one();
            has_come.await;
        }
    }

    /// Looks at signs again and again. Tells of each change of the number of replicas, this one
    /// included.
    pub(super) async fn keep_looking<F: Fn(u32)>(
        &self,
        link: &Link,
        counting: &mut Counting<F>,
    ) -> Result<Infallible, LinkError> {
        counting.census.resume(Instant::now());
        loop {
            self.look_around(link, counting).await?;
            let may_look_at = Instant::now() + LOOK_AFTER;
            let _ = timeout(LOOK_EVERY, self.0.signs_wanted.notified()).await;
            sleep_until(may_look_at).await;
        }
    }

    async fn look_around<F: Fn(u32)>(
        &self,
        link: &Link,
        counting: &mut Counting<F>,
    ) -> Result<(), LinkError> {
        let (inner, Counting { census, last, on_count }) = (&*self.0, counting);
        let asked_for = inner.acknowledgements.lock().ask();
        let signs = self.read_signs(link.signs(&inner.signs).await?);
        if signs.mark.is_none() {
            let mark: [u8; 16] = seal::random();
            // A full server takes none, and a lost one shows elsewhere.
            let _ = link.sign(&inner.signs, MARK, &mark).await;
        }
        let others = signs.others.iter();
        let others = others.map(|(name, sign)| (name.clone(), sign.bytes.clone()));
        let (others, now) = (others.collect(), Instant::now());
        inner.acknowledgements.lock().note(asked_for, signs, now);
        inner.signs_have_come.notify_waiters();
        let count = census.note(others, now) + 1;
        let gone = census.gone(now);
        if !gone.is_empty() {
            let removed = Acknowledgements::<Strict>::removed(gone);
            link.remove_signs(&inner.signs, &removed).await?;
        }
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        if count != std::mem::replace(last, count) {
            inner.metrics.replicas.set(count.into());
            on_count(count);
        }
        Ok(())
    }

    fn read_signs(&self, pairs: Vec<(Vec<u8>, Vec<u8>)>) -> Signs {
        let inner = &*self.0;
        let own = inner.name();
        let mut signs = Signs { mark: None, others: Vec::with_capacity(pairs.len()) };
        for (name, bytes) in pairs {
            if name == MARK {
                signs.mark = Some(bytes);
            } else if name != own
                && let Some(said) = inner.sealer.open(&inner.place_of(&name), bytes.clone())
            {
                let applied = said.try_into().ok().map(Stamp::from_bytes);
                signs.others.push((name, Sign { bytes, applied }));
            }
        }
        signs
    }

    /// What this replica says when it has applied the log up to there.
    pub(super) fn sign(&self, applied: Option<Stamp>) -> Vec<u8> {
        let inner = &*self.0;
        let applied = applied.map(Stamp::to_bytes);
        let said = applied.as_ref().map_or(&[][..], |applied| applied);
        // Each is other bytes than the last.
        inner.sealer.seal(&inner.place_of(&inner.name()), said)
    }
}
