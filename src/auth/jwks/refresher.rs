//! The one task that fetches: when the set is due, and when an unknown kid causes it.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};
use tracing::{debug, info, warn};

use super::{
    Error,
    fetcher::{Fetched, Fetcher, TIMEOUT},
    freshness,
    key_set::KeySet,
    left_out::LeftOut,
};
use crate::{
    auth::metrics::{FetchOutcome, Metrics},
    backoff::draw,
    causes::causes,
};

/// How long a set serves after it came, if no fetch succeeds any more.
const SERVES_FOR: Duration = Duration::from_secs(24 * 60 * 60);

/// Keeps the published keys fresh, as long as [`run`](Self::run) runs.
#[derive(Debug)]
pub struct Refresher {
    fetcher: Fetcher,
    published: Arc<KeySet>,
    metrics: Metrics,
}

/// When the next fetch is due, and when the current keys are too old.
#[derive(Debug)]
struct Plan {
    due_at: Instant,
    expires_at: Option<Instant>,
    /// In a row.
    failures: u32,
}

impl Refresher {
    pub(super) fn new(fetcher: Fetcher, published: Arc<KeySet>, metrics: Metrics) -> Self {
        Self { fetcher, published, metrics }
    }

    /// Whether there are published keys, and every change of that. It is `false` until the
    /// first fetch has succeeded, and again if none did for a day.
    pub fn in_force(&self) -> watch::Receiver<bool> {
        self.published.in_force()
    }

    /// Fetches at once and from then on, until `shutdown` ends.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        tokio::select! {
            () = shutdown => {}
            () = refresh(&self.published, &self.metrics, || self.fetcher.fetch()) => {}
        }
    }
}

/// Never ends.
async fn refresh<F>(published: &KeySet, metrics: &Metrics, fetch: impl Fn() -> F)
where
    F: Future<Output = Result<Fetched, Error>>,
{
    let mut plan = Plan::new(Instant::now());
    // Of the set that came last, so that each set has its lines once.
    let mut left_out = LeftOut::default();
    loop {
        published.begin();
        let fetched = timeout(TIMEOUT, fetch())
            .await
            .unwrap_or(Err(Error::Timeout));
        let now = Instant::now();
        if let Some(found) = of_set(&fetched) {
            found.log_unless(&mut left_out);
        }
        match fetched {
            Ok(fetched) => {
                metrics.refreshed(FetchOutcome::Loaded);
                plan.succeed(take(published, fetched), now, draw());
            }
            Err(error) => {
                metrics.refreshed(error.outcome());
                published.fail();
                plan.fail(now, draw());
                let (source, failures) = (causes(&error), plan.failures);
                warn!(%error, source, failures, "no key set was fetched");
            }
        }
        plan.wait(published).await;
    }
}

/// The keys that were left out of a set, also if no other is in it.
fn of_set(fetched: &Result<Fetched, Error>) -> Option<&LeftOut> {
    match fetched {
        Ok(fetched) => Some(&fetched.usable.left_out),
        Err(Error::Empty(left_out)) => Some(left_out),
        Err(_) => None,
    }
}

/// Makes a set the current one. Gives how long it is fresh.
///
/// An issuer that shows tokens whose keys it has not published is about to publish them: such a
/// set is not fresh for long, whatever came with it.
fn take(published: &KeySet, fetched: Fetched) -> Duration {
    let (keys, left_out) = (fetched.usable.keys.len(), fetched.usable.left_out.count());
    let change = published.succeed(fetched.usable.keys);
    if change.differs {
        info!(keys, left_out, "published keys loaded");
    } else {
        debug!(keys, left_out, "published keys stay as they are");
    }
    let bound = if change.leaves_unknown { freshness::DEFAULT } else { freshness::MAX };
    fetched.fresh_for.min(bound)
}

impl Plan {
    fn new(now: Instant) -> Self {
        Self { due_at: now, expires_at: None, failures: 0 }
    }

    fn succeed(&mut self, fresh_for: Duration, now: Instant, draw: u64) {
        self.due_at = now + freshness::refresh_after(fresh_for, draw);
        self.expires_at = Some(now + SERVES_FOR);
        self.failures = 0;
    }

    /// A set that is still fresh needs no other fetch, whatever caused this one.
    fn fail(&mut self, now: Instant, draw: u64) {
        self.failures = self.failures.saturating_add(1);
        self.due_at = self
            .due_at
            .max(now + freshness::retry_after(self.failures, draw));
    }

    /// Waits until a fetch is due or wanted. Meanwhile keys may have served their time.
    async fn wait(&mut self, published: &KeySet) {
        loop {
            tokio::select! {
                () = until(self.expires_at) => {
                    self.expires_at = None;
                    published.expire();
                    warn!("published keys dropped because they are too old");
                }
                () = sleep_until(self.due_at) => return,
                () = published.wanted() => return,
            }
        }
    }
}

async fn until(instant: Option<Instant>) {
    match instant {
        Some(instant) => sleep_until(instant).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
