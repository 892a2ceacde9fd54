//! What other replicas have fetched, found on the server.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use super::{SharedTier, metrics::Lookup, readers::Lines};
use crate::{
    vehicle::Vehicle,
    vehicle_cache::{Found, Partition},
};

/// Vehicles that are asked for at once.
const PIECE: usize = 500;

/// Pieces of one request that are asked for at once: a small request waits for no more of them.
const AT_ONCE: usize = 2;

/// For each further piece one waits for so much longer.
const MORE_FOR_A_PIECE: Duration = Duration::from_millis(2);

impl SharedTier {
    /// What others have of `vehicles`, one for each; `None`: nobody can be asked, or could be
    /// believed.
    pub(super) fn find_all(
        &self,
        partition: Partition,
        vehicles: Vec<Vehicle>,
    ) -> Option<BoxFuture<'static, Vec<Option<Found>>>> {
        let inner = &self.0;
        let is_trusting = inner.trust().lasts(Instant::now());
        let Some(lines) = inner.readers.lines().filter(|_| is_trusting) else {
            inner.metrics.looked_up(Lookup::Skipped, vehicles.len());
            return None;
        };
        let tier = self.clone();
        Some(Box::pin(async move { tier.ask(lines, partition, &vehicles).await }))
    }

    async fn ask(
        &self,
        lines: Arc<Lines>,
        partition: Partition,
        vehicles: &[Vehicle],
    ) -> Vec<Option<Found>> {
        let inner = &self.0;
        let began_at = Instant::now();
        let number = lines.quieter();
        let pieces = vehicles.chunks(PIECE);
        let further = u32::try_from(pieces.len().saturating_sub(1)).unwrap_or(u32::MAX);
        let deadline = began_at + inner.config.timeout + MORE_FOR_A_PIECE * further;
        let mut unasked =
            pieces.map(|piece| self.ask_for(&lines, number, partition, piece.to_vec()));
        let mut asked: VecDeque<_> = unasked.by_ref().take(AT_ONCE).collect();
        let mut found = Vec::with_capacity(vehicles.len());
        let mut is_in_time = true;
        while let Some(piece) = asked.pop_front() {
            match timeout_at(deadline, piece).await {
                Ok(Ok(piece)) => found.extend(piece),
                // The connection is lost, or nothing came over it. The others would be late, too.
                missed => {
                    is_in_time = missed.is_ok();
                    break;
                }
            }
            asked.extend(unasked.next());
        }
        inner
            .metrics
            .looked_up(Lookup::Late, vehicles.len() - found.len());
        found.resize_with(vehicles.len(), || None);
        inner.readers.note(&lines, is_in_time);
        inner
            .metrics
            .seconds
            .observe(began_at.elapsed().as_secs_f64());
        found
    }

    /// Asks for a piece, in a task of its own: what comes late has to be read all the same.
    fn ask_for(
        &self,
        lines: &Arc<Lines>,
        number: usize,
        partition: Partition,
        vehicles: Vec<Vehicle>,
    ) -> oneshot::Receiver<Vec<Option<Found>>> {
        let (sender, receiver) = oneshot::channel();
        let (tier, lines) = (self.clone(), Arc::clone(lines));
        tokio::spawn(async move {
            let codec = tier.0.values.of(partition);
            let names: Vec<_> = vehicles.iter().map(|vehicle| codec.name(vehicle)).collect();
            let Ok(values) = lines.line(number).values(&names).await else {
                tier.0.readers.give_up(&lines);
                return;
            };
            // Nobody waits any more.
            if sender.is_closed() {
                return;
            }
            let opened = vehicles.iter().zip(names).zip(values);
            let found = opened.map(|((vehicle, name), sealed)| {
                let outcome = match sealed.map(|sealed| codec.open(&name, sealed)) {
                    None => Err(Lookup::Absent),
                    Some(None) => Err(Lookup::Unreadable),
                    Some(Some((stamp, record))) => {
                        let age = tier.0.age(record.fetched_at);
                        let is_allowed = tier.0.known.lock().allow(stamp, partition, vehicle);
                        let age = age.filter(|_| is_allowed).ok_or(Lookup::Rejected);
                        age.map(|age| Found { record, age })
                    }
                };
                let counted = outcome
                    .as_ref()
                    .map_or_else(|other| *other, |_| Lookup::Hit);
                tier.0.metrics.looked_up(counted, 1);
                outcome.ok()
            });
            let _ = sender.send(found.collect());
        });
        receiver
    }
}
