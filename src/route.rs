//! Which of Sync's endpoints a request is for: the only place that knows their paths.

use http::Method;

/// An endpoint of the Sync API, as far as the gateway treats it in a way of its own.
///
/// Decided once a request; metric labels, scopes, normalization and dispatch read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Route {
    /// `/api/batch/scraping/`, asked for results: `GET`, `QUERY`, or `POST` that says it is a
    /// `GET`.
    Batch,
    /// `/api/v2/vehicles/{vin}/status`
    VehicleStatus,
    /// `/api/upsert-vehicle-info`
    VehicleUpsert,
    /// `/api/vehicles`
    VehicleList,
    /// `/api/upsert-tax-identity`
    TaxIdentity,
    /// Everything else, also endpoints that Sync may add.
    Other,
}

/// What a request needs to be allowed to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Look something up.
    Read,
    /// Change something.
    Write,
}

/// The methods that anybody has a use for, as `Allow` lists them: others pass, too, but for those
/// that are about the way to a server.
pub const METHODS: &str = "GET, HEAD, OPTIONS, QUERY, POST, PUT, PATCH, DELETE";

/// The batch endpoint's path as Sync prints it.
pub const BATCH_PATH: &str = "/api/batch/scraping/";

const VEHICLE_STATUS_PREFIX: &str = "/api/v2/vehicles/";
const VEHICLE_STATUS_SUFFIX: &str = "/status";

// === impl Route ===

impl Route {
    /// Every route, in the order of [`Route::index`].
    pub const ALL: [Self; 6] = [
        Self::Batch,
        Self::VehicleStatus,
        Self::VehicleUpsert,
        Self::VehicleList,
        Self::TaxIdentity,
        Self::Other,
    ];

    /// The route of a request.
    ///
    /// `overridden` says that a `POST` carries `X-HTTP-Method-Override: GET`, which counts on
    /// the batch path only.
    pub fn of(method: &Method, path: &str, overridden: bool) -> Self {
        match path {
            "/api/batch/scraping/" | "/api/batch/scraping" => match *method {
                Method::GET | Method::QUERY => Self::Batch,
                Method::POST if overridden => Self::Batch,
                _ => Self::Other,
            },
            "/api/vehicles" => Self::VehicleList,
            "/api/upsert-vehicle-info" => Self::VehicleUpsert,
            "/api/upsert-tax-identity" => Self::TaxIdentity,
            _ if vehicle_status_vin(path).is_some() => Self::VehicleStatus,
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

    /// The metric label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Batch => "batch",
            Self::VehicleStatus => "vehicle_status",
            Self::VehicleUpsert => "vehicle_upsert",
            Self::VehicleList => "vehicle_list",
            Self::TaxIdentity => "tax_identity",
            Self::Other => "other",
        }
    }

    /// The place in [`Route::ALL`], for tables of handles by route.
    pub fn index(self) -> usize {
        self as usize
    }
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

    #[test]
    fn indexes_the_list_of_all_routes() {
        for (index, route) in Route::ALL.into_iter().enumerate() {
            assert_eq!(route.index(), index);
        }
    }
}
