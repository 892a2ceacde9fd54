//! Going through all that is held, a little at a time.
//!
//! A partition is dropped by making its entries unusable, which takes no longer for many than
//! for one. They are still counted and in the way of others until they are swept out, which
//! nobody has to wait for.

use std::{convert::Infallible, time::Duration};

use tokio::{task::yield_now, time::sleep};

use super::{Cache, Contents, Mutex, table::Table};

/// Between two sweeps, so that partitions that are dropped all the time do not keep a thread
/// busy.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// Slots that are looked at under one lock, before others have their turn: some tens of
/// microseconds.
const SLICE: usize = 2048;

/// So many slots are looked at in the time that dropping an entry takes, most of it in the
/// eviction policy.
const DROP: usize = 64;

impl<C: Contents> Cache<C> {
    /// Sweeps out what partitions held when they were dropped, for as long as it is polled: it
    /// is out of the counts and out of memory a second or two after the drop.
    pub async fn keep_swept(self) -> Infallible {
        loop {
            self.0.has_dropped.notified().await;
            self.sweep().await;
            sleep(SWEEP_EVERY).await;
        }
    }

    /// Drops every entry whose partition was dropped since it was filled.
    pub(crate) async fn sweep(&self) {
        let store = &self.0;
        self.visit_slots(|table, id| {
            let slot = table.slot(id);
            let epoch = store.epoch(slot.key().partition);
            if slot.entry.as_ref().is_none_or(|entry| entry.epoch == epoch) {
                return false;
            }
            // What is in flight may have been asked for since.
            store.remove(table, id);
            table.vacate(id);
            true
        })
        .await;
    }

    /// Shows every slot that is used to `visit`, which may drop it, and gives whether it has
    /// dropped an entry. What comes while this goes on is shown or not.
    pub(super) async fn visit_slots(&self, mut visit: impl FnMut(&mut Table<C>, u32) -> bool) {
        for shard in self.0.shards() {
            let mut next = Some(0);
            while let Some(from) = next {
                next = visit_slice(shard, from, &mut visit);
                self.0.catch_up();
                yield_now().await;
            }
        }
    }
}

/// Shows slots from number `from` on, and gives the number of the first that has to wait.
fn visit_slice<C: Contents>(
    shard: &Mutex<Table<C>>,
    from: u32,
    visit: &mut impl FnMut(&mut Table<C>, u32) -> bool,
) -> Option<u32> {
    let table = &mut *shard.lock();
    let (mut next, mut work) = (from, 0);
    while next < table.end() {
        if work >= SLICE {
            return Some(next);
        }
        let is_used = table.slot(next).is_used();
        work += if is_used && visit(table, next) { DROP } else { 1 };
        next += 1;
    }
    None
}
