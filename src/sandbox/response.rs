//! An answer before it is sent, and the documented refusals.

use std::borrow::Cow;

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName},
};
use serde::Serialize;
use serde_json::json;

use super::{
    calls::Counted,
    faults::Faults,
    payload::{Body, Payload},
};

/// A status, fields and what the body will be.
#[derive(Debug)]
pub(super) struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    payload: Payload,
}

/// A call that the documentation forbids.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    /// The column "Error type" of the documentation.
    kind: &'static str,
    /// The column "Error detail" of the documentation.
    detail: &'static str,
    message: Cow<'static, str>,
}

// === impl Answer ===

impl Answer {
    /// 204.
    pub(super) fn no_content() -> Self {
        Self {
            status: StatusCode::NO_CONTENT,
            headers: HeaderMap::new(),
            payload: Payload::new(""),
        }
    }

    /// 200 with bytes that are JSON already.
    pub(super) fn json_bytes(bytes: impl Into<Bytes>) -> Self {
        Self::of_type("application/json; charset=utf-8", Payload::new(bytes))
    }

    /// 200 with `value` as JSON.
    pub(super) fn json(value: &impl Serialize) -> Self {
        // The sandbox serialises plain structs and values, which does not fail.
        Self::json_bytes(serde_json::to_vec(value).unwrap_or_default())
    }

    /// 200 with `payload`.
    pub(super) fn of_type(content_type: &'static str, payload: Payload) -> Self {
        let content_type = HeaderValue::from_static(content_type);
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, content_type)]);
        Self { status: StatusCode::OK, headers, payload }
    }

    /// Breaks what `faults` want broken of a status, fields and body.
    pub(super) fn broken_by(mut self, faults: &Faults) -> Self {
        if let Some(status) = faults.status {
            let fault = json!({ "type": "fault", "detail": "Fault", "message": "as asked for" });
            self = Self::json(&fault);
            self.status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        }
        if let Some(body) = &faults.body {
            self.payload = Payload::new(body.clone());
        }
        for (name, value) in &faults.headers {
            if let (Ok(name), Ok(value)) =
                (HeaderName::try_from(name), HeaderValue::try_from(value))
            {
                self.headers.insert(name, value);
            }
        }
        let missing = faults
            .pad_to
            .unwrap_or_default()
            .saturating_sub(self.payload.length());
        self.payload.fill += missing;
        self.payload.cut_after = faults.cut_after;
        self.payload.bytes_per_second = faults.bytes_per_second;
        self
    }

    /// The response, of unknown length if `chunked`; `open` lives until its last byte.
    pub(super) fn into_response(self, chunked: bool, open: Option<Counted>) -> Response<Body> {
        let length = self.payload.length();
        let mut response = Response::new(self.payload.into_body(open));
        *response.status_mut() = self.status;
        *response.headers_mut() = self.headers;
        if length > 0 && !chunked {
            response.headers_mut().insert(CONTENT_LENGTH, length.into());
        }
        response
    }
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        let Refusal { status, kind, detail, message } = refusal;
        let answer = Self::json(&json!({ "type": kind, "detail": detail, "message": message }));
        Self { status, ..answer }
    }
}

// === impl Refusal ===

impl Refusal {
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

    /// 404: no active vehicle with this VIN.
    pub(super) fn vehicle_not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "notFound",
            "VehicleNotFound",
            "no active vehicle with this VIN",
        )
    }

    /// 409: several active vehicles with this VIN.
    pub(super) fn multiple_vehicles_found() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "conflict",
            "MultipleVehiclesFound",
            "several active vehicles with this VIN",
        )
    }

    /// 409, undocumented: the VIN is one vehicle's, the plate another's.
    pub(super) fn two_vehicles() -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "conflict",
            "Conflict",
            "the VIN and the plate are of different vehicles",
        )
    }

    /// 404, undocumented: nothing is at this path.
    pub(super) fn not_found() -> Self {
        Self::new(StatusCode::NOT_FOUND, "notFound", "NotFound", "no such method and path")
    }

    /// 413, undocumented: longer than the sandbox looks at.
    pub(super) fn too_large() -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "payloadTooLarge",
            "PayloadTooLarge",
            "above 1 MiB",
        )
    }

    /// 507, undocumented: the sandbox remembers no more.
    pub(super) fn full() -> Self {
        Self::new(
            StatusCode::INSUFFICIENT_STORAGE,
            "sandboxFull",
            "SandboxFull",
            "POST /sandbox/reset makes room",
        )
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
