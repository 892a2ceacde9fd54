//! What is to be kept on the server, and leases that end there, in order. Nobody waits for that.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use super::position::Stamp;
use crate::{
    vehicle::Vehicle,
    vehicle_cache::{Entry, Partition},
};

/// The queue, of so many bytes at most: a handle, cheap to clone.
#[derive(Clone)]
pub(super) struct ShareQueue {
    sender: mpsc::UnboundedSender<Queued>,
    receiver: Arc<Mutex<Option<mpsc::UnboundedReceiver<Queued>>>>,
    /// Bytes that may still wait.
    room: Arc<Semaphore>,
}

/// What waits.
pub(super) enum Queued {
    /// What comes of a call soon, if anything is to be kept of that.
    Filled(oneshot::Receiver<Filled>),
    /// The lease ends on what is kept under this name.
    Ended(Vec<u8>),
}

/// A place in the queue.
pub(super) struct Place {
    sender: oneshot::Sender<Filled>,
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
        Self { sender, receiver: Arc::new(Mutex::new(Some(receiver))), room }
    }

    /// A place for what a call brings, before whatever ends from now on.
    pub(super) fn place(&self) -> Place {
        let (sender, receiver) = oneshot::channel();
        let _ = self.sender.send(Queued::Filled(receiver));
        Place { sender, room: Arc::clone(&self.room) }
    }

    /// The lease ends on what is kept under `name`.
    pub(super) fn end(&self, name: Vec<u8>) {
        let _ = self.sender.send(Queued::Ended(name));
    }

    /// Where it comes out; `None`: somebody has that already.
    pub(super) fn receiver(&self) -> Option<mpsc::UnboundedReceiver<Queued>> {
        self.receiver.lock().take()
    }

    /// Waits until nothing waits that a call has brought.
    pub(super) async fn emptied(&self) {
        let _ = self.room.acquire_many(ROOM as u32).await;
    }
}

impl Place {
    /// Lets the entries of a partition wait here. Gives whether there is room for that.
    pub(super) fn put(
        self,
        stamp: Stamp,
        partition: Partition,
        entries: Vec<(Vehicle, Arc<Entry>)>,
    ) -> bool {
        let weigh = |(_, entry): &(_, Arc<Entry>)| OVERHEAD + entry.bytes().len();
        let weight: usize = entries.iter().map(weigh).sum();
        let weight = u32::try_from(weight).unwrap_or(u32::MAX);
        let room = self.room.try_acquire_many_owned(weight);
        let filled = room.map(|room| Filled { stamp, partition, entries, _room: room });
        filled.is_ok_and(|filled| self.sender.send(filled).is_ok())
    }
}
