//! A request, read to its end.

use std::fmt::Write as _;

use aws_lc_rs::digest::{Context, SHA256};
use bytes::Bytes;
use http::{HeaderMap, Request, request::Parts};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::Value;

use super::{account_tag::AccountTag, error::ApiError};

/// Bytes of a body that are kept; what is longer is only counted and digested.
const MAX_KEPT: usize = 1024 * 1024;

pub(super) struct Received {
    pub(super) head: Parts,
    /// The whole body, or nothing if it is longer than [`MAX_KEPT`].
    pub(super) body: Bytes,
    pub(super) length: u64,
    /// Of the whole body, in hexadecimal.
    pub(super) sha256: String,
    pub(super) trailers: HeaderMap,
}

impl Received {
    /// Reads `request` to its end, however long it is.
    ///
    /// # Errors
    ///
    /// The connection broke before the body's end, or the body is malformed.
    pub(super) async fn read(request: Request<Incoming>) -> Result<Self, hyper::Error> {
        let (head, mut incoming) = request.into_parts();
        let mut digest = Context::new(&SHA256);
        let mut body = Vec::new();
        let mut length = 0;
        let mut trailers = HeaderMap::new();
        while let Some(frame) = incoming.frame().await {
            match frame?.into_data() {
                Ok(data) => {
                    digest.update(&data);
                    length += data.len() as u64;
                    if length <= MAX_KEPT as u64 {
                        body.extend_from_slice(&data);
                    } else {
                        body = Vec::new();
                    }
                }
                Err(frame) => trailers.extend(frame.into_trailers().unwrap_or_default()),
            }
        }
        let sha256 = hexadecimal(digest.finish().as_ref());
        Ok(Self { head, body: body.into(), length, sha256, trailers })
    }

    /// The body as JSON; of a member that appears twice the last counts.
    ///
    /// # Errors
    ///
    /// `otherwise` for a body that is not JSON, 413 for one that is too long to look at.
    pub(super) fn json(&self, otherwise: fn(String) -> ApiError) -> Result<Value, ApiError> {
        if self.length > MAX_KEPT as u64 {
            return Err(ApiError::too_large());
        }
        serde_json::from_slice(&self.body)
            // The place, not the text: an error of serde_json may quote the body.
            .map_err(|error| {
                otherwise(format!("the body is not JSON, see column {}", error.column()))
            })
    }

    pub(super) fn account(&self) -> Option<AccountTag> {
        AccountTag::of(&self.head.headers)
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
            // Writing to a `String` does not fail.
            let _ = write!(text, "{byte:02x}");
            text
        })
}
