//! The name of a request: in its answer, in its log line, and upstream.

use http::HeaderValue;

/// A request's `X-Request-Id`: the client's if it is sane, else made here. An extension of every
/// request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(HeaderValue);
