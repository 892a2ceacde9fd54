//! A request's search for vehicles: found, leased, or waited for.
//!
//! What nobody has is leased, so that one replica asks for it. The others look again after 20, 40,
//! 80 and then every 80 ms. Where a lease ends and has brought nothing, one of those who wait makes
//! it their own. Nobody waits on when nothing of what they wait for has come for as long as a call
//! takes, or nothing can be asked or believed any more: they ask themselves.

use std::{
    future::{Ready, ready},
    iter,
    sync::Arc,
    time::Duration,
};

use foldhash::HashMap;
use futures_util::{FutureExt as _, future::BoxFuture};
use tokio::{
    sync::oneshot::{self, error::RecvError},
    time::{Instant, sleep_until, timeout_at},
};

use super::{
    SharedTier,
    finding::{Asking, Opened},
    lease_commands::Owner,
    link::LinkError,
    metrics::{LeaseOutcome, Lookup},
    polls::Poll,
    readers::{Line, PIECE},
    shared_leases::LIFE,
};
use crate::{
    vehicle::Vehicle,
    vehicle_cache::{Found, Partition, Search, Sought},
};

/// A search under way.
struct Searching {
    asking: Asking,
    /// When something of what others ask for came last, or the wait for it began.
    heard_at: Option<Instant>,
    /// Between the last look and the next.
    pause: Duration,
    /// The names of what is waited for.
    names: HashMap<Vehicle, Vec<u8>>,
}

/// Before the second look, twice that before the third, and so on, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(80);

impl SharedTier {
    /// `None`: nobody can be asked, or could be believed.
    pub(super) fn begin_search(
        &self,
        partition: Partition,
        vehicles: usize,
    ) -> Option<Box<dyn Search>> {
        let (inner, now) = (&self.0, Instant::now());
        let is_trusting = inner.trust().lasts(now);
        let Some(lines) = inner.readers.lines().filter(|_| is_trusting) else {
            inner.metrics.lookups[Lookup::Skipped].inc_by(vehicles as u64);
            return None;
        };
        let (number, deadline) = (lines.quieter(), now + inner.config.timeout);
        let asking = Asking { tier: self.clone(), partition, lines, number, deadline };
        Some(Box::new(Searching {
            asking,
            heard_at: None,
            pause: FIRST_PAUSE,
            names: HashMap::default(),
        }))
    }
}

impl Search for Searching {
    fn find(&mut self, vehicles: Vec<Vehicle>) -> BoxFuture<'_, Vec<Option<Found>>> {
        async move { self.asking.find(&vehicles).await }.boxed()
    }

    fn lease(&mut self, vehicles: Vec<Vehicle>) -> BoxFuture<'_, Vec<Sought>> {
        self.lease_all(vehicles).boxed()
    }

    fn wait(&mut self, vehicles: Vec<Vehicle>) -> BoxFuture<'_, Vec<Sought>> {
        self.look_again(vehicles).boxed()
    }
}

impl Searching {
    async fn lease_all(&mut self, vehicles: Vec<Vehicle>) -> Vec<Sought> {
        let mut sought = Vec::new();
        if self.asking.tier.0.config.leases {
            self.asking.allow(vehicles.len().div_ceil(PIECE));
            sought = self.asking.in_time(&vehicles, Asking::lease_piece).await;
        }
        sought.resize_with(vehicles.len(), || Sought::Missing(None));
        sought
    }

    async fn look_again(&mut self, vehicles: Vec<Vehicle>) -> Vec<Sought> {
        let now = Instant::now();
        let heard_at = *self.heard_at.get_or_insert(now);
        let inner = Arc::clone(&self.asking.tier.0);
        let until = heard_at + inner.leases.patience();
        sleep_until(until.min(now + self.pause)).await;
        self.pause = LONGEST_PAUSE.min(2 * self.pause);
        let is_over = Instant::now() >= until || !inner.trust().lasts(Instant::now());
        let looked = match is_over {
            true => None,
            false => timeout_at(until, self.poll(&vehicles)).await.ok(),
        };
        let Some(sought) = looked.flatten() else {
            inner.metrics.leases[LeaseOutcome::InVain].inc_by(vehicles.len() as u64);
            let missing = iter::repeat_with(|| Sought::Missing(None));
            return missing.take(vehicles.len()).collect();
        };
        let is_found = |it: &&Sought| matches!(it, Sought::Found(_));
        let brought = sought.iter().filter(is_found).count();
        if brought > 0 {
            inner.metrics.leases[LeaseOutcome::Brought].inc_by(brought as u64);
            self.heard_at = Some(Instant::now());
        }
        sought
    }

