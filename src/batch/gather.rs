//! The vehicles of one request, wherever they come from: the cache, calls that others lead, calls
//! that it leads itself.

use std::sync::Arc;

use foldhash::HashSet;
use http::HeaderMap;
use tokio::time::{Instant, timeout_at};

use super::Error;
use crate::{
    auth::Credential,
    loader::{CallContext, CallError, Failure, Loader},
    long_work,
    trace::{RequestTrace, Step, StepSpan},
    upstream::{self, Account, ClientId},
    vehicle::Vehicle,
    vehicle_cache::{
        CacheStatus, Class, Directives, Entry, Lookup, Lookups, Outcome, Partition, Source, Waiter,
    },
};

/// What a request asks for, and on whose behalf.
pub(super) struct Wanted<'a> {
    /// Distinct.
    pub(super) vehicles: &'a [Vehicle],
    /// `None`: nothing is shared, because there is no credential or no cache.
    pub(super) partition: Option<Partition>,
    pub(super) credential: Option<&'a Credential>,
    pub(super) client: Option<ClientId>,
    pub(super) directives: &'a Directives,
    pub(super) headers: &'a HeaderMap,
    pub(super) trace: &'a RequestTrace,
    /// When whatever is there by then has to do.
    pub(super) deadline: Instant,
}

/// What was found of one vehicle.
#[derive(Clone, Debug)]
pub(super) struct Part {
    pub(super) entry: Arc<Entry>,
    pub(super) from: CacheStatus,
}

/// All that was found, one part for each vehicle.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) parts: Vec<Part>,
    /// The first failure behind which stale entries are served, in order of mention.
    pub(super) masked_failure: Option<Failure>,
}

/// What is found so far.
struct Gathering<'a> {
    loader: &'a Loader,
    wanted: &'a Wanted<'a>,
    found: Vec<Option<Part>>,
    /// Vehicles that were looked up again because another request was at fault.
    retried: HashSet<usize>,
    masked_failure: Option<Failure>,
    /// The wait for calls that is under way.
    waiting: Option<StepSpan>,
}

/// Vehicles with which even reading and looking them up is long work.
pub(super) const MANY: usize = 2_000;

/// How often vehicles are looked up: again when the request that led them has failed by its own
/// fault or gave up, and once more when two of that come together.
const MAX_ROUNDS: usize = 3;

/// Gathers what `wanted` says. The first failure in order of mention decides, unless stale entries
/// may be served for everything that failed.
pub(super) async fn gather(loader: &Loader, wanted: &Wanted<'_>) -> Result<Gathered, Error> {
    if wanted.directives.only_if_cached
        && let Some(partition) = wanted.partition
    {
        let (cache, vehicles) = (loader.cache(), wanted.vehicles.iter().copied());
        cache
            .take_from_replicas(partition, vehicles, wanted.directives)
            .await;
    }
    let mut gathering = Gathering::new(loader, wanted);
    gathering.round(0..wanted.vehicles.len()).await?;
    for _ in 1..MAX_ROUNDS {
        let missing = gathering.missing();
        if missing.is_empty() {
            break;
        }
        gathering.round(missing.into_iter()).await?;
    }
    let Gathering { found, masked_failure, .. } = gathering;
    match found.into_iter().collect() {
        Some(parts) => Ok(Gathered { parts, masked_failure }),
        None => Err(wanted.failed(Arc::new(CallError::Abandoned))),
    }
}

impl Part {
    /// Of what is fresh in a cache, be it another replica's.
    fn held(entry: Arc<Entry>) -> Self {
        let is_absent = entry.classes().are_only(Class::Absent);
        let from = if is_absent { CacheStatus::Absent } else { CacheStatus::Hit };
        Self { entry, from }
    }
}

impl Wanted<'_> {
    fn is_account(&self) -> bool {
        self.credential
            .is_some_and(|credential| credential.is_account)
    }

    fn failed(&self, error: Failure) -> Error {
        Error::Call { error, of_account: self.is_account() }
    }

    fn context(&self, loader: &Loader) -> CallContext {
        let digest = self.credential.and_then(|credential| credential.digest);
        CallContext {
            partition: self.partition,
            account: digest.map(Account),
            client: self.client,
            is_account: self.is_account(),
            directives: self.directives.clone(),
            trace: self.trace.clone(),
            headers: loader.headers(self.headers),
        }
    }
}

impl<'a> Gathering<'a> {
    fn new(loader: &'a Loader, wanted: &'a Wanted<'a>) -> Self {
        let mut found = Vec::new();
        found.resize_with(wanted.vehicles.len(), || None);
        let retried = HashSet::default();
        Self { loader, wanted, found, retried, masked_failure: None, waiting: None }
    }

