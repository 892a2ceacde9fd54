//! Vehicles that nobody holds, fetched in few, full calls that many requests share.
//!
//! What DataLoader does for the fields of one query, this does for the vehicles of many requests.
//! [Leases] of requests wait in the [queue] of their account. For each
//! request a task asks the upstream for a permit, and only when that is there the call is filled,
//! with whatever waits by then: so a request may find that another's call has taken its vehicles
//! along. The call is [composed](fetch) and sent, its response [taken apart](elements), and the
//! leases are filled, which is what wakes those who wait.
//!
//! A request that waits no more leaves the queue and takes along what nobody else waits for. What
//! was sent is read to its end: others may have joined, and the cache wants it.

mod balanced;
mod call_context;
mod call_size;
mod config;
mod deliver;
mod elements;
mod error;
mod expiring;
mod fetch;
mod gathering;
mod metrics;
mod pace;
mod queue;
mod queues;
mod repeat;
mod riders;
mod suspicions;
mod worth;

use std::{pin::pin, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderName};
use parking_lot::Mutex;
use tokio::time::{Instant, sleep_until};

use self::{
    call_context::QueueKey,
    fetch::{Fetch, LARGE},
    metrics::Trigger,
    queue::{Demand, Next, Taken, Ticket},
    queues::Queues,
    riders::Riders,
};
use crate::{
    upstream::{ClientId, Upstream},
    vehicle_cache::{Flight, Leases, Partition, VehicleCache},
};

pub use self::{
    balanced::balanced,
    call_context::CallContext,
    config::Config,
    elements::Elements,
    error::{CallError, ErrorResponse, Failure},
    metrics::Metrics,
};

/// Fetches vehicles: a handle, cheap to clone.
#[derive(Clone)]
pub struct Loader(Arc<Inner>);

struct Inner {
    cache: VehicleCache<Failure>,
    upstream: Upstream,
    fetch: Fetch,
    state: State,
    /// How long before they expire vehicles travel in the free room of calls.
    ride: Duration,
    metrics: Metrics,
}

/// What waits for calls, and what is known of them: a handle, cheap to clone. It outlives a
/// [`Loader`], so that another configuration loses nothing of it.
#[derive(Clone)]
pub struct State {
    queues: Queues,
    riders: Riders,
}

/// A request that waits for the loader. Dropped, it does so no more.
#[must_use = "dropped at once, nothing is waited for"]
pub struct Loading {
    loader: Loader,
    waiting: Arc<Waiting>,
    flight: Option<Arc<Flight<Failure>>>,
}

/// Where a request waits, as far as that is known.
type Waiting = Mutex<Vec<(QueueKey, Arc<Ticket>)>>;

impl Loader {
    /// Fills `cache` from `upstream` with what waits, which goes by `config` from now on.
    /// `credential` are the headers of a request that its calls carry.
    pub fn new(
        config: &Config,
        state: State,
        cache: VehicleCache<Failure>,
        upstream: Upstream,
        credential: &[HeaderName],
        metrics: Metrics,
    ) -> Self {
        state.queues.configure(config);
        if config.ride.is_zero() {
            state.riders.clear();
        }
        Self(Arc::new(Inner {
            cache,
            upstream,
            fetch: Fetch::new(config, credential, metrics.clone()),
            state,
            ride: config.ride,
            metrics,
        }))
    }

    fn queues(&self) -> &Queues {
        &self.0.state.queues
    }

    /// The cache that is filled.
    pub fn cache(&self) -> &VehicleCache<Failure> {
        &self.0.cache
    }

    /// What the calls of a request with these headers carry of them.
    pub fn headers(&self, headers: &HeaderMap) -> HeaderMap {
        self.0.fetch.headers(headers)
    }

    /// Fetches what `leases` are for, in tasks of its own. Runs inside a tokio runtime.
    pub fn load(&self, leases: Leases<Failure>, context: CallContext) -> Loading {
        let (waiting, flight) = (Arc::<Waiting>::default(), leases.flight().cloned());
        let loading = Loading { loader: self.clone(), waiting: Arc::clone(&waiting), flight };
        let partition = context.partition.filter(|_| !leases.is_empty());
        let context = Arc::new(context);
        let Some(partition) = partition else {
            self.call_for(leases, context, &waiting);
            return loading;
        };
        let cache = &self.0.cache;
        match cache.ask_replicas(partition, leases, &context.directives) {
            Err(leases) => self.call_for(leases, context, &waiting),
            Ok(mut from_replicas) => {
                let loader = self.clone();
                tokio::spawn(async move {
                    while let Some(leases) = from_replicas.next().await {
                        loader.call_for(leases, Arc::clone(&context), &waiting);
                        // Somebody may have joined a refresh meanwhile.
                        loader.joined(partition);
                    }
                });
            }
        }
        loading
    }

    /// Lets `leases` wait for calls, and makes them in tasks of its own. Notes in `waiting` where
    /// they wait.
    fn call_for(&self, mut leases: Leases<Failure>, context: Arc<CallContext>, waiting: &Waiting) {
        // Who asked may have left while replicas were asked.
        leases.drop_unwanted();
        if leases.is_empty() {
            return;
        }
        let key = context.queue_key();
        let queues = self.queues();
        for (leases, failure) in queues.take_refused(key, &mut leases, &context) {
            leases.fail(failure);
        }
        if let Some((ticket, context)) = queues.push_refreshes(key, &mut leases, &context) {
            tokio::spawn(self.clone().make_calls(key, ticket, context));
        }
        if leases.is_empty() {
            return;
        }
        let ticket = self.queues().push(key, leases, Arc::clone(&context));
        let calling = self.clone().make_calls(key, Arc::clone(&ticket), context);
        tokio::spawn(calling);
        // Whoever has left before this has left its flight, too, and nothing is called for it.
        waiting.lock().push((key, ticket));
    }

