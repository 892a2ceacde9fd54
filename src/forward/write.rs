//! What a write drops from the cache, and when.
//!
//! Before the head of the response leaves, so that whoever has seen the response never reads what
//! was there before; and also when the outcome of the write is unknown.

use std::{fmt, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use http::{Method, Request, Response, StatusCode};
use tokio::runtime::Handle;
use tokio_util::task::TaskTracker;

use super::{
    HarmlessWrite,
    request_body::{BodyMonitor, Capture},
    shared::Shared,
    vehicle_refs::VehicleRefs,
};
use crate::{
    auth::Credential,
    body::Body,
    request_context::RequestContext,
    route::{Access, Route},
    upstream,
    vehicle_cache::{Cause, Invalidate, InvalidationScope, Partition, Reason},
};

/// A write that is on its way.
pub(super) struct Write {
    cache: Arc<dyn Invalidate>,
    reason: Reason,
    named_by_target: VehicleRefs,
    body: Option<Arc<BodyMonitor>>,
    partition: Option<Partition>,
    /// How long nothing of its vehicles is stored if its outcome stays unknown.
    fence_for: Duration,
    /// Runs invalidations that no request waits for.
    tasks: TaskTracker,
    runtime: Handle,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It was done.
    Done,
    /// It was not done, for certain.
    Refused,
    /// It may have been done or not.
    Unknown,
}

/// The duty to say what became of a write. Dropped unsaid, the outcome is unknown.
#[must_use = "dropped at once, the write counts as given up"]
pub(super) struct Pending(Option<Arc<Write>>);

/// Why a request would drop entries; `None` if it changes nothing.
pub(super) fn cause(request: &Request<Body>, harmless: &[HarmlessWrite]) -> Option<Cause> {
    let route = RequestContext::of(request.extensions()).route;
    if route.access(request.method()) == Access::Read {
        return None;
    }
    // What is documented to change vehicles is no harmless write, whatever is configured.
    if route == Route::Other && harmless.iter().any(|write| write.matches(request)) {
        return None;
    }
    Some(match (route, request.method()) {
        (Route::VehicleStatus, &Method::PATCH) => Cause::VehicleStatus,
        (Route::VehicleUpsert, &Method::PUT) => Cause::VehicleUpsert,
        (Route::TaxIdentity, &Method::PUT) => Cause::TaxIdentity,
        _ => Cause::OtherWrite,
    })
}

/// How much of the body of a write has to be looked at, up to `limit` bytes.
pub(super) fn capture_for(cause: Cause, body: &Body, limit: usize) -> Capture {
    match cause {
        // The path says it all, or nothing does.
        Cause::VehicleStatus | Cause::TaxIdentity => Capture::Nothing,
        _ => Capture::of(body, limit),
    }
}

/// The entries that were filled with the client's own credential; `None` for an account's.
pub(super) fn own_partition(credential: Option<&Credential>) -> Option<Partition> {
    credential
        .filter(|credential| !credential.is_account)
        .and_then(partition)
}

fn partition(credential: &Credential) -> Option<Partition> {
    credential.digest.as_ref().map(Partition::new)
}

impl Write {
    /// The write that `request` is, before its body is sent; `body` watches it being sent.
    pub(super) fn new(
        request: &Request<Body>,
        cause: Cause,
        shared: &Shared,
        credential: Option<Credential>,
        body: Option<Arc<BodyMonitor>>,
    ) -> Self {
        let mut named_by_target = VehicleRefs::default();
        if cause != Cause::TaxIdentity {
            named_by_target.add_path(request.uri().path());
            if cause == Cause::OtherWrite {
                named_by_target.guess_plates(request.uri().path());
            }
            named_by_target.add_query(request.uri().query().unwrap_or_default());
        }
        Self {
            cache: Arc::clone(&shared.cache),
            reason: Reason { cause, request: RequestContext::of(request.extensions()).id.clone() },
            named_by_target,
            body,
            partition: credential.as_ref().and_then(partition),
            fence_for: shared.config.attempt_timeout,
            tasks: shared.tasks.clone(),
            runtime: Handle::current(),
        }
    }

    /// Lets those know who have to know before the write is sent, as far as its body does not say
    /// only later what it changes.
    pub(super) async fn announce(&mut self) {
        let announcing = self.cache.announce(&|| {
            let is_known = |body: &Arc<BodyMonitor>| body.with_capture(Capture::is_over);
            self.body
                .as_ref()
                .is_none_or(is_known)
                .then(|| self.scope())
        });
        if let Some(announcing) = announcing {
            self.cache = announcing.await;
        }
    }

    /// Everything that this write may have changed, as far as it was sent.
    fn scope(&self) -> InvalidationScope {
        let mut refs = self.named_by_target.clone();
        let is_all = self.body.as_ref().is_none_or(|body| {
            body.with_capture(|capture| match capture {
                Capture::Nothing => true,
                Capture::Unreadable => false,
                // A body of known length may end without anybody asking for its end, so a part may
                // be the whole; whether it is, the JSON itself shows.
                Capture::Whole(json) | Capture::Part { bytes: json, .. } => refs.add_json(json),
                Capture::TooLong(json) => {
                    refs.add_json(json);
                    false
                }
            })
        });
        let VehicleRefs { mut vins, mut plates, is_sure } = refs;
        vins.sort_unstable();
        vins.dedup();
        plates.sort_unstable();
        plates.dedup();
        // A write that may name more than was found, or names nothing for sure, may change anything.
        let partition = self.partition.filter(|_| !is_sure || !is_all);
        InvalidationScope { vins, plates, partition }
    }

    fn has_failed(&self) -> bool {
        self.body.as_ref().is_some_and(|body| body.has_failed())
    }

    fn drop_entries(&self, fence_for: Option<Duration>) -> BoxFuture<'static, ()> {
        self.cache
            .invalidate_for(self.scope(), self.reason.clone(), fence_for)
    }

    /// Its outcome is unknown, and no request waits for it.
    fn give_up(&self) {
        let dropping = self.drop_entries(Some(self.fence_for));
        self.tasks.spawn_on(dropping, &self.runtime);
    }
}

