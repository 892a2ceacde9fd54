//! The documented errors.

use std::borrow::Cow;

use bytes::Bytes;
use http::{Response, StatusCode};
use serde_json::json;

use super::reply;

#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    /// The column "Error type" of the documentation.
    kind: &'static str,
    /// The column "Error detail" of the documentation.
    detail: &'static str,
    message: Cow<'static, str>,
}

impl ApiError {
    /// 400 of the batch: no vehicle given, the list missing or misspelled.
    pub(super) fn bad_request(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "badRequest", "BadRequest", message)
    }

    /// 400: a value is not what it has to be.
    pub(super) fn bad_parameters(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "badRequest", "BadParameters", message)
    }

    /// 401 as the older pages spell it.
    pub(super) fn unauthorize() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorize", "Unauthorize", "no credential")
    }

    /// 401 as the page of the vehicle status spells it.
    pub(super) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "unauthorized", "Unauthorized", "no credential")
    }

    pub(super) fn vehicle_not_found() -> Self {
        let message = "no active vehicle with this VIN";
        Self::new(StatusCode::NOT_FOUND, "notFound", "VehicleNotFound", message)
    }

    pub(super) fn multiple_vehicles_found() -> Self {
        let message = "several active vehicles with this VIN";
        Self::new(StatusCode::CONFLICT, "conflict", "MultipleVehiclesFound", message)
    }

    /// 409, undocumented: VIN and plate belong to different vehicles.
    pub(super) fn two_vehicles() -> Self {
        let message = "the VIN and the plate are of different vehicles";
        Self::new(StatusCode::CONFLICT, "conflict", "Conflict", message)
    }

    /// 404, undocumented: nothing is at this path.
    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "notFound", "NotFound", "no such method and path")
    }

    /// 413, undocumented: longer than the sandbox looks at.
    pub(super) fn too_large() -> Self {
        let status = StatusCode::PAYLOAD_TOO_LARGE;
        Self::new(status, "payloadTooLarge", "PayloadTooLarge", "above 1 MiB")
    }

    /// 507, undocumented: the sandbox remembers no more.
    pub(super) fn full() -> Self {
        let message = "POST /sandbox/reset makes room";
        Self::new(StatusCode::INSUFFICIENT_STORAGE, "sandboxFull", "SandboxFull", message)
    }

    fn new(
        status: StatusCode,
        kind: &'static str,
        detail: &'static str,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { status, kind, detail, message: message.into() }
    }
}

impl From<ApiError> for Response<Bytes> {
    fn from(error: ApiError) -> Self {
        let ApiError { status, kind, detail, message } = error;
        let mut response =
            reply::json(&json!({ "type": kind, "detail": detail, "message": message }));
        *response.status_mut() = status;
        response
    }
}
