//! A call that failed, made again in parts where that helps.
//!
//! A call with vehicles of several requests that the upstream refuses is repeated in parts, cut
//! along requests into eighths, all at once, and what is refused again is cut again. One refused
//! request among 500 is found in three rounds and 24 calls, while everybody else gets their
//! vehicles after the first round or the second. The last refusal goes to its own request as it
//! came.
//!
//! A call that was too large for the upstream is halved, and its halves are tried once. So are
//! theirs, within the same bounds.

use std::cmp;

use futures_util::future::join_all;
use tokio::time::{Instant, timeout_at};

use super::{CallError, Failure, Loader, balanced, call_context::QueueKey, queue::Part};
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
    /// Along requests, into so many calls.
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
                if error.is_of_size() && vehicles > FEW_VEHICLES && !is_late {
                    self.0.queues.is_too_large(key, vehicles);
                }
                let may_cut = round < MAX_ROUNDS && !is_late;
                let cut = Cut::of(&parts, &error).filter(|_| may_cut);
                let more = cut.map_or(0, |cut| cut.calls(vehicles));
                match cut.filter(|_| calls + more <= MAX_CALLS) {
                    Some(cut) => groups.extend(cut.apply(parts)),
                    None => self.fail(key, parts, error).await,
                }
                calls += more;
            }
            let attempts = groups
                .into_iter()
                .map(|parts| self.attempt_again(parts, deadline));
            let attempted = join_all(attempts).await.into_iter();
            failed = attempted.filter_map(Result::err).collect();
        }
    }

    async fn attempt_again(
        &self,
        parts: Vec<Part>,
        deadline: Instant,
    ) -> Result<(), (Vec<Part>, Failure)> {
        let Some(first) = parts.first() else {
            return Ok(());
        };
        let reserving = self.0.upstream.reserve(first.context.reservation(None));
        let reserved = timeout_at(deadline, reserving).await;
        match reserved.unwrap_or(Err(upstream::Error::Timeout)) {
            Ok(permit) => self.attempt(permit, parts, deadline).await,
            Err(error) => Err((parts, Failure::new(error.into()))),
        }
    }
}

// === impl Cut ===

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
            _ => Some(Self::Requests(cmp::min(parts.len(), CUT))),
        }
    }

    /// How many calls it makes of so many vehicles.
    fn calls(self, vehicles: usize) -> usize {
        match self {
            Self::Requests(calls) => calls,
            Self::Vehicles(size) => vehicles.div_ceil(size),
        }
    }

    fn apply(self, parts: Vec<Part>) -> Vec<Vec<Part>> {
        match self {
            Self::Requests(calls) => along_requests(parts, calls),
            Self::Vehicles(size) => along_vehicles(parts, size),
        }
    }
}

fn count(parts: &[Part]) -> usize {
    parts.iter().map(|part| part.leases.len()).sum()
}

/// Cuts `parts` into so many groups, as equal in the number of requests as they can be.
fn along_requests(parts: Vec<Part>, calls: usize) -> Vec<Vec<Part>> {
    let sizes = balanced(parts.len(), parts.len().div_ceil(calls));
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
