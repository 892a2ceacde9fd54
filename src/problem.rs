//! Problem details (RFC 9457): the only writer of `application/problem+json`, and every code that
//! a problem can have.

use std::fmt;

use http::{HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use serde::Serialize;

use crate::{body::Body, request_id::RequestId};

macro_rules! codes {
    ($($code:ident = $status:ident,)+) => {
        /// What is wrong, in one word; each has one status. An extension of the response.
        #[allow(missing_docs, reason = "the names are the codes")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code { $($code,)+ }

        impl Code {
            /// Every code.
            pub const ALL: &[Self] = &[$(Self::$code),+];

            /// The word itself: Sync's own where it has one.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$code => stringify!($code),)+ }
            }

            /// The place in `ALL`.
            pub fn index(self) -> usize {
                self as usize
            }

            /// The status of the response.
            pub fn status(self) -> StatusCode {
                match self { $(Self::$code => StatusCode::$status,)+ }
            }
        }
    };
}

codes! {
    BadGateway = BAD_GATEWAY,
    BadParameters = BAD_REQUEST,
    BadRequest = BAD_REQUEST,
    ExpectationFailed = EXPECTATION_FAILED,
    Forbidden = FORBIDDEN,
    HeadersTooLarge = REQUEST_HEADER_FIELDS_TOO_LARGE,
    Internal = INTERNAL_SERVER_ERROR,
    MethodNotAllowed = METHOD_NOT_ALLOWED,
    MisdirectedRequest = MISDIRECTED_REQUEST,
    NotCached = GATEWAY_TIMEOUT,
    NotFound = NOT_FOUND,
    Overloaded = SERVICE_UNAVAILABLE,
    PayloadTooLarge = PAYLOAD_TOO_LARGE,
    RateLimited = TOO_MANY_REQUESTS,
    RequestTimeout = REQUEST_TIMEOUT,
    Unauthorized = UNAUTHORIZED,
    UnsupportedMediaType = UNSUPPORTED_MEDIA_TYPE,
    UpstreamTimeout = GATEWAY_TIMEOUT,
    UpstreamUnavailable = SERVICE_UNAVAILABLE,
    UriTooLong = URI_TOO_LONG,
}

/// One of several things that are wrong. `Debug` does not show the value.
#[derive(Clone, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// Where, as a JSON pointer (RFC 6901).
    pub pointer: String,
    /// The client's own value, shortened; `None` if it was no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// What is wrong with it.
    pub reason: String,
}

impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Violation({} {})", self.pointer, self.reason)
    }
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: String,
    title: &'static str,
    status: u16,
    code: &'static str,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    problems: &'a [Violation],
}

/// Bytes that a document mostly has at most.
const USUAL: usize = 512;

/// The response that says what is wrong. `detail` becomes a sentence.
pub fn response(
    code: Code,
    detail: &str,
    id: Option<&RequestId>,
    problems: &[Violation],
) -> Response<Body> {
    let status = code.status();
    let document = Document {
        r#type: format!("urn:vingate:problem:{}", code.as_str()),
        title: status.canonical_reason().unwrap_or_default(),
        status: status.as_u16(),
        code: code.as_str(),
        detail: sentence(detail),
        request_id: id.map(RequestId::as_str),
        problems,
    };
    let mut json = Vec::with_capacity(USUAL);
    serde_json::to_writer(&mut json, &document).expect("strings and numbers make JSON");
    let mut response = Response::new(Body::full(json));
    *response.status_mut() = status;
    response.extensions_mut().insert(code);
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    response
}

/// An error's own words, as a sentence.
fn sentence(words: &str) -> String {
    let mut sentence = format!("{words}.");
    if let Some(first) = sentence.get_mut(..1) {
        first.make_ascii_uppercase();
    }
    sentence
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use serde_json::{Value, json};

    use super::*;

    #[tokio::test]
    async fn every_code_is_written_with_its_status_and_the_reason_phrase_of_http() {
        for (nth, code) in Code::ALL.iter().enumerate() {
            assert_eq!(code.index(), nth);
            assert!(
                Code::ALL[..nth]
                    .iter()
                    .all(|other| other.as_str() != code.as_str())
            );
            let response = response(*code, "the words", None, &[]);
            let status = code.status();
            assert!(status.is_client_error() || status.is_server_error());
            assert_eq!(response.status(), status);
            assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
            assert_eq!(response.extensions().get(), Some(code));
            let written = response.into_body().collect().await.unwrap().to_bytes();
            let expected = json!({
                "type": format!("urn:vingate:problem:{}", code.as_str()),
                "title": status.canonical_reason().unwrap(),
                "status": status.as_u16(),
                "code": code.as_str(),
                "detail": "The words.",
            });
            assert_eq!(serde_json::from_slice::<Value>(&written).unwrap(), expected);
        }
    }
}
