//! Vehicles gathered from wherever they are: the cache, the calls of others, calls of one's own.

use std::{
    future::{pending, poll_fn},
    sync::Arc,
    task::Poll,
};

use foldhash::HashSet;
use futures_util::{StreamExt as _, stream};
use http::HeaderMap;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{CallError, Error, balanced, fetch::Fetch};
use crate::{
    cache::{
        Cache, CacheStatus, Cause, Claim, Class, Directives, Entry, Flight, Invalidate as _,
        InvalidationScope, Lease, Lookup, Outcome, Partition,
    },
    upstream::{Account, Turn},
    vehicle::Vehicle,
};

/// Why a flight failed, shared by everybody who waited for it.
pub type Failure = Arc<CallError>;

/// Gathers the vehicles of a request.
#[derive(Clone, Debug)]
pub(super) struct Gather {
    pub(super) cache: Cache<Failure>,
    pub(super) fetch: Fetch,
    pub(super) chunk: usize,
    pub(super) max_parallel: usize,
}

/// What is gathered, and for whom.
pub(super) struct Wanted<'a> {
    /// Distinct.
    pub(super) vehicles: &'a [Vehicle],
    /// `None`: no credential, so nothing is shared.
    pub(super) partition: Option<Partition>,
    /// On whose behalf calls are made.
    pub(super) account: Option<Account>,
    /// Whether the credential is an account's, not the caller's own.
    pub(super) of_account: bool,
    pub(super) directives: &'a Directives,
    /// The request's fields.
    pub(super) fields: &'a HeaderMap,
}

/// For whom calls are made: what they need of the request, and may outlive it.
struct Asker {
    partition: Option<Partition>,
    account: Option<Account>,
    of_account: bool,
    directives: Directives,
    head: HeaderMap,
    /// Of what the request leads.
    left: Option<CancellationToken>,
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
    /// The first failure that stale entries made good, in order of mention.
    pub(super) made_good: Option<Failure>,
}

/// How often vehicles are claimed anew whose calls were abandoned. Once is usual, when the
/// request that composed the call failed; more often means that something here is broken.
const MAX_ROUNDS: usize = 8;

// === impl Wanted ===

impl Wanted<'_> {
    fn failed(&self, error: Failure) -> Error {
        Error::Call { error, of_account: self.of_account }
    }
}

// === impl Gather ===

impl Gather {
    /// Gathers `wanted`. The first failure in order of mention decides, unless what is held may
    /// stand in for everything that failed.
    pub(super) async fn gather(&self, wanted: &Wanted<'_>) -> Result<Gathered, Error> {
        let mut gathering = Gathering::default();
        gathering.found.resize_with(wanted.vehicles.len(), || None);
        let mut open: Vec<usize> = (0..wanted.vehicles.len()).collect();
        for _ in 0..MAX_ROUNDS {
            let vehicles = open.iter().map(|&nth| wanted.vehicles[nth]);
            let claim =
                self.cache
                    .claim(wanted.partition, vehicles, wanted.directives, Instant::now());
            let Claim { places, lead, refresh } = claim;
            let own = lead.as_ref().map(Composed::new);
            let left = own.as_ref().map(|own| own.left.clone());
            self.fly([lead, refresh].into_iter().flatten(), wanted, left);
            open = self.settle(wanted, places, &open, &mut gathering).await?;
            if open.is_empty() {
                return Ok(gathering.into_gathered());
            }
        }
        Err(wanted.failed(Arc::new(CallError::Abandoned)))
    }

    /// Waits for each place in turn, and gives those vehicles of `open` that must be claimed
    /// anew.
    async fn settle(
        &self,
        wanted: &Wanted<'_>,
        places: Vec<Lookup<Failure>>,
        open: &[usize],
        gathering: &mut Gathering,
    ) -> Result<Vec<usize>, Error> {
        let mut again = Vec::new();
        for (place, &nth) in places.into_iter().zip(open) {
            let is_joined = matches!(place, Lookup::Joined(_));
            let part = match await_place(place, wanted).await? {
                Settled::Found(part) => part,
                Settled::Abandoned => {
                    again.push(nth);
                    continue;
                }
                // The call was another request's to compose, and so is the fault: what this one
                // wants of it is asked again without the rest, once.
                Settled::Failed(failure)
                    if is_joined && failure.blames_composer() && gathering.excused.insert(nth) =>
                {
                    again.push(nth);
                    continue;
                }
                Settled::Failed(failure) => {
                    let part = self.stand_in(wanted, nth, &failure)?;
                    gathering.made_good.get_or_insert(failure);
                    part
                }
            };
            gathering.found[nth] = Some(part);
        }
        Ok(again)
    }

    /// What is held for a vehicle whose call failed.
    fn stand_in(&self, wanted: &Wanted<'_>, nth: usize, failure: &Failure) -> Result<Part, Error> {
        let (partition, vehicle) = (wanted.partition, wanted.vehicles[nth]);
        match self.held(partition, vehicle, wanted.directives, failure) {
            Some(entry) => Ok(Part { entry, from: CacheStatus::StaleOnError }),
            None => Err(wanted.failed(Arc::clone(failure))),
        }
    }

    fn held(
        &self,
        partition: Option<Partition>,
        vehicle: Vehicle,
        directives: &Directives,
        failure: &CallError,
    ) -> Option<Arc<Entry>> {
        let partition = partition.filter(|_| failure.permits_stale())?;
        self.cache
            .stale_if_error(partition, vehicle, directives, Instant::now())
    }

