use std::sync::Arc;

use bytes::Bytes;
use http::{StatusCode, header::RETRY_AFTER};

use super::*;

fn incomplete() -> body::Failure {
    body::Failure::Incomplete("reset".into())
}

fn call(error: CallError) -> Error {
    Error::Batch(batch::Error::Call { error: Arc::new(error), of_account: true })
}

fn json() -> serde_json::Error {
    serde_json::from_str::<()>("x").unwrap_err()
}

#[test]
fn every_error_has_its_status_and_code() {
    for (error, status, code) in [
        (edge::Error::Host.into(), 400, "BadRequest"),
        (edge::Error::Framing.into(), 400, "BadRequest"),
        (edge::Error::Path.into(), 400, "BadRequest"),
        (edge::Error::Override.into(), 400, "BadRequest"),
        (edge::Error::Method.into(), 405, "MethodNotAllowed"),
        (edge::Error::UriTooLong { limit: 1 }.into(), 414, "UriTooLong"),
        (edge::Error::TooManyHeaders { limit: 1 }.into(), 431, "HeadersTooLarge"),
        (edge::Error::Expectation.into(), 417, "ExpectationFailed"),
        (limit::Error::Full.into(), 503, "Overloaded"),
        (limit::Error::ClientFull { hold: Duration::ZERO }.into(), 503, "Overloaded"),
        (limit::Error::Rate { retry_after: SOON }.into(), 429, "RateLimited"),
        (limit::Error::Deadline.into(), 504, "UpstreamTimeout"),
        (limit::Error::SlowBody.into(), 408, "RequestTimeout"),
        (auth::Error::Missing.into(), 401, "Unauthorized"),
        (auth::Error::Token(auth::TokenError::Expired).into(), 401, "Unauthorized"),
        (auth::Error::Scope { needed: "x".into() }.into(), 403, "Forbidden"),
        (auth::Error::NoAccount.into(), 403, "Forbidden"),
        (batch::Error::MediaType.into(), 415, "UnsupportedMediaType"),
        (batch::Error::ContentCoding(None).into(), 415, "UnsupportedMediaType"),
        (batch::Error::NoBody.into(), 400, "BadRequest"),
        (batch::Error::NoMediaType.into(), 400, "BadRequest"),
        (batch::Error::NotUtf8.into(), 400, "BadRequest"),
        (batch::Error::Json(json().into()).into(), 400, "BadRequest"),
        (batch::Error::Missing.into(), 400, "BadRequest"),
        (batch::Error::Empty.into(), 400, "BadRequest"),
        (batch::Error::TooMany { found: 2, limit: 1 }.into(), 413, "PayloadTooLarge"),
        (batch::Error::Vehicles(Vec::new()).into(), 400, "BadParameters"),
        (batch::Error::TooManyToPass { found: 2, limit: 1 }.into(), 400, "BadRequest"),
        (batch::Error::NotCached.into(), 504, "NotCached"),
        (batch::Error::Body(body::Failure::Idle).into(), 408, "RequestTimeout"),
        (batch::Error::Body(incomplete()).into(), 400, "BadRequest"),
        (batch::Error::Body(body::Failure::TooLarge { limit: 1 }).into(), 413, "PayloadTooLarge"),
        (call(CallError::Upstream(upstream::Error::Timeout)), 504, "UpstreamTimeout"),
        (
            call(CallError::Upstream(upstream::Error::Full {
                rest: Duration::ZERO,
                hold: Duration::ZERO,
            })),
            503,
            "Overloaded",
        ),
        (
            call(CallError::Upstream(upstream::Error::RetryAfter { rest: SOON })),
            503,
            "UpstreamUnavailable",
        ),
        (
            forward::Error::Upstream(upstream::Error::Open { rest: SOON }).into(),
            503,
            "UpstreamUnavailable",
        ),
        (call(CallError::Status(StatusCode::FOUND)), 502, "BadGateway"),
        (call(CallError::Incomplete(incomplete())), 502, "BadGateway"),
        (call(CallError::Incomplete(body::Failure::Idle)), 504, "UpstreamTimeout"),
        (call(CallError::Incomplete(body::Failure::TooLarge { limit: 1 })), 502, "BadGateway"),
        (call(CallError::Shape(json().into())), 502, "BadGateway"),
        (call(CallError::Abandoned), 503, "Overloaded"),
        (forward::Error::Body(incomplete()).into(), 400, "BadRequest"),
        (forward::Error::Upstream(upstream::Error::Timeout).into(), 504, "UpstreamTimeout"),
        (forward::Error::UnaskedUpgrade.into(), 502, "BadGateway"),
        (forward::Error::Loop.into(), 502, "BadGateway"),
        (forward::Error::Stopped.into(), 503, "Overloaded"),
        (Error::Panic, 500, "Internal"),
    ] {
        let details = error.details();
        assert_eq!(
            (details.code.status().as_u16(), details.code.as_str()),
            (status, code),
            "{error:?}"
        );
        assert!(error.response().is_none());

        // What is promised of whole families.
        let waits = matches!(status, 429 | 503);
        assert_eq!(details.headers.contains_key(RETRY_AFTER), waits, "{error:?}");
        let challenges = details.headers.contains_key(WWW_AUTHENTICATE);
        assert!(if status == 401 { challenges } else { !challenges || code == "Forbidden" });
        let is_upstreams = match &error {
            Error::Batch(batch::Error::Call { error, .. }) => {
                !matches!(**error, CallError::Abandoned)
            }
            _ => matches!(code, "BadGateway" | "UpstreamTimeout" | "UpstreamUnavailable"),
        };
        assert_eq!(details.headers.contains_key("proxy-status"), is_upstreams, "{error:?}");
        assert!(!details.detail.is_empty() && !details.detail.ends_with('.'));
    }
}

#[test]
fn a_challenge_says_no_more_than_it_must() {
    for (error, challenge) in [
        (auth::Error::Missing, Some("Bearer")),
        (
            auth::Error::Token(auth::TokenError::Expired),
            Some(r#"Bearer error="invalid_token", error_description="The access token expired""#),
        ),
        (
            auth::Error::Scope { needed: "vehicles:read".into() },
            Some(r#"Bearer error="insufficient_scope", scope="vehicles:read""#),
        ),
        (auth::Error::NoAccount, None),
    ] {
        let details = auth(&error);
        let found = details.headers.get(WWW_AUTHENTICATE);
        assert_eq!(found.map(|it| it.to_str().unwrap()), challenge);
    }
    let said = |reason| auth(&auth::Error::Token(reason)).detail;
    assert_eq!(
        said(auth::TokenError::Signature),
        said(auth::TokenError::UnknownKey),
        "nothing to probe"
    );
}

#[test]
fn an_error_response_of_the_upstream_is_passed_on_as_it_came() {
    let received = crate::loader::ErrorResponse {
        status: StatusCode::CONFLICT,
        content_type: None,
        retry_after: None,
        body: Bytes::from_static(b"x"),
    };
    let error = call(CallError::Refused(received));
    assert_eq!(error.response().unwrap().status(), StatusCode::CONFLICT);
    let options = Error::from(edge::Error::ServerOptions).response().unwrap();
    assert_eq!(options.status(), StatusCode::NO_CONTENT);
}
