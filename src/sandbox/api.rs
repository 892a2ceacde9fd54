//! The endpoints of the API, and what they respond.

use bytes::Bytes;
use http::{Method, Response};

use super::{
    account_tag::AccountTag,
    database::Database,
    element::View,
    error::ApiError,
    fleet::Fleet,
    received::Received,
    reply,
    scraping::{self, BatchCall},
    tax, vehicles,
};
use crate::vehicle::Vehicle;

/// The API: what Sync knows of vehicles, and what was written to it.
#[derive(Default)]
pub(super) struct Api {
    pub(super) fleet: Fleet,
    pub(super) database: Database,
}

pub(super) enum Endpoint<'a> {
    Batch(Result<BatchCall, ApiError>),
    ListVehicles,
    /// The VIN as it is written in the path.
    PatchStatus(&'a str),
    PutTax,
    PutVehicle,
    Unknown,
}

impl<'a> Endpoint<'a> {
    /// Paths are taken literally: whether Sync forgives a slash or another case is unknown.
    pub(super) fn of(received: &'a Received) -> Self {
        let path = received.head.uri.path();
        let vin = path
            .strip_prefix("/api/v2/vehicles/")
            .and_then(|rest| rest.strip_suffix("/status"));
        match (&received.head.method, path) {
            (&Method::GET, "/api/batch/scraping/") => Self::Batch(scraping::parse(received)),
            (&Method::GET, "/api/vehicles") => Self::ListVehicles,
            (&Method::PUT, "/api/upsert-vehicle-info") => Self::PutVehicle,
            (&Method::PUT, "/api/upsert-tax-identity") => Self::PutTax,
            (&Method::PATCH, _) if let Some(vin) = vin => Self::PatchStatus(vin),
            _ => Self::Unknown,
        }
    }

    pub(super) fn vehicles(&self) -> &[Vehicle] {
        match self {
            Self::Batch(Ok(call)) => &call.vehicles,
            _ => &[],
        }
    }
}

impl Api {
    pub(super) fn element(&self, vehicle: &Vehicle, account: AccountTag) -> Option<String> {
        self.database.pinned(vehicle).unwrap_or_else(|| {
            let version = self.database.version(vehicle, account);
            let dice = self.fleet.dice(vehicle);
            View { vehicle: *vehicle, dice, account, version }.element()
        })
    }

    /// The elements of a call, those that exist, each with its vehicle.
    pub(super) fn elements(&self, call: &BatchCall) -> Vec<(Vehicle, String)> {
        let element = |vehicle: &Vehicle| Some((*vehicle, self.element(vehicle, call.account)?));
        call.vehicles.iter().filter_map(element).collect()
    }

    pub(super) fn respond(
        &self,
        endpoint: Endpoint<'_>,
        received: &Received,
    ) -> Result<Response<Bytes>, ApiError> {
        match endpoint {
            Endpoint::Batch(call) => {
                Ok(reply::json_bytes(scraping::envelope(&self.elements(&call?))))
            }
            Endpoint::ListVehicles => vehicles::list(&self.database, received),
            Endpoint::PatchStatus(vin) => vehicles::patch_status(&self.database, vin, received),
            Endpoint::PutTax => tax::put(&self.database, received),
            Endpoint::PutVehicle => vehicles::put(&self.database, received),
            Endpoint::Unknown => Err(ApiError::not_found()),
        }
    }
}
