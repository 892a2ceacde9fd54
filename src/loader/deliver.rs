//! One call: sent, and its leases filled or failed.

use std::{panic::AssertUnwindSafe, sync::Arc};

use foldhash::{HashMap, HashSet, HashSetExt as _};
use futures_util::FutureExt as _;
use tokio::time::Instant;

use super::{
    CallContext, CallError, Elements, Failure, Loader,
    call_context::QueueKey,
    fetch::LARGE,
    queue::{Part, Queue, Taken},
};
use crate::{
    long_work,
    trace::{Kind, Span},
    upstream::Permit,
    vehicle::Vehicle,
    vehicle_cache::{Cause, Invalidate as _},
};

impl Loader {
    /// One call, to its end.
    pub(super) async fn call(self, key: QueueKey, permit: Permit, taken: Taken) {
        let vehicles = taken.len();
        let Taken { parts, trigger, .. } = taken;
        let tickets: Vec<_> = parts.iter().map(|part| Arc::clone(&part.ticket)).collect();
        let (sent_at, deadline) = (Instant::now(), self.0.fetch.deadline());
        match self.attempt(permit, parts, deadline).await {
            Ok(()) => {
                self.queues().fits(key, vehicles);
                if trigger.is_some() {
                    self.queues().note(sent_at.elapsed());
                }
                if !self.0.ride.is_zero() {
                    self.0.state.riders.note_call(sent_at.elapsed());
                }
            }
            Err((parts, error)) => self.repeat(key, parts, error, deadline).await,
        }
        let ended = |queue: &mut Queue, _| queue.call_ended(&tickets, trigger);
        self.queues().with(key, ended);
    }

    /// Fills the leases of one call, or gives them back with what went wrong.
    pub(super) async fn attempt(
        &self,
        permit: Permit,
        parts: Vec<Part>,
        deadline: Instant,
    ) -> Result<(), (Vec<Part>, Failure)> {
        let Some(first) = parts.first() else {
            return Ok(());
        };
        let mut span = begin_span(&parts);
        for Part { context, leases, .. } in &parts {
            leases.mark_sent(span.context());
            context.trace.note_call();
        }
        let mut vehicles: Vec<_> = parts.iter().flat_map(|part| part.leases.items()).collect();
        if parts.len() > 1 {
            // Two requests may lead one vehicle, when a write came between them.
            let mut seen = HashSet::with_capacity(vehicles.len());
            vehicles.retain(|vehicle| seen.insert(*vehicle));
        }
        span.set("vingate.vehicles", vehicles.len());
        let (headers, asked) = (first.context.headers.clone(), vehicles.iter().copied());
        let fetch = &self.0.fetch;
        let fetching = fetch.fetch(permit, headers, span.parent(), deadline, asked);
        // Nothing of what has panicked is looked at again.
        let fetched = match AssertUnwindSafe(fetching).catch_unwind().await {
            Ok(fetched) => fetched,
            Err(_) => Err(CallError::Panic),
        };
        match fetched {
            Ok(elements) => {
                let fill = || self.fill(parts, &vehicles, elements);
                long_work::run(vehicles.len() >= LARGE, fill).await;
                Ok(())
            }
            Err(error) => {
                span.fail(error.kind());
                if error.refuses_credential() {
                    self.on_unauthorized(&first.context).await;
                }
                Err((parts, Arc::new(error)))
            }
        }
    }

    /// Tells everybody who waits that the call has failed. A request for which nothing can mask
    /// that is over: what it has not sent need not be.
    pub(super) async fn fail(&self, key: QueueKey, parts: Vec<Part>, error: Failure) {
        for Part { ticket, context, leases, is_refresh, .. } in parts {
            if let (Some(partition), Some(outcome)) = (context.partition, error.outcome()) {
                let cache = &self.0.cache;
                cache.note_failed_call(partition, leases.items(), outcome);
            }
            let is_masked = |vehicle| {
                let partition = context.partition.filter(|_| error.permits_stale())?;
                let now = Instant::now();
                self.0
                    .cache
                    .stale_if_error(partition, vehicle, &context.directives, now)
            };
            if !is_refresh && !leases.items().all(|vehicle| is_masked(vehicle).is_some()) {
                if let Some(flight) = leases.flight() {
                    flight.leader_left();
                }
                self.queues().with(key, |queue, _| queue.leave(&ticket));
            }
            leases.fail(Arc::clone(&error));
        }
    }

    /// The upstream refuses the credential. If it is the client's own, what it had access to is
    /// not its own any more.
    async fn on_unauthorized(&self, context: &CallContext) {
        if let Some(own) = context.partition.filter(|_| !context.is_account) {
            let cache = &self.0.cache;
            cache
                .invalidate(own.into(), Cause::Unauthorized, None)
                .await;
        }
    }

    /// Fills the leases of a call for `vehicles`, which are distinct.
    fn fill(&self, parts: Vec<Part>, vehicles: &[Vehicle], elements: Elements) {
        let Elements { mut of_vehicles, may_store, .. } = elements;
        let partition = parts.first().and_then(|part| part.context.partition);
        let riders = parts.iter().filter(|part| part.rides);
        let riders: HashSet<_> = riders.flat_map(|part| part.leases.items()).collect();
        let all = parts
            .into_iter()
            .map(|part| part.leases)
            .reduce(|mut all, leases| {
                all.append(leases);
                all
            });
        let Some(all) = all else { return };
        if all.len() > vehicles.len() {
            let fetched: HashMap<_, _> = vehicles.iter().zip(&of_vehicles).collect();
            of_vehicles = all
                .items()
                .map(|vehicle| fetched[&vehicle].clone())
                .collect();
        }
        let cache = &self.0.cache;
        cache.fill_from_call(partition, all, of_vehicles, may_store, |partition, stored| {
            if !self.0.ride.is_zero() {
                let (known, metrics) = (&self.0.state.riders, &self.0.metrics);
                known.note(cache, partition, stored, &riders, metrics);
            }
        });
    }
}
/// The span of a call: a part of the first request that is traced, and linked with the others that
/// are.
fn begin_span(parts: &[Part]) -> Span {
    let mut parents = parts.iter().map(|part| part.context.trace.parent());
    let first = parents.find(|parent| parent.context().is_some());
    let mut span = first.unwrap_or_default().child("call", Kind::Internal);
    span.set("vingate.requests", parts.len());
    for other in parents.filter_map(|parent| parent.context()) {
        span.link(other);
    }
    span
}
