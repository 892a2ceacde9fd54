//! What other replicas have fetched, found on the server.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use super::{
    SharedTier,
    metrics::Lookup,
    readers::{Lines, PIECE},
    value_codec::PartitionCodec,
};
use crate::{
    vehicle::Vehicle,
    vehicle_cache::{Found, Partition},
};

/// What is asked of the server on behalf of one request.
pub(super) struct Asking {
    pub(super) tier: SharedTier,
    pub(super) partition: Partition,
    pub(super) lines: Arc<Lines>,
    /// The number of the connection that it is asked over.
    pub(super) number: usize,
    /// What comes later is not waited for.
    pub(super) deadline: Instant,
}

/// Pieces of one request that are asked for at once: a small request waits for no more of them.
const AT_ONCE: usize = 2;

/// For each further piece one waits for so much longer.
const MORE_FOR_A_PIECE: Duration = Duration::from_millis(2);

impl Asking {
    /// What others have of `vehicles`, one for each, as far as that comes in time.
    pub(super) async fn find(&mut self, vehicles: &[Vehicle]) -> Vec<Option<Found>> {
        let further = vehicles.len().div_ceil(PIECE).saturating_sub(1);
        self.allow(further);
        let began_at = Instant::now();
        let pieces = vehicles.chunks(PIECE);
        let pieces = pieces.map(|piece| self.find_piece(piece.to_vec()));
        let mut found = self.in_time(pieces).await;
        let metrics = &self.tier.0.metrics;
        metrics.lookups[Lookup::Late].inc_by((vehicles.len() - found.len()) as u64);
        metrics.seconds.observe(began_at.elapsed().as_secs_f64());
        found.resize_with(vehicles.len(), || None);
        found
    }

    /// Waits for so many pieces more.
    pub(super) fn allow(&mut self, pieces: usize) {
        self.deadline += MORE_FOR_A_PIECE * u32::try_from(pieces).unwrap_or(u32::MAX);
    }

    /// What comes of `pieces` in time, from the first on; each is asked for when it is its turn.
    pub(super) async fn in_time<T>(
        &self,
        mut pieces: impl Iterator<Item = oneshot::Receiver<Vec<T>>>,
    ) -> Vec<T> {
        let mut asked: VecDeque<_> = pieces.by_ref().take(AT_ONCE).collect();
        let (mut all, mut is_in_time) = (Vec::new(), true);
        while let Some(piece) = asked.pop_front() {
            match timeout_at(self.deadline, piece).await {
                Ok(Ok(piece)) => all.extend(piece),
                // The connection is lost, or nothing came over it. The others would be late, too.
                missed => {
                    is_in_time = missed.is_ok();
                    break;
                }
            }
            asked.extend(pieces.next());
        }
        self.tier.0.readers.note(&self.lines, is_in_time);
        all
    }

    /// Asks for a piece, in a task of its own: what comes late has to be read all the same.
    fn find_piece(&self, vehicles: Vec<Vehicle>) -> oneshot::Receiver<Vec<Option<Found>>> {
        let (sender, receiver) = oneshot::channel();
        let (tier, lines) = (self.tier.clone(), Arc::clone(&self.lines));
        let (partition, number) = (self.partition, self.number);
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
                let found = tier.open(&codec, partition, vehicle, &name, sealed);
                let outcome = found.as_ref().err().copied();
                tier.0.metrics.lookups[outcome.unwrap_or(Lookup::Hit)].inc();
                found.ok()
            });
            let _ = sender.send(found.collect());
        });
        receiver
    }
}

impl SharedTier {
    /// What the value under `name` says of a vehicle, or why there is none that is good.
    pub(super) fn open(
        &self,
        codec: &PartitionCodec<'_>,
        partition: Partition,
        vehicle: &Vehicle,
        name: &[u8],
        sealed: Option<Vec<u8>>,
    ) -> Result<Found, Lookup> {
        let sealed = sealed.ok_or(Lookup::Absent)?;
        let (stamp, record) = codec.open(name, sealed).ok_or(Lookup::Unreadable)?;
        let age = self.0.age(record.fetched_at);
        let is_allowed = self.0.known.lock().allow(stamp, partition, vehicle);
        let age = age.filter(|_| is_allowed).ok_or(Lookup::Rejected)?;
        Ok(Found { record, age })
    }
}
