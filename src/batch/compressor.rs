//! Elements that clients want compressed, compressed behind their responses.

use std::{collections::VecDeque, sync::Arc};

use parking_lot::Mutex;

use crate::{
    loader::Failure,
    long_work,
    vehicle_cache::{Entry, VehicleCache},
};

/// A queue, and the task that works it off.
#[derive(Debug, Default)]
pub(super) struct Compressor(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    entries: VecDeque<Arc<Entry>>,
    is_worked_off: bool,
}

/// Entries that wait at most: those of a large batch. What is more is compressed when it was
/// fetched anew.
const MOST: usize = 10_000;

/// Entries that are compressed in one go, in some milliseconds.
const AT_ONCE: usize = 64;

impl Compressor {
    /// Compresses these soon. Runs inside a tokio runtime.
    pub(super) fn push(
        self: &Arc<Self>,
        cache: &VehicleCache<Failure>,
        entries: impl Iterator<Item = Arc<Entry>>,
    ) {
        let mut queue = self.0.lock();
        let room = MOST.saturating_sub(queue.entries.len());
        queue.entries.extend(entries.take(room));
        if !queue.entries.is_empty() && !std::mem::replace(&mut queue.is_worked_off, true) {
            drop(tokio::spawn(Arc::clone(self).work_off(cache.clone())));
        }
    }

    async fn work_off(self: Arc<Self>, cache: VehicleCache<Failure>) {
        loop {
            let entries: Vec<_> = {
                let mut queue = self.0.lock();
                let count = queue.entries.len().min(AT_ONCE);
                queue.is_worked_off = count > 0;
                queue.entries.drain(..count).collect()
            };
            if entries.is_empty() {
                return;
            }
            let compress = || entries.iter().for_each(|entry| cache.compress(entry));
            long_work::run(true, compress).await;
        }
    }
}
