//! Vehicles that other replicas have fetched, and those that they get.

use std::sync::Arc;

use tokio::task::yield_now;

use super::{
    Directives, Element, Entry, Failure, Found, Leases, Moment, Partition, Results, Source, Stored,
    VehicleCache,
};

/// Vehicles that are stored without a break.
const PIECE: usize = 500;

impl<F: Failure> VehicleCache<F> {
    /// Fills those of `leases` that other replicas have, and that a request with these directives
    /// takes. Gives the others when it is ready, which is soon.
    ///
    /// # Errors
    ///
    /// All of `leases`, if there is nobody to ask.
    pub fn fill_from_replicas(
        &self,
        partition: Partition,
        leases: Leases<F>,
        directives: &Directives,
    ) -> Result<impl Future<Output = Leases<F>> + Send + use<F>, Leases<F>> {
        let replicas = self.contents().replicas.as_ref();
        let replicas = replicas.filter(|_| !directives.no_cache && !directives.no_store);
        let finding = replicas.and_then(|it| it.find(partition, leases.items().collect()));
        let Some(finding) = finding else {
            return Err(leases);
        };
        let (cache, directives) = (self.clone(), directives.clone());
        Ok(async move {
            cache
                .fill_with_found(leases, finding.await, &directives)
                .await
        })
    }

    async fn fill_with_found(
        &self,
        mut leases: Leases<F>,
        found: Vec<Option<Found>>,
        directives: &Directives,
    ) -> Leases<F> {
        let mut found = found.into_iter();
        let mut others = leases.split_off(0);
        let mut rest = leases;
        while !others.is_empty() {
            let mut piece = others;
            others = piece.split_off(PIECE);
            let mut values = Vec::new();
            let filled = piece.extract(|_| {
                let value = found.next().flatten();
                let value = value.and_then(|found| self.usable(found, directives));
                let is_usable = value.is_some();
                values.extend(value);
                is_usable
            });
            let stored = filled.fill_with(values, true);
            self.metrics().refreshed(&stored);
            rest.append(piece);
            yield_now().await;
        }
        rest
    }

    /// What was found, if a request with these directives would take it from the cache as fresh.
    fn usable(&self, Found { record, age }: Found, directives: &Directives) -> Option<Results> {
        let now = Moment::now();
        let results = self.recall(record, age, Source::Shared, now)?;
        self.is_fresh(&results, directives, now.instant)
            .then_some(results)
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
            let stored = leases.fill(elements, may_store, Moment::now());
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
