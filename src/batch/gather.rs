//! The vehicles of one request, wherever they come from: the cache, calls that others lead, calls
//! that it leads itself.

use std::sync::Arc;

use foldhash::HashSet;
use http::HeaderMap;
use tokio::time::Instant;

use super::Error;
use crate::{
    auth::Credential,
    loader::{CallContext, CallError, Failure, Loader},
    upstream::{Account, ClientId},
    vehicle::Vehicle,
    vehicle_cache::{
        CacheStatus, Class, Directives, Entry, Lookup, Lookups, Outcome, Partition, Waiter,
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
#[derive(Default)]
struct Gathering {
    found: Vec<Option<Part>>,
    /// Vehicles that were looked up again because another request was at fault.
    retried: HashSet<usize>,
    masked_failure: Option<Failure>,
}

/// How often vehicles are looked up: again when the request that led them has failed by its own
/// fault or gave up, and once more when two of that come together.
const MAX_ROUNDS: usize = 3;

/// Gathers what `wanted` says. The first failure in order of mention decides, unless stale entries
/// may be served for everything that failed.
pub(super) async fn gather(loader: &Loader, wanted: &Wanted<'_>) -> Result<Gathered, Error> {
    let mut gathering = Gathering::default();
    gathering.found.resize_with(wanted.vehicles.len(), || None);
    let mut open: Vec<usize> = (0..wanted.vehicles.len()).collect();
    for _ in 0..MAX_ROUNDS {
        let vehicles = open.iter().map(|&nth| wanted.vehicles[nth]);
        let Lookups { found, leases } =
            loader
                .cache()
                .lookup(wanted.partition, vehicles, wanted.directives, Instant::now());
        // Outlives the wait below: whoever is dropped meanwhile leaves as it is dropped.
        let _loading = (!leases.is_empty()).then(|| loader.load(leases, wanted.context(loader)));
        open = gathering.wait(loader, wanted, found, &open).await?;
        if open.is_empty() {
            let Gathering { found, masked_failure, .. } = gathering;
            return Ok(Gathered { parts: found.into_iter().flatten().collect(), masked_failure });
        }
    }
    Err(wanted.failed(Arc::new(CallError::Abandoned)))
}

// === impl Wanted ===

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
            headers: loader.headers(self.headers),
        }
    }
}

// === impl Gathering ===

impl Gathering {
    /// Waits for each vehicle in turn, and gives those of `open` that must be looked up again.
    async fn wait(
        &mut self,
        loader: &Loader,
        wanted: &Wanted<'_>,
        found: Vec<Lookup<Failure>>,
        open: &[usize],
    ) -> Result<Vec<usize>, Error> {
        let is_private = wanted.partition.is_none() || wanted.directives.no_store;
        let mut again = Vec::new();
        for (lookup, &nth) in found.into_iter().zip(open) {
            let part = match lookup {
                Lookup::Hit(entry) => {
                    let is_absent = entry.classes().are_only(Class::Absent);
                    let from = if is_absent { CacheStatus::Absent } else { CacheStatus::Hit };
                    Some(Part { entry, from })
                }
                Lookup::Stale(entry) => Some(Part { entry, from: CacheStatus::Stale }),
                Lookup::NotCached => return Err(Error::NotCached),
                Lookup::Joined(waiter) => {
                    self.outcome(loader, wanted, nth, waiter, CacheStatus::Joined)
                        .await?
                }
                Lookup::Leading(waiter) => {
                    let from = if is_private { CacheStatus::Bypass } else { CacheStatus::Miss };
                    self.outcome(loader, wanted, nth, waiter, from).await?
                }
            };
            if part.is_none() {
                again.push(nth);
            }
            self.found[nth] = part;
        }
        Ok(again)
    }

    /// What comes of a call for the `nth` vehicle; `None`: it has to be looked up again.
    async fn outcome(
        &mut self,
        loader: &Loader,
        wanted: &Wanted<'_>,
        nth: usize,
        mut waiter: Waiter<Failure>,
        from: CacheStatus,
    ) -> Result<Option<Part>, Error> {
        let failure = match waiter.outcome().await {
            Outcome::Filled(entry) => return Ok(Some(Part { entry, from })),
            Outcome::Abandoned => return Ok(None),
            Outcome::Failed(failure) => failure,
        };
        // Another request's fault: what this one wants is fetched without it, once.
        let is_others = from == CacheStatus::Joined && failure.is_leaders_fault();
        if is_others && self.retried.insert(nth) {
            return Ok(None);
        }
        let partition = wanted.partition.filter(|_| failure.permits_stale());
        let stale = partition.and_then(|partition| {
            let (vehicle, now) = (wanted.vehicles[nth], Instant::now());
            let cache = loader.cache();
            cache.stale_if_error(partition, vehicle, wanted.directives, now)
        });
        match stale {
            Some(entry) => {
                self.masked_failure.get_or_insert(failure);
                Ok(Some(Part { entry, from: CacheStatus::StaleOnError }))
            }
            None => Err(wanted.failed(failure)),
        }
    }
}

#[cfg(test)]
mod tests;
