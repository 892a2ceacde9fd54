//! A running sandbox, as a test sees it.

use std::{fmt, net::SocketAddr, sync::Arc};

use http::HeaderMap;
use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;

use super::{
    calls::{Call, Counters},
    faults::Faults,
    harness::Harness,
};
use crate::{
    sandbox::{account_tag::AccountTag, fleet::Class},
    vehicle::Vehicle,
};

/// A sandbox that serves until this is dropped.
#[must_use]
pub struct Handle {
    addr: SocketAddr,
    pub(in crate::sandbox) harness: Arc<Harness>,
    task: AbortOnDropHandle<()>,
}

impl Handle {
    pub(in crate::sandbox) fn new(
        addr: SocketAddr,
        harness: Arc<Harness>,
        task: JoinHandle<()>,
    ) -> Self {
        Self { addr, harness, task: AbortOnDropHandle::new(task) }
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where it listens, as an origin without a slash at its end.
    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The calls that came, the oldest first, as far as there is room for them.
    pub fn calls(&self) -> Vec<Call> {
        self.harness.calls.recorded()
    }

    /// What was seen since the start or the last [`clear`](Self::clear).
    pub fn counters(&self) -> Counters {
        self.harness.calls.counters()
    }

    /// Waits until `reached` is true of the counters, however long that takes.
    pub async fn until(&self, reached: impl Fn(&Counters) -> bool) -> Counters {
        self.harness.calls.until(reached).await
    }

    /// Replaces the active faults with these, one or several. Releases what hangs.
    pub fn set_faults(&self, faults: impl Into<Vec<Faults>>) {
        self.harness.faults.set(faults.into());
    }

    /// Removes all faults. Releases what hangs.
    pub fn clear_faults(&self) {
        self.harness.faults.set(Vec::new());
    }

    /// Forgets calls, faults, writes and elements that were set.
    pub fn clear(&self) {
        self.harness.clear();
    }

    /// What the sandbox sends for a vehicle right now to a call with these headers: the bytes of
    /// its element; `None` without an element or without a credential.
    pub fn element(&self, vehicle: &Vehicle, headers: &HeaderMap) -> Option<String> {
        self.harness.api.element(vehicle, AccountTag::of(headers)?)
    }

    /// Makes the sandbox send exactly this text for a vehicle, to everyone, or leave it out.
    pub fn set_element(&self, vehicle: Vehicle, element: Option<&str>) {
        self.harness
            .api
            .database
            .pin(vehicle, element.map(str::to_owned));
    }

    /// How far Sync got with a vehicle.
    pub fn class(&self, vehicle: &Vehicle) -> Class {
        self.harness.api.fleet.class(vehicle)
    }

    /// Vehicles of a class, always the same ones in the same order; there is no last one.
    pub fn vehicles(&self, class: Class) -> impl Iterator<Item = Vehicle> {
        self.harness.api.fleet.vehicles(class)
    }

    /// Ends it: when this returns, the port is closed and every connection cut.
    pub async fn stop(self) {
        self.task.abort();
        // It ends by being aborted.
        let _ = self.task.await;
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("addr", &self.addr)
            .finish_non_exhaustive()
    }
}
