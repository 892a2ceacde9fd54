//! Keeps on the server what this replica has fetched, for the others.

use std::{sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    SharedTier,
    link::{Link, LinkError, RETRY_AFTER},
    metrics::Fill,
    position::Stamp,
    reported::Reported,
    share_queue::Filled,
    value_codec::MAX_ELEMENT,
};
use crate::{
    vehicle::Vehicle,
    vehicle_cache::{Entry, Partition},
};

/// What is logged when the server does not take them.
const NOT_KEPT: &str = "shared tier does not keep vehicles";

/// Values that are sent at once.
const BATCH: usize = 256;

impl SharedTier {
    /// Lets others have what a call has brought, unless too much waits.
    pub(super) fn share_filled(
        &self,
        stamp: Stamp,
        partition: Partition,
        mut entries: Vec<(Vehicle, Arc<Entry>)>,
    ) {
        entries.retain(|(_, entry)| entry.bytes().len() <= MAX_ELEMENT);
        let count = entries.len();
        if !self.0.share_queue.push(stamp, partition, entries) {
            self.0.metrics.filled(Fill::Dropped, count);
        }
    }

    /// Sends what waits, for as long as it is polled. What cannot be sent is not kept.
    pub(super) async fn keep_sharing(self) {
        let Some(mut filled) = self.0.share_queue.receiver() else {
            return;
        };
        let mut reported = Reported::default();
        let (mut link, mut dial_at) = (None, Instant::now());
        while let Some(filled) = filled.recv().await {
            for entries in filled.entries.chunks(BATCH) {
                if link.is_none() && Instant::now() >= dial_at {
                    dial_at = Instant::now() + RETRY_AFTER;
                    match self.0.endpoint.dial().await {
                        Ok(dialled) => link = Some(dialled),
                        Err(error) => reported.trouble(NOT_KEPT, &error, Instant::now()),
                    }
                }
                let sent = match &link {
                    Some(link) => self.send(link, &filled, entries).await,
                    None => {
                        self.0.metrics.filled(Fill::Failed, entries.len());
                        continue;
                    }
                };
                if let Err(error) = sent {
                    self.0.metrics.filled(Fill::Failed, entries.len());
                    reported.trouble(NOT_KEPT, &error, Instant::now());
                    link = None;
                }
            }
        }
    }

    async fn send(
        &self,
        link: &Link,
        filled: &Filled,
        entries: &[(Vehicle, Arc<Entry>)],
    ) -> Result<(), LinkError> {
        let (codec, now) = (self.0.values.of(filled.partition), Instant::now());
        let values = entries.iter().filter_map(|(vehicle, entry)| {
            let life = entry.fresh_until().saturating_duration_since(now);
            let fetched_at = self.0.clock.lock().at(entry.filled_at().instant)?;
            let name = codec.name(vehicle);
            let value = codec.seal(&name, filled.stamp, fetched_at, entry);
            (life >= Duration::from_millis(1)).then_some((name, value, life))
        });
        let values: Vec<_> = values.collect();
        if values.is_empty() {
            return Ok(());
        }
        let kept = link.keep(values.into_iter()).await?;
        let failed = kept.iter().filter(|kept| kept.is_err()).count();
        self.0.metrics.filled(Fill::Stored, kept.len() - failed);
        self.0.metrics.filled(Fill::Failed, failed);
        Ok(())
    }
}
