//! `/sandbox/bytes`, `/sandbox/sink` and `/sandbox/echo`: ends for what is forwarded.

use http::{HeaderMap, Method};
use serde_json::{Value, json};

use super::{
    payload::{PATTERN, Payload},
    received::Received,
    response::{Answer, Refusal},
};

/// Bytes of a body that the echo gives back.
const MAX_ECHO: usize = 64 * 1024;

/// Answers a call to a path below `/sandbox/`, which is given without that.
pub(super) fn response(path: &str, received: &Received) -> Result<Answer, Refusal> {
    let method = &received.head.method;
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    match first {
        "bytes" if matches!(*method, Method::GET | Method::HEAD) => bytes(rest),
        "sink" if *method == Method::POST && rest.is_empty() => {
            Ok(Answer::json(&json!({ "length": received.length, "sha256": received.sha256 })))
        }
        "echo" => Ok(echo(received)),
        _ => Err(Refusal::not_found()),
    }
}

fn bytes(count: &str) -> Result<Answer, Refusal> {
    let fill = count.parse().map_err(|_| Refusal::not_found())?;
    let payload = Payload { filler: PATTERN, fill, ..Payload::new("") };
    Ok(Answer::of_type("application/octet-stream", payload))
}

fn echo(received: &Received) -> Answer {
    let body = Some(&received.body).filter(|body| body.len() <= MAX_ECHO);
    let text = body.and_then(|body| std::str::from_utf8(body).ok());
    Answer::json(&json!({
        "method": received.head.method.as_str(),
        "target": received.head.uri.to_string(),
        "version": format!("{:?}", received.head.version),
        "headers": fields(&received.head.headers),
        "trailers": fields(&received.trailers),
        "length": received.length,
        "sha256": received.sha256,
        // Nothing of a body that was too long to keep.
        "body": text.filter(|text| text.len() as u64 == received.length),
    }))
}

/// Fields in the order in which they came, as far as a header map keeps it.
fn fields(headers: &HeaderMap) -> Value {
    headers
        .iter()
        .map(|(name, value)| json!([name.as_str(), String::from_utf8_lossy(value.as_bytes())]))
        .collect()
}
