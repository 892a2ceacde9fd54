//! Errors as `application/problem+json` (RFC 9457).

use http::{
    HeaderName, HeaderValue, Response, StatusCode, Version,
    header::{ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde::Serialize;

use super::error::{Kind, Problem, ProblemDetails};
use crate::{body::Body, loader::ErrorResponse, request_id::RequestId, route::METHODS, telemetry};

#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    code: &'static str,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    problems: &'a [Problem],
}

const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

/// The answer that tells a caller what is wrong.
pub(super) fn response(
    details: &ProblemDetails,
    id: Option<&RequestId>,
    version: Version,
) -> Response<Body> {
    let (status, code) = (details.kind.status(), details.kind.code());
    let document = Document {
        r#type: format!("urn:vingate:problem:{code}"),
        title: details.kind.title(),
        status: status.as_u16(),
        code,
        detail: &details.detail,
        request_id: id.map(RequestId::as_str),
        problems: &details.problems,
    };
    let json = serde_json::to_vec(&document).expect("strings and numbers make JSON");
    let mut response = Response::new(Body::full(json));
    *response.status_mut() = status;
    response.extensions_mut().insert(telemetry::Refusal(code));
    let head = response.headers_mut();
    head.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    head.extend(details.retry_after());
    if let Some(challenge) = &details.challenge {
        head.insert(WWW_AUTHENTICATE, challenge.clone());
    }
    if let Some(error) = details.proxy_error {
        let said = HeaderValue::try_from(format!("vingate; error={error}"));
        head.extend(said.ok().map(|said| (PROXY_STATUS, said)));
    }
    if details.kind == Kind::MethodNotAllowed {
        head.insert(ALLOW, HeaderValue::from_static(METHODS));
    }
    // Over HTTP/2 the stream ends with the answer, and the connection is not the stream's.
    if details.closes && version < Version::HTTP_2 {
        head.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

/// A refusal of the upstream, as it came.
pub(super) fn passed_on(refusal: &ErrorResponse, of_account: bool) -> Response<Body> {
    let mut response = Response::new(Body::full(refusal.body.clone()));
    *response.status_mut() = refusal.status;
    let head = response.headers_mut();
    head.extend(
        refusal
            .content_type
            .clone()
            .map(|value| (CONTENT_TYPE, value)),
    );
    head.extend(
        refusal
            .retry_after
            .clone()
            .map(|value| (RETRY_AFTER, value)),
    );
    if of_account && refusal.status == StatusCode::UNAUTHORIZED {
        // It is not the caller's credential that Sync does not know.
        head.insert(PROXY_STATUS, HeaderValue::from_static("vingate; received-status=401"));
    }
    response
}