    /// Makes the calls of a request, in a task of their own: whoever hangs up disturbs nobody.
    /// What somebody waits for goes first, and all together keep to `max_parallel`.
    fn fly(
        &self,
        leases: impl Iterator<Item = Lease<Failure>>,
        wanted: &Wanted<'_>,
        left: Option<CancellationToken>,
    ) {
        let cut = |lease: Lease<Failure>| {
            let sizes = balanced(lease.vehicles().len(), self.chunk);
            lease.split(sizes)
        };
        let chunks: Vec<_> = leases.flat_map(cut).collect();
        if chunks.is_empty() {
            return;
        }
        let asker = Asker {
            partition: wanted.partition,
            account: wanted.account,
            of_account: wanted.of_account,
            directives: wanted.directives.clone(),
            head: self.fetch.head(wanted.fields),
            left,
        };
        let this = self.clone();
        tokio::spawn(async move {
            stream::iter(chunks)
                .for_each_concurrent(this.max_parallel, |chunk| this.call(chunk, &asker))
                .await;
        });
    }

    async fn call(&self, chunk: Lease<Failure>, asker: &Asker) {
        if chunk.flight().is_given_up() {
            return;
        }
        let vehicles: Vec<_> = chunk.vehicles().collect();
        let (head, account) = (asker.head.clone(), asker.account);
        let (turn, sending) = (Turn::default(), chunk.sending());
        let asked = vehicles.iter().copied();
        let answered = tokio::select! {
            biased;
            answered = self.fetch.fetch(head, account, turn.clone(), asked, sending) => answered,
            // Whoever else wants some of it claims that anew.
            () = asker.has_left(&chunk, &turn) => return,
        };
        match answered {
            Ok(elements) => {
                chunk.fill(elements.of_vehicles, elements.may_store, Instant::now());
            }
            Err(error) => {
                self.mind_the_credential(asker, &error);
                let &Asker { partition, ref directives, .. } = asker;
                let is_held = |&it| self.held(partition, it, directives, &error).is_some();
                // Nothing can make it good, so the whole answer is this failure. The next call
                // would go up before the request hears of it.
                if !vehicles.iter().all(is_held) {
                    chunk.flight().give_up();
                    asker.leave();
                }
                chunk.fail(Arc::new(error));
            }
        }
    }

    /// A credential that the upstream refuses is no good any more: what it had access to is not
    /// its own.
    fn mind_the_credential(&self, asker: &Asker, error: &CallError) {
        let own = asker.partition.filter(|_| !asker.of_account);
        if own.is_some() && error.refuses_credential() {
            let scope = InvalidationScope { partition: own, ..InvalidationScope::default() };
            self.cache.invalidate(&scope, Cause::Unauthorized, None);
        }
    }
}

// === impl Asker ===

impl Asker {
    /// What is not sent yet need not be.
    fn leave(&self) {
        if let Some(left) = &self.left {
            left.cancel();
        }
    }

    /// Waits until nobody waits for `chunk` who has composed it, and it still waits for its turn.
    async fn has_left(&self, chunk: &Lease<Failure>, turn: &Turn) {
        match &self.left {
            Some(left) => left.cancelled().await,
            None => pending().await,
        }
        // What only refreshes is nobody's to wait for.
        poll_fn(|_| match chunk.flight().is_given_up() && turn.is_awaited() {
            true => Poll::Ready(()),
            false => Poll::Pending,
        })
        .await;
    }
}

/// Waits for one vehicle, wherever it comes from.
async fn await_place(place: Lookup<Failure>, wanted: &Wanted<'_>) -> Result<Settled, Error> {
    let is_private = wanted.partition.is_none() || wanted.directives.no_store;
    let (seat, from) = match place {
        Lookup::Hit(entry) => {
            let is_absent = entry.classes().are_only(Class::Absent);
            let from = if is_absent { CacheStatus::Absent } else { CacheStatus::Hit };
            return Ok(Settled::Found(Part { entry, from }));
        }
        Lookup::Stale(entry) => {
            return Ok(Settled::Found(Part { entry, from: CacheStatus::Stale }));
        }
        Lookup::NotCached => return Err(Error::NotCached),
        Lookup::Joined(seat) => (seat, CacheStatus::Joined),
        Lookup::Leading(seat) if is_private => (seat, CacheStatus::Bypass),
        Lookup::Leading(seat) => (seat, CacheStatus::Miss),
    };
    Ok(match seat.outcome().await {
        Outcome::Filled(entry) => Settled::Found(Part { entry, from }),
        Outcome::Failed(failure) => Settled::Failed(failure),
        Outcome::Abandoned => Settled::Abandoned,
    })
}

/// What came of one place.
enum Settled {
    Found(Part),
    Failed(Failure),
    Abandoned,
}

/// What is found so far.
#[derive(Default)]
struct Gathering {
    found: Vec<Option<Part>>,
    /// Vehicles that were asked again because others were to blame.
    excused: HashSet<usize>,
    made_good: Option<Failure>,
}

/// The flight that a request composed. When the request has its answer, has failed, or is given
/// up by its caller, what is not sent yet need not be; whoever waits for that claims it anew.
struct Composed {
    flight: Arc<Flight<Failure>>,
    left: CancellationToken,
}

// === impl Composed ===

impl Composed {
    fn new(lease: &Lease<Failure>) -> Self {
        Self { flight: Arc::clone(lease.flight()), left: CancellationToken::new() }
    }
}

impl Drop for Composed {
    fn drop(&mut self) {
        self.flight.give_up();
        self.left.cancel();
    }
}

// === impl Gathering ===

impl Gathering {
    fn into_gathered(self) -> Gathered {
        let parts = self.found.into_iter().flatten().collect();
        Gathered { parts, made_good: self.made_good }
    }
}

#[cfg(test)]
mod tests;
