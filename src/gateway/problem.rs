//! Errors as `application/problem+json` (RFC 9457).

use http::{
    HeaderName, HeaderValue, Response, StatusCode, Version,
    header::{ALLOW, CONNECTION, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde::Serialize;

use super::error::{Kind, Problem, Told};
use crate::{batch::Refusal, body::Body, request_id::RequestId, route::METHODS, telemetry};

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
pub(super) fn answer(told: &Told, id: Option<&RequestId>, version: Version) -> Response<Body> {
    let (status, code) = (told.kind.status(), told.kind.code());
    let document = Document {
        r#type: format!("urn:vingate:problem:{code}"),
        title: told.kind.title(),
        status: status.as_u16(),
        code,
        detail: &told.detail,
        request_id: id.map(RequestId::as_str),
        problems: &told.problems,
    };
    let json = serde_json::to_vec(&document).expect("strings and numbers make JSON");
    let mut answer = Response::new(Body::full(json));
    *answer.status_mut() = status;
    answer.extensions_mut().insert(telemetry::Refusal(code));
    let head = answer.headers_mut();
    head.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    head.extend(told.retry_after());
    if let Some(challenge) = &told.challenge {
        head.insert(WWW_AUTHENTICATE, challenge.clone());
    }
    if let Some(error) = told.proxy_error {
        let said = HeaderValue::try_from(format!("vingate; error={error}"));
        head.extend(said.ok().map(|said| (PROXY_STATUS, said)));
    }
    if told.kind == Kind::MethodNotAllowed {
        head.insert(ALLOW, HeaderValue::from_static(METHODS));
    }
    // Over HTTP/2 the stream ends with the answer, and the connection is not the stream's.
    if told.closes && version < Version::HTTP_2 {
        head.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    answer
}

/// A refusal of the upstream, as it came.
pub(super) fn passed_on(refusal: &Refusal, of_account: bool) -> Response<Body> {
    let mut answer = Response::new(Body::full(refusal.body.clone()));
    *answer.status_mut() = refusal.status;
    let head = answer.headers_mut();
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
    answer
}
