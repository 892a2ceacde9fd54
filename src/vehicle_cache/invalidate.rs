//! What a write takes away, and an operator's purge.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::future::BoxFuture;

use super::{
    Change, Failure, Hold, InvalidationScope, PurgeFilter, Tell, VehicleCache, VehicleTag,
};
use crate::{labels::labels, request_id::RequestId};

labels! {
    /// Why entries are dropped; the label of `vingate_cache_invalidations_total`.
    pub enum Cause {
        /// `PATCH` of a vehicle's status.
        VehicleStatus = "vehicle_status",
        /// `PUT` of a vehicle.
        VehicleUpsert = "vehicle_upsert",
        /// `PUT` of a tax identity.
        TaxIdentity = "tax_identity",
        /// Any other unsafe request.
        OtherWrite = "other_write",
        /// The upstream refused the credential that the entries were filled with.
        Unauthorized = "unauthorized",
        /// `POST /cache/purge` of the admin listener.
        Purge = "purge",
        /// Another replica said so.
        Replica = "replica",
        /// Other replicas may have written anything: their log was joined, lost or emptied.
        Lost = "lost",
    }
}

/// Why entries are dropped, and by which request, if the log has a line of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// Why.
    pub cause: Cause,
    /// The request of the write or of the purge.
    pub request: Option<RequestId>,
}

impl From<Cause> for Reason {
    /// By no request that the log has a line of.
    fn from(cause: Cause) -> Self {
        Self { cause, request: None }
    }
}

/// Where writes are told: the cache, whatever its calls fail with.
pub trait Invalidate: Send + Sync + 'static {
    /// A write is about to be sent that may change what `scope` says; `None`: that is not known
    /// before it is sent. Ready when it may go, with what its outcome is to be told instead of
    /// this. That is dropped when the write is over.
    ///
    /// `None`: nobody needs to know before.
    fn announce(
        &self,
        _scope: &dyn Fn() -> Option<InvalidationScope>,
    ) -> Option<BoxFuture<'static, Arc<dyn Invalidate>>> {
        None
    }

    /// Drops what `scope` covers. Nothing of it is served any more when the future is ready;
    /// whoever cannot wait for that has to have the future run all the same.
    ///
    /// `fence_for`: the outcome of the write is unknown, so nothing of what it may have changed
    /// is stored for this long. The fence stands as soon as this returns.
    fn invalidate_for(
        &self,
        scope: InvalidationScope,
        reason: Reason,
        fence_for: Option<Duration>,
    ) -> BoxFuture<'static, ()>;

    /// [`Self::invalidate_for`] a cause alone.
    fn invalidate(
        &self,
        scope: InvalidationScope,
        cause: Cause,
        fence_for: Option<Duration>,
    ) -> BoxFuture<'static, ()> {
        self.invalidate_for(scope, cause.into(), fence_for)
    }
}

impl<F: Failure> Invalidate for VehicleCache<F> {
    fn announce(
        &self,
        scope: &dyn Fn() -> Option<InvalidationScope>,
    ) -> Option<BoxFuture<'static, Arc<dyn Invalidate>>> {
        let announcing = self.contents().replicas.as_ref()?.announce(scope()?);
        let cache = self.clone();
        Some(Box::pin(async move {
            let told = AnnouncedWrite { cache, outcome: announcing.await };
            Arc::new(told) as Arc<dyn Invalidate>
        }))
    }

    fn invalidate_for(
        &self,
        scope: InvalidationScope,
        reason: Reason,
        fence_for: Option<Duration>,
    ) -> BoxFuture<'static, ()> {
        match &self.contents().replicas {
            None => self.invalidate_here(scope, reason, fence_for),
            Some(replicas) => self.invalidate_everywhere(&**replicas, scope, reason, fence_for),
        }
    }
}

impl<F: Failure> VehicleCache<F> {
    /// [`Invalidate::invalidate_for`] a write of another replica, which has told everybody itself.
    pub fn invalidate_here(
        &self,
        scope: InvalidationScope,
        reason: impl Into<Reason>,
        fence_for: Option<Duration>,
    ) -> BoxFuture<'static, ()> {
        let reason = reason.into();
        self.metrics().invalidations(reason.cause).inc();
        let drops = &self.contents().drops;
        drops.note(&scope, &reason, fence_for, SystemTime::now());
        self.remove(scope.into(), fence_for)
    }

    fn invalidate_everywhere(
        &self,
        replicas: &(impl Tell + ?Sized),
        scope: InvalidationScope,
        reason: Reason,
        fence_for: Option<Duration>,
    ) -> BoxFuture<'static, ()> {
        // First, so that none of it comes back from them behind that.
        let told = replicas.tell(Change::Of(scope.clone()), fence_for);
        let cause = reason.cause;
        let removed = self.invalidate_here(scope, reason, fence_for);
        match cause {
            // Nobody has written, so nobody has to wait for the others.
            Cause::Unauthorized => removed,
            _ => Box::pin(async move {
                removed.await;
                told.await;
            }),
        }
    }

    /// Drops what `scope` covers, and keeps it from being joined and stored until the hold is
    /// dropped: another replica makes a write.
    pub fn hold_vehicles(&self, scope: InvalidationScope, cause: Cause) -> Hold<F> {
        self.metrics().invalidations(cause).inc();
        let drops = &self.contents().drops;
        drops.note(&scope, &cause.into(), None, SystemTime::now());
        self.hold(&scope.into())
    }

    /// Drops everything at once.
    pub fn forget_vehicles(&self, cause: Cause) {
        if self.metrics().gauges.entries.get() > 0 {
            self.note_purge(PurgeFilter::default(), &cause.into());
        }
        self.forget();
    }

    fn note_purge(&self, filter: PurgeFilter, reason: &Reason) {
        self.metrics().invalidations(reason.cause).inc();
        let drops = &self.contents().drops;
        drops.note_purge(filter, reason, SystemTime::now());
    }

    /// Drops every entry that `filter` matches, and gives their number. Like a write, it also
    /// keeps calls that were sent before it was over from storing what they bring. Dropped before
    /// its end, it has done a part of that.
    pub async fn purge_vehicles(&self, filter: &PurgeFilter, reason: impl Into<Reason>) -> u64 {
        let replicas = self.contents().replicas.as_ref();
        let told = replicas.map(|replicas| replicas.tell(filter.change(), None));
        self.note_purge(*filter, &reason.into());
        let tags = [filter.vin.map(VehicleTag::Vin), filter.plate.map(VehicleTag::Plate)];
        let tags: Vec<_> = tags.into_iter().flatten().collect();
        let purged = self.purge(filter.partition, &tags).await;
        if let Some(told) = told {
            told.await;
        }
        purged
    }
}

/// Where the outcome of a write is told that other replicas know of already.
struct AnnouncedWrite<F: Failure> {
    cache: VehicleCache<F>,
    outcome: Arc<dyn Tell>,
}

impl<F: Failure> Invalidate for AnnouncedWrite<F> {
    fn invalidate_for(
        &self,
        scope: InvalidationScope,
        reason: Reason,
        fence_for: Option<Duration>,
    ) -> BoxFuture<'static, ()> {
        self.cache
            .invalidate_everywhere(&*self.outcome, scope, reason, fence_for)
    }
}
