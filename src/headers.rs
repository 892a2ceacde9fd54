//! Names and values of headers that several rooms read or write, and the `http` crate lacks.

use http::HeaderName;

/// How the gateway calls itself in `Via`, `Cache-Status` and `Proxy-Status`.
macro_rules! pseudonym {
    () => {
        "vingate"
    };
}

pub(crate) use pseudonym;

pub(crate) const PSEUDONYM: &str = pseudonym!();

/// The gateway in `Via`, if it received the message by HTTP/1.1.
pub(crate) const VIA_1_1: &str = concat!("1.1 ", pseudonym!());

pub(crate) const ACCEPT_QUERY: HeaderName = HeaderName::from_static("accept-query");
pub(crate) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
