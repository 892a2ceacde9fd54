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

/// Bytes after which others have their turn: a few milliseconds.
const AT_ONCE: usize = 64 * 1024;

impl Compressor {
    /// Compresses these soon. Runs inside a tokio runtime.
    pub(super) fn push(
        self: &Arc<Self>,
        cache: &VehicleCache<Failure>,
        entries: impl Iterator<Item = Arc<Entry>>,
    ) {
        let entries: Vec<_> = entries.collect();
        if entries.is_empty() {
            return;
        }
        let mut queue = self.0.lock();
        let room = MOST.saturating_sub(queue.entries.len());
        queue.entries.extend(entries.into_iter().take(room));
        if !std::mem::replace(&mut queue.is_worked_off, true) {
            drop(tokio::spawn(Arc::clone(self).work_off(cache.clone())));
        }
    }

    async fn work_off(self: Arc<Self>, cache: VehicleCache<Failure>) {
        loop {
            let entries = self.0.lock().next();
            if entries.is_empty() {
                return;
            }
            let compress = || entries.iter().for_each(|entry| cache.compress(entry));
            long_work::run(true, compress).await;
        }
    }
}

impl Queue {
    /// What is compressed next; nothing: the queue is not worked off any more.
    fn next(&mut self) -> Vec<Arc<Entry>> {
        let (mut next, mut bytes) = (Vec::new(), 0);
        while bytes < AT_ONCE
            && let Some(entry) = self.entries.pop_front()
        {
            bytes += entry.bytes().len();
            next.push(entry);
        }
        self.is_worked_off = !next.is_empty();
        next
    }
}
