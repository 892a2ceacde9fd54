//! What a client sees of errors, and the responses that say it.

use std::time::Duration;

use http::{
    HeaderMap, HeaderName, HeaderValue, Response, Version,
    header::{CONNECTION, CONTENT_TYPE, RETRY_AFTER},
};

use crate::{
    body::Body,
    loader::ErrorResponse,
    problem::{self, Code, Violation},
    proxy_status,
    request_id::RequestId,
};

/// What a client sees of an error: a problem, and the headers that go with it.
#[derive(Debug)]
pub(super) struct ProblemDetails {
    pub(super) code: Code,
    pub(super) detail: String,
    pub(super) problems: Vec<Violation>,
    pub(super) headers: HeaderMap,
    /// Whether nothing more is read from the connection.
    pub(super) closes: bool,
}

impl ProblemDetails {
    pub(super) fn new(code: Code, detail: impl ToString) -> Self {
        let (detail, headers) = (detail.to_string(), HeaderMap::new());
        Self { code, detail, problems: Vec::new(), headers, closes: false }
    }

    /// A failure of the upstream, with its error type (RFC 9209).
    pub(super) fn proxy(code: Code, error: &'static str, detail: impl ToString) -> Self {
        let mut details = Self::new(code, detail);
        proxy_status::set_error(&mut details.headers, error);
        details
    }

    pub(super) fn with(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Self {
        self.headers.insert(name, value.into());
        self
    }

    pub(super) fn after(self, retry_after: Duration) -> Self {
        self.with(RETRY_AFTER, whole_seconds(retry_after))
    }

    pub(super) fn closing(self) -> Self {
        Self { closes: true, ..self }
    }

    /// The response that says it.
    pub(super) fn response(self, id: Option<&RequestId>, version: Version) -> Response<Body> {
        let mut response = problem::response(self.code, &self.detail, id, &self.problems);
        let headers = response.headers_mut();
        headers.extend(self.headers);
        // Over HTTP/2 the stream ends with the response, and the connection is not the stream's.
        if self.closes && version < Version::HTTP_2 {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

/// An error response of the upstream, as it came.
pub(super) fn passed_on(received: &ErrorResponse, of_account: bool) -> Response<Body> {
    let mut response = Response::new(Body::full(received.body.clone()));
    *response.status_mut() = received.status;
    let headers = response.headers_mut();
    for (name, value) in
        [(CONTENT_TYPE, &received.content_type), (RETRY_AFTER, &received.retry_after)]
    {
        headers.extend(value.clone().map(|value| (name, value)));
    }
    if of_account {
        proxy_status::on_account_refused(received.status, headers);
    }
    response
}

/// At least one, rounded up: no client is to come too early.
fn whole_seconds(after: Duration) -> u64 {
    (after.as_secs() + u64::from(after.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_client_comes_too_early() {
        for (millis, seconds) in [(0, 1), (1, 1), (1000, 1), (1001, 2), (59_999, 60)] {
            assert_eq!(whole_seconds(Duration::from_millis(millis)), seconds, "{millis} ms");
        }
    }
}
