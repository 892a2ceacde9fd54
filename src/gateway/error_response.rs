//! The responses that stand for errors.

use std::time::Duration;

use http::{
    HeaderValue, Response, StatusCode, Version,
    header::{ACCEPT_ENCODING, ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};

use super::error::ProblemDetails;
use crate::{
    body::Body,
    loader::ErrorResponse,
    problem::{self, Code},
    proxy_status,
    request_id::RequestId,
    route::METHODS,
};

/// The response that says what is wrong.
pub(super) fn response(
    details: &ProblemDetails,
    id: Option<&RequestId>,
    version: Version,
) -> Response<Body> {
    let mut response = problem::response(details.code, &details.detail, id, &details.problems);
    let headers = response.headers_mut();
    if let Some(after) = details.retry_after {
        headers.insert(RETRY_AFTER, whole_seconds(after).into());
    }
    if let Some(challenge) = &details.challenge {
        headers.insert(WWW_AUTHENTICATE, challenge.clone());
    }
    if let Some(error) = details.proxy_error {
        proxy_status::set_error(headers, error);
    }
    if details.wants_identity {
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    if details.code == Code::MethodNotAllowed {
        headers.insert(ALLOW, HeaderValue::from_static(METHODS));
    }
    // Over HTTP/2 the stream ends with the response, and the connection is not the stream's.
    if details.closes && version < Version::HTTP_2 {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// The response to `OPTIONS *`.
pub(super) fn options() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(METHODS));
    response
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
