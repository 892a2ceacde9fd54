//! Vehicles that other replicas have fetched, and those that they get.

use std::{mem, sync::Arc};

use tokio::{task::yield_now, time::Instant};

use super::{
    Directives, Element, Entry, Failure, Found, Leases, Moment, Partition, Results, Search, Sought,
    Source, Stored, VehicleCache,
};
use crate::vehicle::Vehicle;

/// Leases that are filled with what other replicas have fetched, or are about to.
pub struct FromReplicas<F: Failure> {
    cache: VehicleCache<F>,
    search: Box<dyn Search>,
    directives: Directives,
    asked_at: Instant,
    leases: Leases<F>,
    next: Next,
}

/// What is to be done for the leases that are left.
enum Next {
    Find,
    Lease,
    Wait,
}

/// Vehicles that are stored without a break.
const PIECE: usize = 500;

impl<F: Failure> VehicleCache<F> {
    /// Looks for `leases` among what other replicas have fetched that a request with these
    /// directives takes.
    ///
    /// # Errors
    ///
    /// All of `leases`, if there is nobody to ask.
    pub fn ask_replicas(
        &self,
        partition: Partition,
        leases: Leases<F>,
        directives: &Directives,
    ) -> Result<FromReplicas<F>, Leases<F>> {
        let replicas = self.contents().replicas.as_ref();
        let replicas = replicas.filter(|_| !directives.no_cache && !directives.no_store);
        let Some(search) = replicas.and_then(|it| it.search(partition, leases.len())) else {
            return Err(leases);
        };
        Ok(FromReplicas {
            cache: self.clone(),
            search,
            directives: directives.clone(),
            asked_at: Instant::now(),
            leases,
            next: Next::Find,
        })
    }

    /// Stores what other replicas have of `vehicles` and this one lacks, for a request that wants no
    /// call (`only-if-cached`).
    pub async fn take_from_replicas(
        &self,
        partition: Partition,
        vehicles: impl Iterator<Item = Vehicle>,
        directives: &Directives,
    ) {
        if self.contents().replicas.is_none() {
            return;
        }
        // Who joins meanwhile looks again.
        let leading = Directives { only_if_cached: false, ..directives.clone() };
        let lookups = self.lookup(Some(partition), vehicles, &leading, Instant::now());
        if lookups.leases.is_empty() {
            return;
        }
        if let Ok(mut from_replicas) = self.ask_replicas(partition, lookups.leases, &leading) {
            drop(from_replicas.find().await);
        }
    }

    /// Fills `leases`, which are of a partition or of nobody's, with what a call has brought, and
    /// lets other replicas have what is stored. `note` is told of it first.
    pub fn fill_from_call(
        &self,
        partition: Option<Partition>,
        leases: Leases<F>,
        elements: Vec<Element>,
        may_store: bool,
        note: impl Fn(Partition, &[Stored<F>]),
    ) {
        let mut called = Some((leases, elements));
        let mut fill = || {
            let Some((leases, elements)) = called.take() else {
                return Vec::new();
            };
            let now = Moment::now();
            if let Some(partition) = partition {
                let fetched = &self.contents().fetched;
                fetched.note(partition, leases.items(), now.wall);
            }
            let stored = leases.fill(elements, may_store, now);
            self.metrics().refreshed(&stored);
            if let Some(partition) = partition {
                note(partition, &stored);
            }
            let entries = stored.into_iter().map(|stored| (stored.item, stored.entry));
            entries.collect::<Vec<(_, Arc<Entry>)>>()
        };
        match self.contents().replicas.as_ref().zip(partition) {
            Some((replicas, partition)) => replicas.share(partition, &mut fill),
            None => drop(fill()),
        }
    }
}

impl<F: Failure> FromReplicas<F> {
    /// Fills what the others have. Gives leases that have to be filled from here as soon as there
    /// are some; `None`: there are no more.
    pub async fn next(&mut self) -> Option<Leases<F>> {
        loop {
            self.leases.drop_unwanted();
            if self.leases.is_empty() {
                return None;
            }
            let rest = match mem::replace(&mut self.next, Next::Wait) {
                Next::Find => {
                    self.next = Next::Lease;
                    self.find().await
                }
                Next::Lease => {
                    let sought = self.search.lease(self.leases.items().collect()).await;
                    self.sort(sought.into_iter()).await
                }
                Next::Wait => {
                    let sought = self.search.wait(self.leases.items().collect()).await;
                    self.sort(sought.into_iter()).await
                }
            };
            if !rest.is_empty() {
                return Some(rest);
            }
        }
    }

    /// Fills what the others have fetched. Gives refreshes, and what the request does not take.
    async fn find(&mut self) -> Leases<F> {
        let found = self.search.find(self.leases.items().collect()).await;
        let sought = found
            .into_iter()
            .map(|it| it.map_or(Sought::Awaited, Sought::Found));
        let mut rest = self.sort(sought).await;
        // For refreshes nobody waits, here or elsewhere.
        rest.append(self.leases.extract(|lease| lease.is_refresh()));
        rest
    }

    /// Goes on with what is known of each lease. Gives those that are to be filled from here.
    async fn sort(&mut self, mut sought: impl Iterator<Item = Sought>) -> Leases<F> {
        let mut others = self.leases.split_off(0);
        let mut rest = others.split_off(others.len());
        while !others.is_empty() {
            let mut piece = others;
            others = piece.split_off(PIECE);
            let (mut values, mut are_awaited) = (Vec::new(), Vec::new());
            let filled = piece.extract(|lease| {
                let (value, is_awaited) = match sought.next() {
                    Some(Sought::Found(found)) => (self.usable(found), false),
                    Some(Sought::Awaited) => (None, true),
                    Some(Sought::Missing(Some(guard))) => {
                        lease.keep(guard);
                        (None, false)
                    }
                    Some(Sought::Missing(None)) | None => (None, false),
                };
                let is_filled = value.is_some();
                values.extend(value);
                are_awaited.extend((!is_filled).then_some(is_awaited));
                is_filled
            });
            let stored = filled.fill_with(values, true);
            self.cache.metrics().refreshed(&stored);
            let mut are_awaited = are_awaited.into_iter();
            let awaited = piece.extract(|_| are_awaited.next().unwrap_or(false));
            self.leases.append(awaited);
            rest.append(piece);
            yield_now().await;
        }
        rest
    }

    /// What was found, if the request would take it from the cache, or if Sync responded after it
    /// had come.
    fn usable(&self, Found { record, age }: Found) -> Option<Results> {
        let Self { cache, directives, asked_at, .. } = self;
        let now = Moment::now();
        let results = cache.recall(record, age, Source::Shared, now)?;
        cache
            .is_wanted(&results, directives, *asked_at)
            .then_some(results)
    }
}
