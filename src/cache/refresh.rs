//! Fetching again what is held, before its time is over.

use std::sync::Arc;

use tokio::time::Instant;

use super::{Cache, Contents, Entry, Leases, Partition, key::Hashed, lookup::FlightBuilder};

impl<C: Contents> Cache<C> {
    /// What is held in `partition` under the [hash](Entry::hash) of an entry, whatever its age.
    /// Counts as no hit.
    pub fn find_held(&self, partition: Partition, hash: u64) -> Option<Arc<Entry<C::Value>>> {
        let epoch = self.0.epoch(partition);
        let table = self.0.shard(hash).lock();
        let entry = table
            .slot(table.find_held(partition, hash)?)
            .entry
            .as_ref()?;
        (entry.epoch == epoch).then(|| Arc::clone(entry))
    }

    /// Gives out leases for those of `entries` that are held yet and that nobody fetches.
    pub fn refresh(
        &self,
        partition: Partition,
        entries: &[Arc<Entry<C::Value>>],
        now: Instant,
    ) -> Leases<C> {
        let (store, epoch) = (&*self.0, self.0.epoch(partition));
        let mut flight = FlightBuilder::new(epoch, false);
        for entry in entries.iter().filter(|entry| entry.epoch == epoch) {
            let table = &mut *store.shard(entry.key_hash).lock();
            let Some(id) = table.find_entry(entry) else { continue };
            let slot = table.slot(id);
            if slot.in_flight.is_none() {
                let hashed = Hashed { key: *slot.key(), hash: entry.key_hash };
                flight.lead(store, table, hashed, true, now);
            }
        }
        Leases::new(self.clone(), flight.leases)
    }
}
