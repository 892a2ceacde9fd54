//! Keeps on the server what this replica has fetched, for the others.

use std::{mem, sync::Arc, time::Duration};

use tokio::time::Instant;

use super::{
    SharedTier,
    lease_commands::lease_on,
    link::{Link, LinkError, RETRY_AFTER},
    metrics::Fill,
    position::Stamp,
    reported::Reported,
    share_queue::{Filled, Place, Queued},
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

/// Where it is sent over.
#[derive(Default)]
struct Sending {
    link: Option<Link>,
    dialled_at: Option<Instant>,
    reported: Reported,
}

impl SharedTier {
    /// Lets others have what a call has brought, unless too much waits.
    pub(super) fn share_filled(
        &self,
        place: Place,
        stamp: Stamp,
        partition: Partition,
        mut entries: Vec<(Vehicle, Arc<Entry>)>,
    ) {
        entries.retain(|(_, entry)| entry.bytes().len() <= MAX_ELEMENT);
        let count = entries.len();
        if !place.put(stamp, partition, entries) {
            self.0.metrics.fills[Fill::Dropped].inc_by(count as u64);
        }
    }

    /// Sends what waits, for as long as it is polled. What cannot be sent is not kept.
    pub(super) async fn keep_sharing(self) {
        let Some(mut receiver) = self.0.share_queue.receiver() else {
            return;
        };
        let mut sending = Sending::default();
        let mut queued = Vec::new();
        while receiver.recv_many(&mut queued, BATCH).await > 0 {
            let mut ended = Vec::new();
            for queued in queued.drain(..) {
                match queued {
                    Queued::Ended(name) => ended.push(lease_on(&name)),
                    Queued::Filled(filled) => {
                        self.end(&mut sending, mem::take(&mut ended)).await;
                        if let Ok(filled) = filled.await {
                            self.send_all(&mut sending, &filled).await;
                        }
                    }
                }
            }
            self.end(&mut sending, ended).await;
        }
    }

    async fn send_all(&self, sending: &mut Sending, filled: &Filled) {
        for entries in filled.entries.chunks(BATCH) {
            let mut is_sent = false;
            // The server may have begun anew since the last time.
            for _ in 0..2 {
                let Some(link) = sending.link(self).await else {
                    break;
                };
                let sent = self.send(link, filled, entries).await;
                is_sent = sending.note(sent).is_some();
                if is_sent {
                    break;
                }
            }
            if !is_sent {
                self.0.metrics.fills[Fill::Failed].inc_by(entries.len() as u64);
            }
        }
    }

    /// Ends `leases`. Where that cannot be said, they end by themselves.
    async fn end(&self, sending: &mut Sending, leases: Vec<Vec<u8>>) {
        if leases.is_empty() {
            return;
        }
        if let Some(link) = sending.link(self).await {
            let released = link.release(&leases).await;
            if let Some(Err(refused)) = sending.note(released) {
                let what = "shared tier does not let go of leases";
                sending.reported.trouble(what, &refused, Instant::now());
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
        self.0.metrics.fills[Fill::Stored].inc_by((kept.len() - failed) as u64);
        self.0.metrics.fills[Fill::Failed].inc_by(failed as u64);
        Ok(())
    }
}

impl Sending {
    /// The connection, which is dialled if there is none and was not just tried.
    async fn link(&mut self, tier: &SharedTier) -> Option<&Link> {
        let now = Instant::now();
        let may_dial = |at: Instant| now >= at + RETRY_AFTER;
        if self.link.is_none() && self.dialled_at.is_none_or(may_dial) {
            self.dialled_at = Some(now);
            let dialled = tier.0.endpoint.dial().await;
            self.link = self.note(dialled);
        }
        self.link.as_ref()
    }

    /// What was asked for; `None`: the connection is lost.
    fn note<T>(&mut self, asked: Result<T, LinkError>) -> Option<T> {
        match asked {
            Ok(asked) => Some(asked),
            Err(error) => {
                self.reported.trouble(NOT_KEPT, &error, Instant::now());
                self.link = None;
                None
            }
        }
    }
}
