//! Names and values of headers that several rooms read or write, and the `http` crate lacks.

use std::str;

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONTENT_LENGTH, TRAILER, TRANSFER_ENCODING},
};

/// How the gateway calls itself in `Via`, `Cache-Status` and `Proxy-Status`.
macro_rules! pseudonym {
    () => {
        "vingate"
    };
}

pub(crate) use pseudonym;

pub(crate) const PSEUDONYM: &str = pseudonym!();

/// The gateway in `User-Agent`, where it asks for itself.
pub(crate) const PRODUCT: &str = concat!(pseudonym!(), "/", env!("CARGO_PKG_VERSION"));

/// The gateway in `Via`, if it received the message by HTTP/1.1.
pub(crate) const VIA_1_1: &str = concat!("1.1 ", pseudonym!());

pub(crate) const ACCEPT_QUERY: HeaderName = HeaderName::from_static("accept-query");
pub(crate) const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");
pub(crate) const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
pub(crate) const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// A header that may stand once stands more often: whoever reads after us may read another one.
pub(crate) struct Several;

/// The value of a header that may stand once.
pub(crate) fn only(headers: &HeaderMap, name: HeaderName) -> Result<Option<&HeaderValue>, Several> {
    let mut values = headers.get_all(name).into_iter();
    let value = values.next();
    if values.next().is_none() { Ok(value) } else { Err(Several) }
}

/// The elements of a comma-separated list, over all its lines (RFC 9110 section 5.6.1).
pub(crate) fn list(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &[u8]> {
    let lines = headers.get_all(name).into_iter();
    let elements = lines.flat_map(|line| line.as_bytes().split(|&byte| byte == b','));
    elements.map(<[u8]>::trim_ascii)
}

/// The elements of a list as texts; one that is not UTF-8 is empty.
pub(crate) fn tokens(headers: &HeaderMap, name: HeaderName) -> impl Iterator<Item = &str> {
    list(headers, name).map(|element| str::from_utf8(element).unwrap_or_default())
}

/// Makes the headers of a request those of a body of `length` bytes that was made here: it has no
/// trailers, and what its sender has said of its bytes (RFC 9530, and RFC 3230 and 1864 before it) is
/// true no more.
pub(crate) fn describe_body(headers: &mut HeaderMap, length: usize) {
    headers.remove(TRANSFER_ENCODING);
    headers.remove(TRAILER);
    for name in ["content-digest", "repr-digest", "digest", "content-md5"] {
        headers.remove(name);
    }
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
}

/// Whether a `Content-Length` is what it may be: digits (RFC 9110 section 8.6).
pub(crate) fn is_number(length: &HeaderValue) -> bool {
    !length.is_empty() && length.as_bytes().iter().all(u8::is_ascii_digit)
}

/// Whether a `Transfer-Encoding` is `chunked` alone.
pub(crate) fn is_chunked(coding: &HeaderValue) -> bool {
    coding
        .as_bytes()
        .trim_ascii()
        .eq_ignore_ascii_case(b"chunked")
}
