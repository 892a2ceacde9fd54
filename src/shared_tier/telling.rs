//! What other replicas are told of writes through this one, and how long a response waits for
//! that.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Shared},
};
use tokio::{
    sync::oneshot::error::RecvError,
    time::{Instant, timeout, timeout_at},
};

use super::{
    SharedTier,
    log_entry::{self, LogEntry, MAX_NAMES, Pause, WriteId},
    metrics::Released,
    outbox::Pending,
    position::Stamp,
    release::{LinkState, Receipt, Release, Told},
    rules::Strict,
};
use crate::{
    upstream::{Account, RetryAfterListener},
    vehicle::Vehicle,
    vehicle_cache::{
        self, Change, Entry, InvalidationScope, Key, Partition, Replicas, Search, Tell, Unwritten,
    },
};

/// A write that was announced, until it is over.
struct Announced {
    tier: SharedTier,
    write: WriteId,
    sent_at: Instant,
    intent: Shared<Pending>,
    /// Whether the log says that it is over, or will.
    is_over: AtomicBool,
}

/// How long a write waits for an entry to be in the log. It takes a millisecond, or something is
/// wrong.
const PATIENCE: Duration = Duration::from_millis(20);

impl Replicas for SharedTier {
    fn max_age(&self, now: Instant) -> Option<Duration> {
        self.0.rhythm.note_asked();
        (!self.0.trust().lasts(now)).then_some(self.0.config.when_lost)
    }

    fn search(&self, partition: Partition, vehicles: usize) -> Option<Box<dyn Search>> {
        self.begin_search(partition, vehicles)
    }

    fn share(&self, partition: Partition, fill: &mut dyn FnMut() -> Vec<(Vehicle, Arc<Entry>)>) {
        // Before: a write that is read of meanwhile keeps what is older from being stored.
        let stamp = self.0.known.lock().stamp();
        // And before leases end.
        let place = self.0.share_queue.place();
        let stored = fill();
        if let Some(stamp) = stamp.filter(|_| !stored.is_empty()) {
            self.share_filled(place, stamp, partition, stored);
        }
    }

    fn known(&self) -> Option<vehicle_cache::Stamp> {
        let stamp = self.0.known.lock().stamp()?;
        Some(vehicle_cache::Stamp(stamp.to_bytes()))
    }

    fn unwritten_since(&self, stamp: vehicle_cache::Stamp) -> Option<Unwritten> {
        let (tier, stamp) = (self.clone(), Stamp::from_bytes(stamp.0));
        let is_known = self.0.known.lock().reads_log_of(stamp);
        let judge = move |key: &Key<Vehicle>| {
            let known = tier.0.known.lock();
            known.allow(stamp, key.partition, &key.item)
        };
        is_known.then(|| Box::new(judge) as Unwritten)
    }

    fn announce(&self, scope: InvalidationScope) -> BoxFuture<'static, Arc<dyn Tell>> {
        let tier = self.clone();
        Box::pin(async move {
            // What stands for everything once it is done must not hold everything before.
            if log_entry::names(&scope) > MAX_NAMES {
                return Arc::new(tier) as Arc<dyn Tell>;
            }
            let (write, sent_at) = (tier.0.next_write(), Instant::now());
            let intent = tier.0.push(LogEntry::Intent(write, scope)).shared();
            // From here on it is said that it is over, also if nobody waits here any more.
            let is_over = AtomicBool::new(false);
            let announced = Announced { tier, write, sent_at, intent, is_over };
            announced.tier.receipt(announced.intent.clone()).await;
            Arc::new(announced)
        })
    }
}

impl Tell for SharedTier {
    fn tell(&self, change: Change, fence_for: Option<Duration>) -> BoxFuture<'static, ()> {
        let done = self.0.push(LogEntry::of(None, change, fence_for));
        let tier = self.clone();
        let told = Told { sent_at: Instant::now(), intent: None, done: None };
        Box::pin(async move { tier.wait_for_release(told, done).await })
    }
}

impl RetryAfterListener for SharedTier {
    fn retry_after(&self, account: Option<Account>, rest: Duration) {
        let inner = &*self.0;
        // Told later, it would be over.
        if let LinkState::Up(_) = inner.outbox.link() {
            let pause = Pause { replica: inner.replica, account, rest };
            drop(inner.push(LogEntry::Pause(pause)));
        }
    }
}

impl SharedTier {
    /// Ready when the response of a write may leave of which `told` was told so far.
    async fn wait_for_release(&self, mut told: Told, done: Pending) {
        told.done = self.receipt(done).await;
        let wait = self.0.config.write_wait;
        let Release { at, told } = told.release::<Strict>(self.0.outbox.link(), wait);
        if told.is_none() {
            self.0.metrics.unannounced.inc();
        }
        if wait.is_zero() || at <= Instant::now() {
            return self.0.metrics.released[Released::AtOnce].inc();
        }
        let acknowledged = async {
            match told {
                Some(receipt) => self.acknowledged(receipt).await,
                None => pending().await,
            }
        };
        let by = match timeout_at(at, acknowledged).await {
            Ok(()) => Released::Acknowledged,
            Err(_) => Released::Waited,
        };
        self.0.metrics.released[by].inc();
    }

    /// Waits for an entry to be in the log, as long as that makes sense.
    async fn receipt(
        &self,
        pending: impl Future<Output = Result<Receipt, RecvError>>,
    ) -> Option<Receipt> {
        match self.0.outbox.link() {
            LinkState::Up(_) => timeout(PATIENCE, pending).await.ok()?.ok(),
            // It may be there all the same.
            LinkState::Down(_) => pending.now_or_never()?.ok(),
        }
    }
}

impl Tell for Announced {
    fn tell(&self, change: Change, fence_for: Option<Duration>) -> BoxFuture<'static, ()> {
        let entry = LogEntry::of(Some(self.write), change, fence_for);
        if matches!(entry, LogEntry::Done(..)) {
            self.is_over.store(true, Ordering::Relaxed);
        }
        let done = self.tier.0.push(entry);
        let intent = self.intent.clone().now_or_never().and_then(Result::ok);
        let told = Told { sent_at: self.sent_at, intent, done: None };
        let tier = self.tier.clone();
        Box::pin(async move { tier.wait_for_release(told, done).await })
    }
}

impl Drop for Announced {
    fn drop(&mut self) {
        if !*self.is_over.get_mut() {
            let nothing = Change::Of(InvalidationScope::default());
            drop(self.tier.0.push(LogEntry::Done(Some(self.write), nothing)));
        }
    }
}
