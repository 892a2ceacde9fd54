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
mod config;
mod elements;
mod error;
mod fetch;
mod isolate;
mod metrics;
mod queue;

use std::{panic::AssertUnwindSafe, pin::pin, sync::Arc};

use foldhash::{HashMap, HashSet, HashSetExt as _};
use futures_util::FutureExt as _;
use http::{HeaderMap, HeaderName};
use parking_lot::Mutex;

use self::{
    call_context::QueueKey,
    fetch::Fetch,
    queue::{Limits, Next, Part, Queue, Ticket},
};
use crate::{
    upstream::{Permit, Upstream},
    vehicle::Vehicle,
    vehicle_cache::{Cause, Flight, Invalidate as _, Leases, Moment, VehicleCache},
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
    limits: Limits,
    queues: Mutex<Queues>,
}

/// The queue of each account that has something waiting.
type Queues = HashMap<QueueKey, Queue>;

/// A request that waits for the loader. Dropped, it does so no more.
#[must_use = "dropped at once, nothing is waited for"]
pub struct Loading {
    loader: Loader,
    waiting: Option<(QueueKey, Arc<Ticket>)>,
    flight: Option<Arc<Flight<Failure>>>,
}

// === impl Loader ===

impl Loader {
    /// Fills `cache` from `upstream`. `credential` are the headers of a request that its calls
    /// carry.
    pub fn new(
        config: &Config,
        cache: VehicleCache<Failure>,
        upstream: Upstream,
        credential: &[HeaderName],
        metrics: Metrics,
    ) -> Self {
        Self(Arc::new(Inner {
            cache,
            upstream,
            fetch: Fetch::new(config, credential, metrics),
            limits: Limits { chunk: config.chunk, max_parallel: config.max_parallel },
            queues: Mutex::default(),
        }))
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
        let mut loading = Loading { loader: self.clone(), waiting: None, flight: None };
        if leases.is_empty() {
            return loading;
        }
        loading.flight = leases.flight().cloned();
        let context = Arc::new(context);
        let key = context.queue_key();
        let ticket = {
            let mut queues = self.0.queues.lock();
            let queue = queues.entry(key).or_default();
            queue.push(leases, Arc::clone(&context))
        };
        let calling = self.clone().make_calls(key, Arc::clone(&ticket), context);
        tokio::spawn(calling);
        loading.waiting = Some((key, ticket));
        loading
    }

    /// Makes calls until all that the request waits for is in one, its own or another's.
    async fn make_calls(self, key: QueueKey, ticket: Arc<Ticket>, context: Arc<CallContext>) {
        loop {
            match self.with_queue(key, |queue| queue.next(&ticket, self.0.limits)) {
                None | Some(Next::Done) => return,
                Some(Next::Wait) => {
                    ticket.changed.notified().await;
                    continue;
                }
                Some(Next::Call) => {}
            }
            let reserving = self.0.upstream.reserve(context.reservation());
            let Some(reserved) = self.unless_done(key, &ticket, reserving).await else {
                return;
            };
            match reserved {
                Ok(permit) => {
                    let take = |queue: &mut Queue| queue.take(&ticket, self.0.limits);
                    let parts = self.with_queue(key, take).unwrap_or_default();
                    let call = self.clone().call(key, permit, parts);
                    // The last one needs no further task.
                    match self.with_queue(key, |queue| queue.next(&ticket, self.0.limits)) {
                        None | Some(Next::Done) => return call.await,
                        Some(Next::Wait | Next::Call) => drop(tokio::spawn(call)),
                    }
                }
                Err(error) => {
                    let remove = |queue: &mut Queue| queue.remove(&ticket);
                    if let Some(leases) = self.with_queue(key, remove).flatten() {
                        leases.fail(Arc::new(error.into()));
                    }
                    return;
                }
            }
        }
    }

    /// Waits, unless there is nothing more to do for the request before that.
    async fn unless_done<T>(
        &self,
        key: QueueKey,
        ticket: &Arc<Ticket>,
        waiting: impl Future<Output = T>,
    ) -> Option<T> {
        let mut waiting = pin!(waiting);
        loop {
            tokio::select! {
                biased;
                result = &mut waiting => return Some(result),
                () = ticket.changed.notified() => {
                    let next = self.with_queue(key, |queue| queue.next(ticket, self.0.limits));
                    if matches!(next, None | Some(Next::Done)) {
                        return None;
                    }
                }
            }
        }
    }

