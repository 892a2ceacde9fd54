//! Keys grouped by the shard that each is in, so that each shard is locked once for all of them.

use super::{Contents, Mutex, key::Hashed, store::Store, table::Table};

/// Indices of keys, grouped by shard.
pub(super) struct ByShard<'a, C: Contents> {
    store: &'a Store<C>,
    indices: Vec<usize>,
    /// Where each shard's group ends in `indices`.
    ends: Vec<usize>,
}

impl<'a, C: Contents> ByShard<'a, C> {
    pub(super) fn new(store: &'a Store<C>, keys: &[Hashed<C::Item>]) -> Self {
        // Counted first, so that each index is known at once.
        let mut ends = vec![0; store.shards().count()];
        for hashed in keys {
            ends[store.shard_index(hashed.hash)] += 1;
        }
        let mut end = 0;
        for next in &mut ends {
            end += std::mem::replace(next, end);
        }
        let mut indices = vec![0; keys.len()];
        for (nth, hashed) in keys.iter().enumerate() {
            let next = &mut ends[store.shard_index(hashed.hash)];
            indices[*next] = nth;
            *next += 1;
        }
        Self { store, indices, ends }
    }

    /// Each shard with its group, unless that is empty.
    pub(super) fn groups(&self) -> impl Iterator<Item = (&Mutex<Table<C>>, &[usize])> {
        let starts = std::iter::once(&0).chain(&self.ends);
        let groups = starts
            .zip(&self.ends)
            .map(|(&start, &end)| &self.indices[start..end]);
        self.store
            .shards()
            .zip(groups)
            .filter(|(_, group)| !group.is_empty())
    }
}
