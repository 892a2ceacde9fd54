//! What `POST /cache/purge` does.

use std::{
    collections::HashMap,
    future::{pending, ready},
    panic::resume_unwind,
    sync::Arc,
};

use tokio::task::JoinError;
use tokio_util::task::TaskTracker;

use crate::{
    admin::{self, PurgeRequest, UnknownAccount},
    auth,
    cache::{Cache, Partition, PurgeFilter},
    loader,
};

/// Accounts are known by their names there, and by their partitions in the cache.
pub(super) fn purge(
    cache: Cache<loader::Failure>,
    auth: &auth::Config,
    tasks: TaskTracker,
) -> admin::Purge {
    let partitions: HashMap<String, Partition> = auth
        .account_digests()
        .map(|(name, digest)| (name.to_owned(), Partition::new(&digest)))
        .collect();
    Arc::new(move |PurgeRequest { account, vin, plate }| {
        let partition = match account {
            Some(name) => match partitions.get(&name) {
                Some(partition) => Some(*partition),
                None => return Box::pin(ready(Err(UnknownAccount))),
            },
            None => None,
        };
        let cache = cache.clone();
        let purge = async move { cache.purge(&PurgeFilter { partition, vin, plate }).await };
        // In a task of its own, which is not given up half way when somebody hangs up.
        let purging = tasks.spawn(purge);
        Box::pin(async move {
            match purging.await.map_err(JoinError::try_into_panic) {
                Ok(purged) => Ok(purged),
                Err(Ok(panic)) => resume_unwind(panic),
                // The runtime is stopping, and everybody who waits with it.
                Err(Err(_)) => pending().await,
            }
        })
    })
}