    /// One call, to its end.
    async fn call(self, key: QueueKey, permit: Permit, parts: Vec<Part>) {
        let tickets: Vec<_> = parts.iter().map(|part| Arc::clone(&part.ticket)).collect();
        match self.attempt(permit, parts).await {
            Ok(()) => {}
            Err((parts, error)) if parts.len() > 1 && error.is_leaders_fault() => {
                self.isolate(key, parts, error).await;
            }
            Err((parts, error)) => self.fail(key, parts, error).await,
        }
        for ticket in &tickets {
            self.with_queue(key, |queue| queue.call_ended(ticket));
        }
    }

    /// Fills the leases of one call, or gives them back with what went wrong.
    async fn attempt(&self, permit: Permit, parts: Vec<Part>) -> Result<(), (Vec<Part>, Failure)> {
        let Some(first) = parts.first() else {
            return Ok(());
        };
        parts.iter().for_each(|part| part.leases.mark_sent());
        let mut vehicles: Vec<_> = parts.iter().flat_map(|part| part.leases.items()).collect();
        if parts.len() > 1 {
            // Two requests may lead one vehicle, when a write came between them.
            let mut seen = HashSet::with_capacity(vehicles.len());
            vehicles.retain(|vehicle| seen.insert(*vehicle));
        }
        let headers = first.context.headers.clone();
        let fetching = self
            .0
            .fetch
            .fetch(permit, headers, vehicles.iter().copied());
        // Nothing of what has panicked is looked at again.
        let fetched = match AssertUnwindSafe(fetching).catch_unwind().await {
            Ok(fetched) => fetched,
            Err(_) => Err(CallError::Panic),
        };
        match fetched {
            Ok(elements) => {
                fill(parts, &vehicles, elements);
                Ok(())
            }
            Err(error) => {
                if error.refuses_credential() {
                    self.on_unauthorized(&first.context).await;
                }
                Err((parts, Arc::new(error)))
            }
        }
    }

    /// Tells everybody who waits that the call has failed. A request for which nothing can mask
    /// that is over: what it has not sent need not be.
    async fn fail(&self, key: QueueKey, parts: Vec<Part>, error: Failure) {
        for Part { ticket, context, leases } in parts {
            let is_masked = |vehicle| {
                let partition = context.partition.filter(|_| error.permits_stale())?;
                let now = tokio::time::Instant::now();
                self.0
                    .cache
                    .stale_if_error(partition, vehicle, &context.directives, now)
            };
            if !leases.items().all(|vehicle| is_masked(vehicle).is_some()) {
                if let Some(flight) = leases.flight() {
                    flight.leader_left();
                }
                self.with_queue(key, |queue| queue.leave(&ticket));
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

    /// Does something with a queue, if there is one, and forgets it when it is empty.
    fn with_queue<T>(&self, key: QueueKey, act: impl FnOnce(&mut Queue) -> T) -> Option<T> {
        let queues = &mut *self.0.queues.lock();
        let queue = queues.get_mut(&key)?;
        let result = act(queue);
        if queue.is_empty() {
            queues.remove(&key);
        }
        Some(result)
    }
}

/// Fills the leases of a call for `vehicles`, which are distinct.
fn fill(parts: Vec<Part>, vehicles: &[Vehicle], elements: Elements) {
    let Elements { mut of_vehicles, may_store, .. } = elements;
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
    all.fill(of_vehicles, may_store, Moment::now());
}

impl std::fmt::Debug for Loader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Loader")
            .field("limits", &self.0.limits)
            .finish_non_exhaustive()
    }
}

// === impl Loading ===

impl Drop for Loading {
    fn drop(&mut self) {
        if let Some(flight) = &self.flight {
            flight.leader_left();
        }
        if let Some((key, ticket)) = &self.waiting {
            self.loader.with_queue(*key, |queue| queue.leave(ticket));
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