    /// Looks the vehicles of these numbers up, and waits for each in turn.
    async fn round(
        &mut self,
        numbers: impl ExactSizeIterator<Item = usize> + Clone,
    ) -> Result<(), Error> {
        let Self { loader, wanted, .. } = *self;
        let vehicles = numbers.clone().map(|nth| wanted.vehicles[nth]);
        let (cache, asked_at) = (loader.cache(), Instant::now());
        let looking_up = wanted.trace.step(Step::Lookup);
        let look_up = || cache.lookup(wanted.partition, vehicles, wanted.directives, asked_at);
        let Lookups { found, leases } = long_work::run(numbers.len() >= MANY, look_up).await;
        drop(looking_up);
        // Outlives the wait below: whoever is dropped meanwhile leaves as it is dropped.
        let _loading = (!leases.is_empty()).then(|| loader.load(leases, wanted.context(loader)));

        let has_joined = found
            .iter()
            .any(|lookup| matches!(lookup, Lookup::Joined(_)));
        if let Some(partition) = wanted.partition.filter(|_| has_joined) {
            loader.joined(partition);
        }

        let is_private = wanted.partition.is_none() || wanted.directives.no_store;
        for (lookup, nth) in found.into_iter().zip(numbers) {
            self.found[nth] = match lookup {
                Lookup::Hit(entry) => Some(Part::held(entry)),
                Lookup::Stale(entry) => Some(Part { entry, from: CacheStatus::Stale }),
                Lookup::NotCached => return Err(Error::NotCached),
                Lookup::Joined(waiter) => {
                    self.outcome(nth, waiter, CacheStatus::Joined, asked_at)
                        .await?
                }
                Lookup::Leading(waiter) => {
                    let from = if is_private { CacheStatus::Bypass } else { CacheStatus::Miss };
                    self.outcome(nth, waiter, from, asked_at).await?
                }
            };
        }
        self.waiting = None;
        Ok(())
    }

    /// The numbers of vehicles that have to be looked up again.
    fn missing(&self) -> Vec<usize> {
        let numbered = self.found.iter().enumerate();
        numbered
            .filter(|(_, part)| part.is_none())
            .map(|(nth, _)| nth)
            .collect()
    }

    /// What comes of a call for the `nth` vehicle, or of what other replicas have; `None`: it has to
    /// be looked up again.
    async fn outcome(
        &mut self,
        nth: usize,
        mut waiter: Waiter<Failure>,
        from: CacheStatus,
        asked_at: Instant,
    ) -> Result<Option<Part>, Error> {
        let Self { loader, wanted, .. } = *self;
        self.waiting
            .get_or_insert_with(|| wanted.trace.step(Step::Wait));
        let outcome = match timeout_at(wanted.deadline, waiter.outcome()).await {
            Ok(outcome) => outcome,
            Err(_) => match self.stale(nth) {
                Some(part) => {
                    let late = upstream::Error::Timeout.into();
                    self.masked_failure.get_or_insert_with(|| Arc::new(late));
                    return Ok(Some(part));
                }
                None => waiter.outcome().await,
            },
        };
        if let Some(waiting) = &mut self.waiting {
            waiting.link(|| waiter.call());
        }
        let failure = match outcome {
            Outcome::Filled(entry) => {
                let cache = loader.cache();
                let is_wanted = cache.is_wanted(&entry, wanted.directives, asked_at);
                return Ok(is_wanted.then(|| match entry.source() {
                    Source::Call => Part { entry, from },
                    Source::Shared | Source::Snapshot => Part::held(entry),
                }));
            }
            Outcome::Abandoned => return Ok(None),
            Outcome::Failed(failure) => failure,
        };
        // Another request's fault: what this one wants is fetched without it, once.
        let is_others = from == CacheStatus::Joined && failure.is_leaders_fault();
        if is_others && self.retried.insert(nth) {
            return Ok(None);
        }
        let permits_stale = failure.permits_stale();
        match permits_stale.then(|| self.stale(nth)).flatten() {
            Some(part) => {
                self.masked_failure.get_or_insert(failure);
                Ok(Some(part))
            }
            None => Err(wanted.failed(failure)),
        }
    }

    /// What is still held of the `nth` vehicle, if it may stand in.
    fn stale(&self, nth: usize) -> Option<Part> {
        let Self { loader, wanted, .. } = *self;
        let (vehicle, now) = (wanted.vehicles[nth], Instant::now());
        let cache = loader.cache();
        let entry = cache.stale_if_error(wanted.partition?, vehicle, wanted.directives, now)?;
        Some(Part { entry, from: CacheStatus::StaleOnError })
    }
}

#[cfg(test)]
mod tests;
