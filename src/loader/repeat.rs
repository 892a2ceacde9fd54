//! A call that failed, made again in parts where that helps.
//!
//! A call with vehicles of several requests that the upstream refuses is repeated in parts, cut
//! along requests into eighths, all at once, and what is refused again is cut again. One refused
//! request among 500 is found in three rounds and 24 calls, while everybody else gets their
//! vehicles after the first round or the second. The last refusal goes to its own request as it
//! came, and is [remembered](super::suspicions). Where too much would have to be found out, the
//! leases are abandoned: whoever waits for them looks them up again, and travels alone.
//!
//! A call that was too large for the upstream is halved, and its halves are tried once. So are
//! theirs, within the same bounds.

use std::cmp;

use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};

use super::{
    CallContext, CallError, Failure, Loader, balanced,
    call_context::QueueKey,
    queue::{Part, Queue},
};
use crate::upstream::{self, FEW_VEHICLES};

/// Into how many calls one that was refused is cut.
const CUT: usize = 8;

/// How often.
const MAX_ROUNDS: usize = 3;

/// Calls in all: as many as one refused request takes.
const MAX_CALLS: usize = CUT * MAX_ROUNDS;

/// How a call is cut.
#[derive(Clone, Copy)]
enum Cut {
    /// Into calls of so many requests at most.
    Requests(usize),
    /// Into calls of so many vehicles at most.
    Vehicles(usize),
}

impl Loader {
    /// Makes a call that failed again in parts, and fails what is left.
    pub(super) async fn repeat(
        &self,
        key: QueueKey,
        parts: Vec<Part>,
        error: Failure,
        deadline: Instant,
    ) {
        let mut failed = vec![(parts, error)];
        let mut calls = 0;
        for round in 0..=MAX_ROUNDS {
            let mut groups = Vec::new();
            for (parts, error) in failed.drain(..) {
                let vehicles = count(&parts);
                let is_late = Instant::now() >= deadline;
                let is_large = error.is_of_size() && vehicles > FEW_VEHICLES;
                if is_large && !is_late {
                    self.queues().is_too_large(key, vehicles);
                }
                let cut = Cut::of(&parts, &error);
                let isolates = cut.is_some() && !is_large;
                let more = cut.map_or(0, |cut| cut.calls(&parts));
                let may_cut = round < MAX_ROUNDS
                    && !is_late
                    && calls + more <= MAX_CALLS
                    && (!isolates || self.may_isolate(key, round, more));
                match cut {
                    Some(cut) if may_cut => {
                        calls += more;
                        groups.extend(cut.apply(parts));
                    }
                    // A refusal is the fault of one of them, and is not told to the others.
                    Some(_) if isolates => drop(parts),
                    _ => {
                        if round > 0 && error.is_leaders_fault() {
                            self.suspect(key, &parts, &error);
                        }
                        self.fail(key, parts, error).await;
                    }
                }
            }
            let attempts = groups
                .into_iter()
                .map(|parts| self.attempt_again(parts, deadline));
            let attempted = join_all(attempts).await.into_iter();
            failed = attempted.filter_map(Result::err).collect();
        }
    }

    /// Whether so many calls may be made to find out whose fault a refusal is.
    fn may_isolate(&self, key: QueueKey, round: usize, calls: usize) -> bool {
        if round == 0 {
            self.0.metrics.isolations.inc();
        }
        let may = |queue: &mut Queue, _| queue.suspicions.may_isolate(calls, Instant::now());
        self.queues().remember(key, may)
    }

    /// Remembers a request that was refused by itself.
    fn suspect(&self, key: QueueKey, parts: &[Part], error: &Failure) {
        let [Part { context, leases, .. }] = parts else { return };
        let (life, now) = (self.0.cache.absent_for(), Instant::now());
        self.queues().remember(key, |queue, _| {
            if let Some(client) = context.client {
                queue.suspicions.note_client(client, now);
            }
            if leases.len() == 1 {
                let vehicles = leases.items();
                vehicles.for_each(|it| {
                    queue
                        .suspicions
                        .note_vehicle(it, Failure::clone(error), life, now);
                });
            }
        });
    }

    async fn attempt_again(
        &self,
        parts: Vec<Part>,
        deadline: Instant,
    ) -> Result<(), (Vec<Part>, Failure)> {
        let Some(first) = parts.first() else {
            return Ok(());
        };
        let client = CallContext::only_client(parts.iter().map(|part| &*part.context));
        let reservation = first.context.reservation(client, count(&parts));
        let reserving = self.0.upstream.reserve(reservation);
        let reserved = timeout_at(deadline, reserving).await;
        match reserved.unwrap_or(Err(upstream::Error::Timeout)) {
            Ok(permit) => self.attempt(permit, parts, deadline).await,
            Err(error) => Err((parts, Failure::new(error.into()))),
        }
    }
}

impl Cut {
    /// How a call that failed like this is cut; `None`: parts of it would fail, too.
    fn of(parts: &[Part], error: &CallError) -> Option<Self> {
        let vehicles = count(parts);
        match parts {
            _ if error.is_of_size() && vehicles > FEW_VEHICLES => {
                Some(Self::Vehicles(cmp::max(vehicles.div_ceil(2), FEW_VEHICLES)))
            }
            _ if !error.is_leaders_fault() => None,
            // Refreshes are of any requests, and no one's fault.
            [part] if part.is_refresh && vehicles > 1 => {
                Some(Self::Vehicles(vehicles.div_ceil(CUT)))
            }
            [] | [_] => None,
            _ => Some(Self::Requests(parts.len().div_ceil(CUT))),
        }
    }

    /// How many calls it makes of these.
    fn calls(self, parts: &[Part]) -> usize {
        match self {
            Self::Requests(size) => parts.len().div_ceil(size),
            Self::Vehicles(size) => count(parts).div_ceil(size),
        }
    }

    fn apply(self, parts: Vec<Part>) -> Vec<Vec<Part>> {
        match self {
            Self::Requests(size) => along_requests(parts, size),
            Self::Vehicles(size) => along_vehicles(parts, size),
        }
    }
}

fn count(parts: &[Part]) -> usize {
    parts.iter().map(|part| part.leases.len()).sum()
}

/// Cuts `parts` into groups of at most so many requests, as equal as they can be.
fn along_requests(parts: Vec<Part>, size: usize) -> Vec<Vec<Part>> {
    let sizes = balanced(parts.len(), size);
    let mut parts = parts.into_iter();
    sizes
        .map(|size| parts.by_ref().take(size).collect())
        .collect()
}

/// Cuts `parts` into groups of at most so many vehicles, as equal as they can be.
fn along_vehicles(parts: Vec<Part>, size: usize) -> Vec<Vec<Part>> {
    let sizes = balanced(count(&parts), size);
    let mut parts = parts.into_iter();
    let mut next = parts.next();
    sizes
        .map(|mut room| {
            let mut group = Vec::new();
            while room > 0
                && let Some(mut part) = next.take()
            {
                let rest = part.split_off(room);
                room -= part.leases.len();
                next = if rest.leases.is_empty() { parts.next() } else { Some(rest) };
                group.push(part);
            }
            group
        })
        .collect()
}
