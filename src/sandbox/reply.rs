//! Responses that are whole before they are sent.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use serde::Serialize;

pub(super) fn no_content() -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// 200 with `value` as JSON.
pub(super) fn json(value: &impl Serialize) -> Response<Bytes> {
    // The sandbox serialises plain structs and values, which does not fail.
    json_bytes(serde_json::to_vec(value).unwrap_or_default())
}

/// 200 with bytes that are JSON already.
pub(super) fn json_bytes(bytes: impl Into<Bytes>) -> Response<Bytes> {
    let mut response = Response::new(bytes.into());
    let content_type = HeaderValue::from_static("application/json; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}
