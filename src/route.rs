//! Which of Sync's endpoints a request is for: the only place that knows their paths.

use http::Method;

use crate::labels::labels;

labels! {
    /// An endpoint of the Sync API, as far as the gateway treats it in a way of its own; a metric
    /// label.
    ///
    /// Decided once a request; metrics, scopes, normalization and dispatch read it.
    #[derive(Hash)]
    pub enum Route {
        /// `/api/batch/scraping/` with `GET`, `QUERY`, or `POST` overridden with `GET`.
        Batch = "batch",
        /// `/api/v2/vehicles/{vin}/status`
        VehicleStatus = "vehicle_status",
        /// `/api/upsert-vehicle-info`
        VehicleUpsert = "vehicle_upsert",
        /// `/api/vehicles`
        VehicleList = "vehicle_list",
        /// `/api/upsert-tax-identity`
        TaxIdentity = "tax_identity",
        /// Everything else, also endpoints that Sync may add.
        Other = "other",
    }
}

/// What a request needs to be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Look something up.
    Read,
    /// Change something.
    Write,
}

/// The usual methods, for `Allow`. Others are forwarded, too, but for those that are about the
/// connection.
pub const METHODS: &str = "GET, HEAD, OPTIONS, QUERY, POST, PUT, PATCH, DELETE";

/// The batch endpoint's path as Sync prints it.
pub const BATCH_PATH: &str = "/api/batch/scraping/";

const VEHICLE_STATUS_PREFIX: &str = "/api/v2/vehicles/";
const VEHICLE_STATUS_SUFFIX: &str = "/status";

impl Route {
    /// The route of a request.
    ///
    /// `overridden` says that a `POST` carries `X-HTTP-Method-Override: GET`, which counts on
    /// the batch path only.
    pub fn of(method: &Method, path: &str, overridden: bool) -> Self {
        match path {
            path if is_batch_path(path) => match *method {
                Method::GET | Method::QUERY => Self::Batch,
                Method::POST if overridden => Self::Batch,
                _ => Self::Other,
            },
            "/api/vehicles" => Self::VehicleList,
            "/api/upsert-vehicle-info" => Self::VehicleUpsert,
            "/api/upsert-tax-identity" => Self::TaxIdentity,
            path if vehicle_status_vin(path).is_some() => Self::VehicleStatus,
            _ => Self::Other,
        }
    }

    /// What `method` on this route needs: `GET`, `HEAD`, `OPTIONS`, `QUERY` and every form of
    /// the batch read, all else writes.
    pub fn access(self, method: &Method) -> Access {
        match *method {
            _ if self == Self::Batch => Access::Read,
            Method::GET | Method::HEAD | Method::OPTIONS | Method::QUERY => Access::Read,
            _ => Access::Write,
        }
    }
}

/// Whether it is the batch endpoint's path, with or without the last slash.
pub fn is_batch_path(path: &str) -> bool {
    path.strip_suffix('/').unwrap_or(path) == BATCH_PATH.trim_end_matches('/')
}

/// The `{vin}` of a `/api/v2/vehicles/{vin}/status` path, as it stands there.
///
/// The segment is not decoded. It is not empty and holds no slash.
pub fn vehicle_status_vin(path: &str) -> Option<&str> {
    let vin = path
        .strip_prefix(VEHICLE_STATUS_PREFIX)?
        .strip_suffix(VEHICLE_STATUS_SUFFIX)?;
    (!vin.is_empty() && !vin.contains('/')).then_some(vin)
}

/// The path of the status of the vehicle with this VIN.
pub fn vehicle_status_path(vin: &str) -> String {
    format!("{VEHICLE_STATUS_PREFIX}{vin}{VEHICLE_STATUS_SUFFIX}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_syncs_endpoints() {
        for (method, path, overridden, route) in [
            (Method::GET, "/api/batch/scraping/", false, Route::Batch),
            (Method::GET, "/api/batch/scraping", false, Route::Batch),
            (Method::QUERY, "/api/batch/scraping/", false, Route::Batch),
            (Method::POST, "/api/batch/scraping/", true, Route::Batch),
            (Method::POST, "/api/batch/scraping/", false, Route::Other),
            (Method::PUT, "/api/batch/scraping/", true, Route::Other),
            (Method::HEAD, "/api/batch/scraping/", false, Route::Other),
            (Method::GET, "/api/batch/scraping//", false, Route::Other),
            (Method::GET, "/API/batch/scraping/", false, Route::Other),
            (Method::GET, "/api/vehicles", false, Route::VehicleList),
            (Method::PUT, "/api/upsert-vehicle-info", false, Route::VehicleUpsert),
            (Method::PUT, "/api/upsert-tax-identity", false, Route::TaxIdentity),
            (Method::PATCH, "/api/v2/vehicles/3VW/status", false, Route::VehicleStatus),
            (Method::PATCH, "/api/v2/vehicles//status", false, Route::Other),
            (Method::PATCH, "/api/v2/vehicles/a/b/status", false, Route::Other),
            (Method::PATCH, "/api/v2/vehicles/status", false, Route::Other),
            (Method::GET, "/", false, Route::Other),
        ] {
            assert_eq!(Route::of(&method, path, overridden), route, "{method} {path}");
        }
    }

    #[test]
    fn reads_need_read_and_the_rest_needs_write() {
        for (method, route, access) in [
            (Method::GET, Route::VehicleList, Access::Read),
            (Method::HEAD, Route::Other, Access::Read),
            (Method::OPTIONS, Route::Other, Access::Read),
            (Method::QUERY, Route::Other, Access::Read),
            (Method::POST, Route::Batch, Access::Read),
            (Method::POST, Route::Other, Access::Write),
            (Method::PATCH, Route::VehicleStatus, Access::Write),
            (Method::DELETE, Route::Other, Access::Write),
        ] {
            assert_eq!(route.access(&method), access, "{method} {route:?}");
        }
    }
}