    /// Somebody waits for a vehicle of this partition that another request leads, be it only to
    /// refresh it.
    pub fn joined(&self, partition: Partition) {
        let key = QueueKey::Shared(partition);
        self.queues()
            .with(key, |queue, _| queue.hurry(Instant::now()));
    }

    /// Makes calls until all that the request waits for is in one, its own or another's.
    async fn make_calls(self, key: QueueKey, ticket: Arc<Ticket>, context: Arc<CallContext>) {
        loop {
            let trigger = match self.next(key, &ticket) {
                Next::Done => return,
                Next::Wait => {
                    ticket.changed.notified().await;
                    continue;
                }
                Next::WaitUntil(due) => {
                    tokio::select! {
                        () = ticket.changed.notified() => {}
                        () = sleep_until(due) => {}
                    }
                    continue;
                }
                Next::Call(trigger) => trigger,
            };
            let Some(Demand { client, vehicles }) = self.demand(key, &ticket) else { return };
            let reservation = context.reservation(client, vehicles);
            let reserving = self.0.upstream.reserve(reservation);
            let Some(reserved) = self.unless_changed(key, &ticket, client, reserving).await else {
                continue;
            };
            match reserved {
                Ok(permit) => {
                    let call = self
                        .clone()
                        .call(key, permit, self.take(key, &ticket, trigger));
                    // The last one needs no further task.
                    match self.next(key, &ticket) {
                        Next::Done => return call.await,
                        Next::Wait | Next::WaitUntil(_) | Next::Call(_) => {
                            drop(tokio::spawn(call));
                        }
                    }
                }
                Err(error) => {
                    let refused = self.queues().with(key, |queue, _| queue.refuse(&ticket));
                    if let Some(leases) = refused.flatten() {
                        leases.fail(Arc::new(error.into()));
                    }
                    return;
                }
            }
        }
    }

    /// Waits, unless there is nothing more to do for the request before that, or others than this
    /// client want the call by then: they are not to wait for its turn.
    async fn unless_changed<T>(
        &self,
        key: QueueKey,
        ticket: &Arc<Ticket>,
        client: Option<ClientId>,
        waiting: impl Future<Output = T>,
    ) -> Option<T> {
        let mut waiting = pin!(waiting);
        loop {
            tokio::select! {
                biased;
                result = &mut waiting => return Some(result),
                () = ticket.changed.notified() => {
                    if self.demand(key, ticket)?.client != client {
                        return None;
                    }
                }
            }
        }
    }

    /// What is to be done for a request now.
    fn next(&self, key: QueueKey, ticket: &Arc<Ticket>) -> Next {
        let next = self
            .queues()
            .with(key, |queue, limits| queue.next(ticket, limits, Instant::now()));
        next.unwrap_or(Next::Done)
    }

    /// What the next call of a request needs a permit for; `None`: there is none.
    fn demand(&self, key: QueueKey, ticket: &Arc<Ticket>) -> Option<Demand> {
        self.queues()
            .with(key, |queue, limits| queue.demand(ticket, limits))?
    }

    /// What goes into a call of a request, counted.
    fn take(&self, key: QueueKey, ticket: &Arc<Ticket>, trigger: Option<Trigger>) -> Taken {
        let take = self
            .queues()
            .with(key, |queue, limits| queue.take(ticket, trigger, limits));
        let mut taken = take.unwrap_or_default();
        if let Some(trigger) = taken.trigger {
            self.0.metrics.gathered[trigger].inc();
            let now = Instant::now();
            for since in taken.parts.iter().filter_map(|part| part.gathered_since) {
                let waited = now.saturating_duration_since(since);
                self.0.metrics.gather_seconds.observe(waited.as_secs_f64());
            }
        }
        self.add_riders(key, &mut taken);
        taken
    }

    /// Fills the room of a call with vehicles that expire soon, if nobody waits for it or it is
    /// large already.
    fn add_riders(&self, key: QueueKey, taken: &mut Taken) {
        let Inner { cache, state, ride, metrics, .. } = &*self.0;
        let QueueKey::Shared(partition) = key else { return };
        if ride.is_zero() || taken.room == 0 || taken.len() < LARGE && taken.are_awaited() {
            return;
        }
        let leases = state
            .riders
            .take(cache, partition, taken.room, *ride, metrics);
        if !leases.is_empty() {
            taken.add_riders(leases);
        }
    }
}

impl State {
    /// Nothing waits, and nothing is known.
    #[expect(clippy::new_without_default, reason = "it has a beginning in time")]
    pub fn new() -> Self {
        Self { queues: Queues::default(), riders: Riders::new() }
    }
}

impl std::fmt::Debug for Loader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loader").finish_non_exhaustive()
    }
}

impl Drop for Loading {
    fn drop(&mut self) {
        if let Some(flight) = &self.flight {
            flight.leader_left();
        }
        let queues = self.loader.queues();
        for (key, ticket) in self.waiting.lock().iter() {
            queues.with(*key, |queue, _| queue.leave(ticket));
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
