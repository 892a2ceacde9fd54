//! The queue of each account that has something waiting or under way, behind one lock.

use std::{sync::Arc, time::Duration};

use foldhash::HashMap;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::{
    CallContext, Config, Failure,
    call_context::QueueKey,
    gathering::Terms,
    pace::Pace,
    queue::{Limits, Queue, Ticket},
};
use crate::vehicle_cache::Leases;

/// All queues, and what they go by: a handle, cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Queues(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    by_key: HashMap<QueueKey, Queue>,
    limits: Limits,
    pace: Pace,
}

/// Accounts of which something is remembered while they have no calls. Where there are more, all
/// of them are forgotten, so that clients with credentials of their own take no memory for ever.
const REMEMBERED: usize = 1024;

impl Queues {
    /// What is configured is what they go by from now on, also for what waits.
    pub(super) fn configure(&self, config: &Config) {
        let State { limits, pace, .. } = &mut *self.0.lock();
        pace.limit_to(config.gather_for);
        let gather = Terms { from: config.gather_from, patience: pace.patience() };
        let Config { chunk, max_parallel, refresh_wait, .. } = *config;
        *limits = Limits { chunk, max_parallel, gather, refresh_wait };
    }

    /// Lets the leases of a request wait in the queue of their account.
    pub(super) fn push(
        &self,
        key: QueueKey,
        leases: Leases<Failure>,
        context: Arc<CallContext>,
    ) -> Arc<Ticket> {
        let State { by_key, limits, .. } = &mut *self.0.lock();
        let queue = by_key.entry(key).or_default();
        queue.push(leases, context, *limits, Instant::now())
    }

    /// Takes the refreshes out of the leases of a request, and lets them wait for a call to travel
    /// with. Gives a ticket if somebody has to make calls for them.
    pub(super) fn push_refreshes(
        &self,
        key: QueueKey,
        leases: &mut Leases<Failure>,
        context: &CallContext,
    ) -> Option<(Arc<Ticket>, Arc<CallContext>)> {
        let State { by_key, limits, .. } = &mut *self.0.lock();
        if limits.refresh_wait.is_zero() {
            return None;
        }
        let now = Instant::now();
        let is_alone = |queue: &Queue| queue.suspicions.is_alone(context.client, now);
        if by_key.get(&key).is_some_and(is_alone) {
            return None;
        }
        let refreshes = leases.extract(|lease| lease.is_refresh());
        if refreshes.is_empty() {
            return None;
        }
        let queue = by_key.entry(key).or_default();
        queue.push_refreshes(refreshes, context, *limits, now)
    }

    /// Does something with a queue, if there is one, and forgets it when it is empty.
    pub(super) fn with<T>(
        &self,
        key: QueueKey,
        act: impl FnOnce(&mut Queue, Limits) -> T,
    ) -> Option<T> {
        let State { by_key, limits, .. } = &mut *self.0.lock();
        let queue = by_key.get_mut(&key)?;
        let result = act(queue, *limits);
        if queue.is_empty(Instant::now) {
            by_key.remove(&key);
        }
        Some(result)
    }

    /// A call of so many vehicles came back in time.
    pub(super) fn fits(&self, key: QueueKey, vehicles: usize) {
        self.with(key, |queue, limits| queue.fits(vehicles, limits.chunk));
    }

    /// A call of so many vehicles did not: those of its account become smaller.
    pub(super) fn is_too_large(&self, key: QueueKey, vehicles: usize) {
        // A private request has no account to remember it for.
        if let QueueKey::Shared(_) = key {
            self.remember(key, |queue, limits| queue.is_too_large(vehicles, limits.chunk));
        }
    }

    /// Takes out of the leases of a request what was refused by itself lately, with the refusals.
    /// Whoever wants nothing that was asked for before asks again.
    pub(super) fn take_refused(
        &self,
        key: QueueKey,
        leases: &mut Leases<Failure>,
        context: &CallContext,
    ) -> Vec<(Leases<Failure>, Failure)> {
        let state = &*self.0.lock();
        let Some(Queue { suspicions, .. }) = state.by_key.get(&key) else {
            return Vec::new();
        };
        if suspicions.have_no_vehicle() || context.directives.no_cache {
            return Vec::new();
        }
        let now = Instant::now();
        let refused = leases
            .items()
            .filter_map(|vehicle| Some((vehicle, suspicions.refusal_of(&vehicle, now)?)));
        let refused: Vec<_> = refused.collect();
        refused
            .into_iter()
            .map(|(vehicle, failure)| (leases.extract(|lease| lease.item() == vehicle), failure))
            .collect()
    }

    /// Does something with what is remembered of an account, whether anything waits or not.
    pub(super) fn remember<T>(
        &self,
        key: QueueKey,
        act: impl FnOnce(&mut Queue, Limits) -> T,
    ) -> T {
        let State { by_key, limits, .. } = &mut *self.0.lock();
        if by_key.len() >= REMEMBERED {
            by_key.retain(|_, queue| !queue.is_idle());
        }
        act(by_key.entry(key).or_default(), *limits)
    }

    /// A call of small look-ups has brought what they wait for.
    pub(super) fn note(&self, took: Duration) {
        let State { limits, pace, .. } = &mut *self.0.lock();
        pace.note(took);
        limits.gather.patience = pace.patience();
    }
}
