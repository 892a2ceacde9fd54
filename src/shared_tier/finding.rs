//! What other replicas have fetched, found on the server.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use tokio::{
    sync::oneshot::{self, error::RecvError},
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

/// The responses to a question, opened.
pub(super) struct Opened<T> {
    pub(super) all: Vec<T>,
    /// How long that took, which is not the server's time.
    pub(super) took: Duration,
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
        let mut found = self.in_time(vehicles, Self::find_piece).await;
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

    /// What comes in time when `ask` asks for pieces of `vehicles`, from the first on.
    pub(super) async fn in_time<T, O>(
        &mut self,
        vehicles: &[Vehicle],
        ask: impl Fn(&Self, Vec<Vehicle>) -> oneshot::Receiver<O>,
    ) -> Vec<T>
    where
        O: Future<Output = Result<Opened<T>, RecvError>>,
    {
        let mut deadline = self.deadline;
        let pieces = vehicles.chunks(PIECE);
        let pieces = pieces.map(|piece| ask(self, piece.to_vec()));
        let (all, is_in_time) = until(&mut deadline, pieces).await;
        self.deadline = deadline;
        self.tier.0.readers.note(&self.lines, is_in_time);
        all
    }

    /// Asks for a piece, in a task of its own: what comes late has to be read all the same.
    fn find_piece(
        &self,
        vehicles: Vec<Vehicle>,
    ) -> oneshot::Receiver<oneshot::Receiver<Opened<Option<Found>>>> {
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
            let (opened, opening) = oneshot::channel();
            if sender.send(opening).is_err() {
                // Nobody waits any more.
                return;
            }
            let came_at = Instant::now();
            let found = vehicles.iter().zip(names).zip(values);
            let found = found.map(|((vehicle, name), sealed)| {
                let found = tier.open(&codec, partition, vehicle, &name, sealed);
                let outcome = found.as_ref().err().copied();
                tier.0.metrics.lookups[outcome.unwrap_or(Lookup::Hit)].inc();
                found.ok()
            });
            let all = found.collect();
            let _ = opened.send(Opened { all, took: came_at.elapsed() });
        });
        receiver
    }
}

/// What comes of `pieces` before `deadline`, from the first on, each asked for when it is its turn,
/// and whether nothing was waited for until then in vain. What has come is waited for until it is
/// opened, and the deadline is put off by that.
async fn until<T, O>(
    deadline: &mut Instant,
    mut pieces: impl Iterator<Item = oneshot::Receiver<O>>,
) -> (Vec<T>, bool)
where
    O: Future<Output = Result<Opened<T>, RecvError>>,
{
    let mut asked: VecDeque<_> = pieces.by_ref().take(AT_ONCE).collect();
    let mut all = Vec::new();
    while let Some(piece) = asked.pop_front() {
        let opening = match timeout_at(*deadline, piece).await {
            Ok(Ok(opening)) => opening,
            // The connection is lost, or nothing came over it. The others would be late, too.
            missed => return (all, missed.is_ok()),
        };
        let Ok(opened) = opening.await else { break };
        *deadline += opened.took;
        all.extend(opened.all);
        asked.extend(pieces.next());
    }
    (all, true)
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

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// A piece that comes after so long, and takes so long to open.
    fn piece(
        name: char,
        comes_after: Duration,
        took: Duration,
    ) -> oneshot::Receiver<oneshot::Receiver<Opened<char>>> {
        let (sender, receiver) = oneshot::channel();
        tokio::spawn(async move {
            tokio::time::sleep(comes_after).await;
            let (opened, opening) = oneshot::channel();
            if sender.send(opening).is_ok() {
                tokio::time::sleep(took).await;
                let _ = opened.send(Opened { all: vec![name], took });
            }
        });
        receiver
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_is_waited_for_and_not_what_is_done_with_its_responses() {
        for (what, pieces, came) in [
            ("opened late", &[('a', 9, 50)][..], "a"),
            ("the second came meanwhile", &[('a', 9, 50), ('b', 40, 1)], "ab"),
            ("too late", &[('a', 11, 0), ('b', 1, 0)], ""),
            ("the second is too late", &[('a', 1, 0), ('b', 11, 0), ('c', 0, 0)], "a"),
        ] {
            let mut deadline = Instant::now() + 10 * MS;
            let pieces = pieces
                .iter()
                .map(|&(name, comes_after, took)| piece(name, comes_after * MS, took * MS));
            let (all, is_in_time) = until(&mut deadline, pieces).await;
            assert_eq!(all.iter().collect::<String>(), came, "{what}");
            assert_eq!(is_in_time, !what.contains("too late"), "{what}");
        }
    }
}