impl fmt::Debug for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Write")
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

impl Outcome {
    /// What a response, or the lack of one, says of the write.
    pub(super) fn of(response: &Result<Box<Response<Body>>, upstream::Error>) -> Self {
        match response {
            Ok(response) => Self::of_status(response.status()),
            Err(error) if error.was_sent() => Self::Unknown,
            Err(_) => Self::Refused,
        }
    }

    /// It in a word.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused => "refused",
            Self::Unknown => "unknown",
        }
    }

    fn of_status(status: StatusCode) -> Self {
        match status {
            // A proxy on the way gave up; what happened behind it is unknown.
            StatusCode::REQUEST_TIMEOUT => Self::Unknown,
            _ if status.is_success() || status.is_redirection() => Self::Done,
            _ if status.is_client_error() => Self::Refused,
            _ => Self::Unknown,
        }
    }
}

impl Pending {
    /// Takes the duty for `write`.
    pub(super) fn new(write: Arc<Write>) -> Self {
        Self(Some(write))
    }

    /// The write ended like this. Ready when nothing that it changed is served any more.
    pub(super) async fn finish(mut self, outcome: Outcome) {
        let Some(write) = self.0.take() else {
            return;
        };
        let outcome = if write.has_failed() { Outcome::Unknown } else { outcome };
        match outcome {
            Outcome::Done => write.drop_entries(None).await,
            Outcome::Refused => {}
            Outcome::Unknown => write.drop_entries(Some(write.fence_for)).await,
        }
    }

    /// The outcome was said elsewhere.
    pub(super) fn release(mut self) {
        self.0 = None;
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(write) = self.0.take() {
            write.give_up();
        }
    }
}

#[cfg(test)]
mod tests;
