//! Large batches that are gathered at once.
//!
//! Each holds what has come for it until the rest has come, and the calls of all of them take turns: the
//! more there are, the more they hold, and the longer. So only so many vehicles of large batches are
//! gathered at once, of one client and of all. Further batches wait, and hold only what they ask for.

use std::sync::Arc;

use foldhash::HashMap;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::upstream::ClientId;

/// Those that are gathered.
#[derive(Debug)]
pub(super) struct LargeBatches {
    all: Arc<Semaphore>,
    /// Of clients that have some.
    of_clients: Mutex<HashMap<Option<ClientId>, Arc<Semaphore>>>,
}

/// A batch that is gathered, until it is dropped.
#[must_use = "it counts as long as it is held"]
#[derive(Debug)]
pub(super) struct Gathered {
    _of_client: OwnedSemaphorePermit,
    _of_all: OwnedSemaphorePermit,
}

/// Vehicles of a batch that waits for no other: what one call carries. Whoever asks for few does not wait
/// for those who ask for much.
const SMALL: usize = 500;

/// Vehicles of one client, ten of the largest batches by default: with elements as Sync sends them,
/// some 150 MB.
const OF_CLIENT: usize = 100_000;

/// Vehicles of all clients.
const ALL: usize = 4 * OF_CLIENT;

impl LargeBatches {
    /// Waits until so many vehicles more of this client may be gathered. `None`: that is no large
    /// batch.
    pub(super) async fn enter(
        &self,
        client: Option<ClientId>,
        vehicles: usize,
    ) -> Option<Gathered> {
        if vehicles <= SMALL {
            return None;
        }
        let of_client = self.of_client(client);
        let permits = u32::try_from(vehicles.min(OF_CLIENT)).ok()?;
        // First its own, so that who waits for those keeps no other client waiting.
        let of_client = of_client.acquire_many_owned(permits).await.ok()?;
        let of_all = Arc::clone(&self.all);
        let of_all = of_all.acquire_many_owned(permits).await.ok()?;
        Some(Gathered { _of_client: of_client, _of_all: of_all })
    }

    fn of_client(&self, client: Option<ClientId>) -> Arc<Semaphore> {
        let mut of_clients = self.of_clients.lock();
        // Whoever is gathered or waits has a handle of its own.
        of_clients.retain(|_, permits| Arc::strong_count(permits) > 1);
        let permits = of_clients
            .entry(client)
            .or_insert_with(|| Arc::new(Semaphore::new(OF_CLIENT)));
        Arc::clone(permits)
    }
}

impl Default for LargeBatches {
    fn default() -> Self {
        Self { all: Arc::new(Semaphore::new(ALL)), of_clients: Mutex::default() }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn a_client_has_so_many_and_so_have_all() {
        let batches = LargeBatches::default();
        let client = |id| Some(ClientId(id));
        let enter = |id, vehicles| batches.enter(client(id), vehicles).now_or_never();
        let mut held = Vec::new();
        for id in 0..4 {
            for _ in 0..10 {
                held.push(enter(id, 10_000).expect("there is room"));
            }
            assert!(enter(id, 501).is_none(), "it waits");
            assert!(
                enter(id, 500)
                    .expect("what is small does not wait")
                    .is_none()
            );
        }
        assert!(enter(4, 10_000).is_none(), "all have what they may have");
        drop(held.pop());
        assert!(enter(4, 10_000).is_some());
        drop(held);
        assert!(enter(4, usize::MAX).is_some(), "one is never too large");
        assert_eq!(batches.of_clients.lock().len(), 1, "the others have none");
    }

    #[tokio::test]
    async fn who_has_waited_is_next() {
        let batches = LargeBatches::default();
        let first = batches.enter(None, OF_CLIENT).await;
        let mut second = Box::pin(batches.enter(None, OF_CLIENT));
        let mut third = Box::pin(batches.enter(None, 501));
        assert!(futures_util::poll!(&mut second).is_pending());
        assert!(futures_util::poll!(&mut third).is_pending());
        drop(first);
        assert!(futures_util::poll!(&mut third).is_pending());
        assert!(futures_util::poll!(&mut second).is_ready());
        assert!(futures_util::poll!(&mut third).is_ready(), "it was dropped at once");
    }
}
