//! A running sandbox in the hands of a test.

use std::{fmt, net::SocketAddr, sync::Arc};

use http::HeaderMap;
use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;

use super::{
    account::Account,
    calls::{Call, Counters},
    faults::Faults,
    fleet::Class,
    serve::Shared,
};
use crate::vehicle::Vehicle;

/// A sandbox that serves until this is dropped.
#[must_use]
pub struct Handle {
    addr: SocketAddr,
    pub(super) shared: Arc<Shared>,
    task: AbortOnDropHandle<()>,
}

// === impl Handle ===

impl Handle {
    pub(super) fn new(addr: SocketAddr, shared: Arc<Shared>, task: JoinHandle<()>) -> Self {
        Self { addr, shared, task: AbortOnDropHandle::new(task) }
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
        self.shared.calls.recorded()
    }

    /// What was seen since the start or the last [`clear`](Self::clear).
    pub fn counters(&self) -> Counters {
        self.shared.calls.counters()
    }

    /// Waits until `reached` is true of the counters, for ever if need be.
    pub async fn until(&self, reached: impl Fn(&Counters) -> bool) -> Counters {
        self.shared.calls.until(reached).await
    }

    /// Puts these faults, one or several, in place of all in force. Lets go what hangs.
    pub fn set_faults(&self, faults: impl Into<Vec<Faults>>) {
        self.shared.faults.set(faults.into());
    }

    /// Puts no faults in force. Lets go what hangs.
    pub fn clear_faults(&self) {
        self.shared.faults.set(Vec::new());
    }

    /// Forgets calls, faults, writes and elements that were set.
    pub fn clear(&self) {
        self.shared.clear();
    }

    /// What the sandbox answers for a vehicle right now to a call with these headers: the bytes
    /// of its element; `None` without an element or without a credential.
    pub fn element(&self, vehicle: &Vehicle, headers: &HeaderMap) -> Option<String> {
        self.shared.element(vehicle, Account::of(headers)?)
    }

    /// Lets the sandbox answer exactly this text for a vehicle, to everyone, or leave it out.
    pub fn set_element(&self, vehicle: Vehicle, element: Option<&str>) {
        self.shared.store.pin(vehicle, element.map(str::to_owned));
    }

    /// How far Sync got with a vehicle.
    pub fn class(&self, vehicle: &Vehicle) -> Class {
        self.shared.fleet.class(vehicle)
    }

    /// Vehicles of a class, always the same ones in the same order, without an end.
    pub fn vehicles(&self, class: Class) -> impl Iterator<Item = Vehicle> {
        self.shared.fleet.vehicles(class)
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
