//! The JSON bodies of requests: small, soon there, and of known members.

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderMap,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};
use tokio::time::timeout;

use super::responses::Error;
use crate::{body::Body, headers::only, json, problem::Code};

const MAX_BODY: usize = 64 * 1024;

/// From its first byte to its last.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of an explanation, which may quote the request.
pub(super) const MAX_DETAIL: usize = 200;

/// The bytes of a body that says that it is JSON.
pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Bytes, Error> {
    if !has_json(headers) {
        let detail = "the body must be application/json";
        return Err(Error::new(Code::UnsupportedMediaType, detail));
    }
    let collected = timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY).collect()).await;
    let late = |_| Error::new(Code::RequestTimeout, "the body took too long");
    match collected.map_err(late)? {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(Error::new(Code::PayloadTooLarge, "the body is too large"))
        }
        Err(_) => Err(Error::new(Code::BadRequest, "the body is incomplete")),
    }
}

/// Its members.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Error> {
    json::object_from_slice(body).map_err(bad)
}

/// Whether a body is JSON as it stands. Parameters do not matter.
fn has_json(headers: &HeaderMap) -> bool {
    let content_type = only(headers, CONTENT_TYPE).ok().flatten();
    content_type.is_some_and(json::is_json) && !headers.contains_key(CONTENT_ENCODING)
}

/// A member that may be absent. One that is `null` is a mistake.
pub(super) fn some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
}

pub(super) fn bad(reason: impl std::fmt::Display) -> Error {
    let mut detail = reason.to_string();
    detail.truncate(detail.floor_char_boundary(MAX_DETAIL));
    Error::new(Code::BadRequest, detail)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn has_json_by_its_media_type_alone() {
        for (value, json) in [
            ("application/json", true),
            ("Application/JSON ; charset=utf-8", true),
            ("text/plain", false),
            ("application/jsonp", false),
            ("application/x-www-form-urlencoded", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))]);
            assert_eq!(has_json(&headers), json, "{value}");
        }
        assert!(!has_json(&HeaderMap::new()));
        let gzip = HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (CONTENT_ENCODING, HeaderValue::from_static("gzip")),
        ]);
        assert!(!has_json(&gzip));
    }
}
