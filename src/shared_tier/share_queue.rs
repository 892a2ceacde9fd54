//! What was fetched and is to be kept on the server. Nobody waits for that.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::position::Stamp;
use crate::{
    vehicle::Vehicle,
    vehicle_cache::{Entry, Partition},
};

/// The queue, of so many bytes at most.
pub(super) struct ShareQueue {
    sender: mpsc::UnboundedSender<Filled>,
    receiver: Mutex<Option<mpsc::UnboundedReceiver<Filled>>>,
    /// Bytes that may still wait.
    room: Arc<Semaphore>,
}

/// What one call has brought.
pub(super) struct Filled {
    pub(super) stamp: Stamp,
    pub(super) partition: Partition,
    pub(super) entries: Vec<(Vehicle, Arc<Entry>)>,
    _room: OwnedSemaphorePermit,
}

/// Bytes that may wait.
const ROOM: usize = 64 * 1024 * 1024;

/// What an entry takes beside its bytes while it waits.
const OVERHEAD: usize = 256;

impl ShareQueue {
    pub(super) fn new() -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let room = Arc::new(Semaphore::new(ROOM));
        Self { sender, receiver: Mutex::new(Some(receiver)), room }
    }

    /// Lets the entries of a partition wait. Gives whether there is room for that.
    pub(super) fn push(
        &self,
        stamp: Stamp,
        partition: Partition,
        entries: Vec<(Vehicle, Arc<Entry>)>,
    ) -> bool {
        let weigh = |(_, entry): &(_, Arc<Entry>)| OVERHEAD + entry.bytes().len();
        let weight: usize = entries.iter().map(weigh).sum();
        let weight = u32::try_from(weight).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room).try_acquire_many_owned(weight);
        let filled = room.map(|room| Filled { stamp, partition, entries, _room: room });
        filled.is_ok_and(|filled| self.sender.send(filled).is_ok())
    }

    /// Where it comes out; `None`: somebody has that already.
    pub(super) fn receiver(&self) -> Option<mpsc::UnboundedReceiver<Filled>> {
        self.receiver.lock().take()
    }

    /// Waits until nothing waits.
    pub(super) async fn emptied(&self) {
        let _ = self.room.acquire_many(ROOM as u32).await;
    }
}
