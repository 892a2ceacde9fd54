//! The life of one call: read, recorded, delayed, done, broken, answered.

use std::{sync::Arc, time::Duration};

use http::{Method, Request, Response};
use hyper::body::Incoming;
use tokio::time;

use super::{
    account::Account,
    batch::{self, Asked},
    calls::{Calls, Kind},
    control::Control,
    element::View,
    faults::{ActiveFault, Faults},
    fleet::Fleet,
    helper,
    payload::Body,
    received::Received,
    response::{Answer, Refusal},
    store::Store,
    tax, vehicles,
};
use crate::vehicle::Vehicle;

/// What all calls share.
pub(super) struct Shared {
    pub(super) fleet: Fleet,
    pub(super) store: Store,
    pub(super) calls: Arc<Calls>,
    pub(super) faults: ActiveFault,
}

/// Why a call ends without its whole answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum Broken {
    /// A fault.
    #[error("the connection is closed instead of an answer, as asked for")]
    Closed,
    /// A fault.
    #[error("the answer is cut, as asked for")]
    Cut,
    /// No fault of ours.
    #[error("the request ended before its end")]
    Request(#[source] hyper::Error),
}

/// What a call is to.
enum Endpoint<'a> {
    Batch(Result<Asked, Refusal>),
    /// The path below `/sandbox/`.
    Helper(&'a str),
    ListVehicles,
    /// The VIN as it stands in the path.
    PatchStatus(&'a str),
    PutTax,
    PutVehicle,
    Unknown,
}

// === impl Shared ===

impl Shared {
    /// The right element of a vehicle as `account` sees it now.
    pub(super) fn element(&self, vehicle: &Vehicle, account: Account) -> Option<String> {
        self.store.pinned(vehicle).unwrap_or_else(|| {
            let version = self.store.version(vehicle, account);
            let dice = self.fleet.dice(vehicle);
            View { vehicle: *vehicle, dice, account, version }.element()
        })
    }

    /// Forgets calls, faults and writes; lets go what hangs.
    pub(super) fn clear(&self) {
        self.calls.clear();
        self.store.clear();
        self.faults.set(Vec::new());
    }

    /// Answers a request.
    ///
    /// # Errors
    ///
    /// The request broke off, or a fault wants the connection closed.
    pub(super) async fn serve(&self, request: Request<Incoming>) -> Result<Response<Body>, Broken> {
        let control = Control::of(request.method(), request.uri().path());
        let open = control.is_none().then(|| self.calls.open());
        let received = Received::read(request).await.map_err(Broken::Request)?;
        if let Some(control) = control {
            let response = control
                .response(self, &received)
                .unwrap_or_else(Answer::from);
            return Ok(response.into_response(false, open));
        }

        let endpoint = Endpoint::of(&received);
        let number = self
            .calls
            .record(endpoint.kind(), &received, endpoint.vehicles());
        let (faults, mut anew) = self.faults.match_call(endpoint.kind(), endpoint.vehicles());
        pass(faults.latency_of(number)).await;
        let response = self
            .work(endpoint, &received, &faults)
            .unwrap_or_else(|refusal| {
                self.calls.reject();
                refusal.into()
            });
        pass(faults.hold).await;
        if faults.hang {
            let _hanging = self.calls.hanging();
            // The sender is ours and outlives the call, so that this never fails.
            let _ = anew.changed().await;
        }
        if faults.close {
            return Err(Broken::Closed);
        }
        Ok(response
            .broken_by(&faults)
            .into_response(faults.chunked, open))
    }

    fn work(
        &self,
        endpoint: Endpoint<'_>,
        received: &Received,
        faults: &Faults,
    ) -> Result<Answer, Refusal> {
        match endpoint {
            Endpoint::Batch(asked) => {
                let Asked { account, vehicles } = asked?;
                let element = |vehicle: &Vehicle| Some((*vehicle, self.element(vehicle, account)?));
                let elements = vehicles.iter().filter_map(element).collect();
                Ok(Answer::json_bytes(batch::join(&vehicles, elements, &faults.twists)))
            }
            Endpoint::Helper(path) => helper::response(path, received),
            Endpoint::ListVehicles => vehicles::list(&self.store, received),
            Endpoint::PatchStatus(vin) => vehicles::patch_status(&self.store, vin, received),
            Endpoint::PutTax => tax::put(&self.store, received),
            Endpoint::PutVehicle => vehicles::put(&self.store, received),
            Endpoint::Unknown => Err(Refusal::not_found()),
        }
    }
}

// === impl Endpoint ===

impl<'a> Endpoint<'a> {
    /// Paths are taken literally: whether Sync forgives a slash or another case is unknown.
    fn of(received: &'a Received) -> Self {
        let path = received.head.uri.path();
        if let Some(helper) = path.strip_prefix("/sandbox/") {
            return Self::Helper(helper);
        }
        let vin = path
            .strip_prefix("/api/v2/vehicles/")
            .and_then(|rest| rest.strip_suffix("/status"));
        match (&received.head.method, path) {
            (&Method::GET, "/api/batch/scraping/") => Self::Batch(batch::parse(received)),
            (&Method::GET, "/api/vehicles") => Self::ListVehicles,
            (&Method::PUT, "/api/upsert-vehicle-info") => Self::PutVehicle,
            (&Method::PUT, "/api/upsert-tax-identity") => Self::PutTax,
            (&Method::PATCH, _) if let Some(vin) = vin => Self::PatchStatus(vin),
            _ => Self::Unknown,
        }
    }

    fn kind(&self) -> Kind {
        match self {
            Self::Batch(_) => Kind::Batch,
            Self::PatchStatus(_) => Kind::Patch,
            Self::PutTax | Self::PutVehicle => Kind::Put,
            Self::Helper(_) | Self::ListVehicles | Self::Unknown => Kind::Other,
        }
    }

    /// The vehicles that a sound batch call asks for.
    fn vehicles(&self) -> &[Vehicle] {
        match self {
            Self::Batch(Ok(asked)) => &asked.vehicles,
            _ => &[],
        }
    }
}

/// Lets `time` pass; a sleep of no time would still take up to a tick of the timer.
async fn pass(time: Duration) {
    if !time.is_zero() {
        time::sleep(time).await;
    }
}