    /// What stands under the names of `vehicles` now, asked for together with what others wait
    /// for; `None`: the connection is lost.
    async fn poll(&mut self, vehicles: &[Vehicle]) -> Option<Vec<Sought>> {
        let Asking { tier, partition, .. } = &self.asking;
        let codec = tier.0.values.of(*partition);
        let mut receivers = Vec::new();
        for piece in vehicles.chunks(PIECE) {
            let names = piece.iter().map(|vehicle| {
                let name = self.names.entry(*vehicle);
                name.or_insert_with(|| codec.name(vehicle)).clone()
            });
            let names = names.collect();
            let (sender, receiver) = oneshot::channel();
            let vehicles = piece.to_vec();
            tier.0
                .polls
                .push(Poll { partition: *partition, vehicles, names, sender });
            receivers.push(receiver);
        }
        drop(codec);
        let mut sought = Vec::with_capacity(vehicles.len());
        for receiver in receivers {
            sought.extend(receiver.await.ok()?);
        }
        Some(sought)
    }
}

impl Asking {
    /// Leases a piece, in a task of its own: what was leased too late has to be let go.
    pub(super) fn lease_piece(
        &self,
        vehicles: Vec<Vehicle>,
    ) -> oneshot::Receiver<Ready<Result<Opened<Sought>, RecvError>>> {
        let (sender, receiver) = oneshot::channel();
        let (tier, lines) = (self.tier.clone(), Arc::clone(&self.lines));
        let (partition, number) = (self.partition, self.number);
        tokio::spawn(async move {
            match tier.lease(lines.line(number), partition, &vehicles).await {
                Ok(all) => {
                    // There is little to open: what was found before is not leased.
                    let opened = Opened { all, took: Duration::ZERO };
                    drop(sender.send(ready(Ok(opened))));
                }
                Err(_) => tier.0.readers.give_up(&lines),
            }
        });
        receiver
    }
}

impl SharedTier {
    /// Leases `vehicles`, at most [`PIECE`].
    pub(super) async fn lease(
        &self,
        line: &Line,
        partition: Partition,
        vehicles: &[Vehicle],
    ) -> Result<Vec<Sought>, LinkError> {
        let (inner, codec) = (&self.0, self.0.values.of(partition));
        let names: Vec<_> = vehicles.iter().map(|vehicle| codec.name(vehicle)).collect();
        let open: Vec<_> = names
            .iter()
            .filter(|name| !inner.leases.are_closed_to(name))
            .cloned()
            .collect();
        let mut leased = Vec::new();
        if !open.is_empty() {
            leased = line.lease(&open, inner.replica, LIFE).await?;
        }
        let (mut leased, now) = (open.into_iter().zip(leased).peekable(), Instant::now());
        let sought = vehicles.iter().zip(names).map(|(vehicle, name)| {
            // What this replica asks for already came in between: a write, for example.
            let Some((name, (owner, sealed))) = leased.next_if(|(open, _)| *open == name) else {
                return Sought::Missing(None);
            };
            let guard = (owner == Owner::This).then(|| inner.leases.keep(name.clone(), now));
            match self.open(&codec, partition, vehicle, &name, sealed) {
                Ok(found) => Sought::Found(found),
                Err(_) if owner == Owner::Another => Sought::Awaited,
                Err(_) => Sought::Missing(guard),
            }
        });
        let sought: Vec<_> = sought.collect();
        let is_taken = |it: &&Sought| matches!(it, Sought::Missing(Some(_)));
        let taken = sought.iter().filter(is_taken).count();
        inner.metrics.leases[LeaseOutcome::Taken].inc_by(taken as u64);
        Ok(sought)
    }
}
