//! What a write takes away.
//!
//! A write drops entries, and takes calls under way out of the table. A call that was sent before
//! the write's response came can then not store what it brings, and nobody who comes later joins
//! it; those who wait for it already asked before the write had its response, and get what the
//! call brings. No clock and no counter per item is needed for that.

use std::{collections::HashSet, future::ready, time::Duration};

use foldhash::fast::RandomState;
use futures_util::future::BoxFuture;
use tokio::time::Instant;

use super::{Cache, Contents, Partition, Scope, table::Table};

/// Tags of one write that are looked for one by one: those of twice as many vehicles as Sync takes
/// in a batch. Each is looked for in every shard, so a list as long as a body can be would keep a
/// thread for a long time. For a write that has more, every slot is looked at once instead.
pub(crate) const FEW_TAGS: usize = 1000;

/// Keeps what a scope covers from being joined and stored, until it is dropped.
#[must_use = "dropped at once, nothing is held"]
pub struct Hold<C: Contents> {
    cache: Cache<C>,
    subjects: Vec<u64>,
    /// Whether some of the scope found no room.
    is_of_all: bool,
}

impl<C: Contents> Cache<C> {
    /// Drops what `scope` covers, and keeps it from being joined and stored until the hold is
    /// dropped.
    pub fn hold(&self, scope: &Scope<C::Tag>) -> Hold<C> {
        // Before the tables are locked: see where leases are given out.
        let (subjects, is_of_all) = self.0.holds.add(scope);
        self.0.changed.note(scope);
        if let Some(partition) = scope.partition {
            self.0.advance_epoch(partition);
        }
        self.remove_each(&scope.tags);
        Hold { cache: self.clone(), subjects, is_of_all }
    }

    /// Drops what `scope` covers. Nothing of it is served any more when the future is ready;
    /// whoever cannot wait for that has to have the future run all the same.
    ///
    /// `fence_for`: the outcome of the write is unknown, so nothing of what it may have changed
    /// is stored for this long. The fence stands as soon as this returns.
    pub fn remove(
        &self,
        scope: Scope<C::Tag>,
        fence_for: Option<Duration>,
    ) -> BoxFuture<'static, ()> {
        self.0.changed.note(&scope);
        if let Some(fence_for) = fence_for {
            // Before the tables are locked: see where leases are given out.
            let now = Instant::now();
            self.0.fence.add(&scope, now, now + fence_for);
        }
        if let Some(partition) = scope.partition {
            self.0.advance_epoch(partition);
        }
        if scope.tags.len() <= FEW_TAGS {
            self.remove_each(&scope.tags);
            return Box::pin(ready(()));
        }
        let cache = self.clone();
        Box::pin(async move { cache.remove_many(scope.tags).await })
    }

    /// Drops every entry of a partition, or of all, that has these tags, and gives their number.
    /// Like a write, it also keeps calls that were sent before it was over from storing what they
    /// bring. Dropped before its end, it has done a part of that.
    pub async fn purge(&self, partition: Option<Partition>, tags: &[C::Tag]) -> u64 {
        match partition {
            None if tags.is_empty() => self.0.changed.note_all(),
            // Too much, and never wrong.
            _ => self
                .0
                .changed
                .note(&Scope { tags: tags.to_vec(), partition }),
        }
        match tags {
            [] => self.purge_whole(partition).await,
            [first, others @ ..] => self.purge_tagged(partition, first, others),
        }
    }

    /// Drops a partition, or all. What is asked for behind the walk while that goes on may be
    /// stored there, and counts as dropped at the end, when it is left to the sweep.
    async fn purge_whole(&self, partition: Option<Partition>) -> u64 {
        let mut purged = 0;
        let purge = |table: &mut Table<C>, id| {
            let is_of = |wanted| wanted == table.slot(id).key().partition;
            let has_entry = partition.is_none_or(is_of) && self.drop_slot(table, id);
            purged += u64::from(has_entry);
            has_entry
        };
        self.visit_slots(purge).await;
        match partition {
            Some(partition) => self.0.advance_epoch(partition),
            None => self.0.advance_epochs(),
        }
        purged
    }

    fn purge_tagged(&self, partition: Option<Partition>, first: &C::Tag, others: &[C::Tag]) -> u64 {
        let mut purged = 0;
        for shard in self.0.shards() {
            let table = &mut *shard.lock();
            for id in table.tagged(first) {
                let key = table.slot(id).key();
                let tags = C::tags(&key.item);
                let matches = partition.is_none_or(|wanted| wanted == key.partition)
                    && others.iter().all(|tag| tags.contains(tag));
                purged += u64::from(matches && self.drop_slot(table, id));
            }
        }
        self.0.catch_up();
        purged
    }

    /// Drops everything at once. What is in flight is neither joined any more nor stored.
    pub fn forget(&self) {
        self.0.changed.note_all();
        self.0.advance_epochs();
    }

    fn remove_each(&self, tags: &[C::Tag]) {
        if tags.is_empty() {
            return;
        }
        for shard in self.0.shards() {
            let table = &mut *shard.lock();
            for tag in tags {
                for id in table.tagged(tag) {
                    self.drop_slot(table, id);
                }
            }
        }
    }

    /// [`Cache::remove_each`] in the time that all slots take, whatever the number of tags. What
    /// comes into a slot behind the walk was asked for after the write was over.
    async fn remove_many(&self, tags: Vec<C::Tag>) {
        let tags: HashSet<_, RandomState> = tags.into_iter().collect();
        self.visit_slots(|table, id| {
            let has_one = C::tags(&table.slot(id).key().item)
                .iter()
                .any(|tag| tags.contains(tag));
            has_one && self.drop_slot(table, id)
        })
        .await;
    }

    /// Drops what is held in a slot and takes out what is in flight. Gives whether something was
    /// held.
    fn drop_slot(&self, table: &mut Table<C>, id: u32) -> bool {
        let has_entry = self.0.remove(table, id);
        table.slot_mut(id).in_flight = None;
        table.vacate(id);
        has_entry
    }
}

impl<C: Contents> Drop for Hold<C> {
    fn drop(&mut self) {
        self.cache.0.holds.remove(&self.subjects, self.is_of_all);
    }
}
