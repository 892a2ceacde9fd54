//! Another form of what is held, in its place.

use std::sync::Arc;

use super::{Cache, Contents, Entry};

impl<C: Contents> Cache<C> {
    /// Puts `value`, which says the same, in the place of `entry`, if that is held yet.
    pub fn replace(&self, entry: &Arc<Entry<C::Value>>, value: C::Value) {
        let store = &*self.0;
        {
            let table = &mut *store.shard(entry.key_hash).lock();
            let Some(id) = table.find_entry(entry) else { return };
            store.store(table, id, &Arc::new(entry.with(value)));
        }
        store.settle();
    }
}
