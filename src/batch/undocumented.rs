//! Batches that say more than the documentation knows.
//!
//! What an unknown member or a query string means is for Sync to say, so nothing of such a
//! request may be answered from what others have received. It goes up as it is, but for the
//! spelling of its vehicles.

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Uri, header::CONTENT_TYPE, request};
use serde_json::value::RawValue;

use crate::{
    body::Body,
    headers,
    json::{Edits, Member, Members},
    route::BATCH_PATH,
    vehicle::clean,
};

/// The request that goes up: a `GET` on the documented path, its query as it was.
///
/// `body` was parsed before, so every vehicle in it is valid.
pub(super) fn request(mut head: request::Parts, body: Bytes) -> Request<Body> {
    let body = normalize(&body).unwrap_or(body);
    head.method = Method::GET;
    head.uri = uri(&head.uri);
    headers::describe_body(&mut head.headers, body.len());
    head.headers
        .entry(CONTENT_TYPE)
        .or_insert(HeaderValue::from_static("application/json"));
    Request::from_parts(head, Body::full(body))
}

fn uri(received: &Uri) -> Uri {
    match received.query() {
        Some(query) => format!("{BATCH_PATH}?{query}")
            .parse()
            .expect("a path and the query of a URI make a URI"),
        None => Uri::from_static(BATCH_PATH),
    }
}

/// `body` with every VIN and plate clean, `None` if they are already.
fn normalize(body: &[u8]) -> Option<Bytes> {
    let text = std::str::from_utf8(body).ok()?;
    let Members([Member::Once(list)]) = Members::parse(text, ["vehicles"]).ok()? else {
        return None;
    };
    let mut edits = Edits::new(text);
    for vehicle in serde_json::from_str::<Vec<&RawValue>>(list).ok()? {
        let Members(values) = Members::parse(vehicle.get(), ["vin", "plate"]).ok()?;
        for value in values {
            if let Member::Once(value) = value {
                let typed: String = serde_json::from_str(value).ok()?;
                // Letters and digits need no escapes.
                edits.replace(value, format!("\"{}\"", clean(&typed)));
            }
        }
    }
    edits.finish()
}

#[cfg(test)]
mod tests;
