//! `/sandbox/bytes`, `/sandbox/sink` and `/sandbox/echo`: counterparts for what is forwarded.

use http::{HeaderMap, HeaderValue, Method, Response, header::CONTENT_TYPE};
use serde_json::{Value, json};

use super::payload::{PATTERN, Payload};
use crate::sandbox::{error::ApiError, received::Received, reply};

/// Bytes of a body that the echo returns.
const MAX_ECHO: usize = 64 * 1024;

/// The response to a call below `/sandbox/`; `None` for any other path.
pub(super) fn respond(received: &Received) -> Option<Result<Response<Payload>, ApiError>> {
    let path = received.head.uri.path().strip_prefix("/sandbox/")?;
    let method = &received.head.method;
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    Some(match first {
        "bytes" if matches!(*method, Method::GET | Method::HEAD) => bytes(rest),
        "sink" if *method == Method::POST && rest.is_empty() => {
            let sink = json!({ "length": received.length, "sha256": received.sha256 });
            Ok(reply::json(&sink).map(Payload::new))
        }
        "echo" => Ok(echo(received)),
        _ => Err(ApiError::not_found()),
    })
}

fn bytes(count: &str) -> Result<Response<Payload>, ApiError> {
    let fill = count.parse().map_err(|_| ApiError::not_found())?;
    let payload = Payload { filler: PATTERN, fill, ..Payload::new("") };
    let mut response = Response::new(payload);
    let content_type = HeaderValue::from_static("application/octet-stream");
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    Ok(response)
}

fn echo(received: &Received) -> Response<Payload> {
    let body = Some(&received.body).filter(|body| body.len() <= MAX_ECHO);
    let text = body.and_then(|body| std::str::from_utf8(body).ok());
    let echo = json!({
        "method": received.head.method.as_str(),
        "target": received.head.uri.to_string(),
        "version": format!("{:?}", received.head.version),
        "headers": pairs(&received.head.headers),
        "trailers": pairs(&received.trailers),
        "length": received.length,
        "sha256": received.sha256,
        // Nothing of a body that was too long to keep.
        "body": text.filter(|text| text.len() as u64 == received.length),
    });
    reply::json(&echo).map(Payload::new)
}

/// Headers in the order in which they came, as far as a header map keeps it.
fn pairs(headers: &HeaderMap) -> Value {
    headers
        .iter()
        .map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]))
        .collect()
}
