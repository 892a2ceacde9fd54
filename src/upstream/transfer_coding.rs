//! Which responses can be read: `chunked` is undone by the HTTP client, and nothing else is.

use http::{HeaderMap, Response, header::TRANSFER_ENCODING};

use super::Error;
use crate::{
    body::Body,
    headers::{is_chunked, only},
};

/// Nothing, if what comes off the wire is its content. After the HTTP client has passed it on,
/// another coding could not be told from content (RFC 9112 section 6.1).
pub(super) fn check(response: &Response<Body>) -> Result<(), Error> {
    if is_readable(response.headers()) {
        Ok(())
    } else {
        Err(Error::TransferCoding(response.status()))
    }
}

fn is_readable(headers: &HeaderMap) -> bool {
    only(headers, TRANSFER_ENCODING).is_ok_and(|coding| coding.is_none_or(is_chunked))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn reads_chunked_alone() {
        for (codings, is_read) in [
            (&[][..], true),
            (&["chunked"], true),
            (&["Chunked"], true),
            (&["gzip, chunked"], false),
            (&["chunked, gzip"], false),
            (&["gzip"], false),
            (&["foo"], false),
            (&["identity"], false),
            (&[""], false),
            (&["chunked", "chunked"], false),
        ] {
            let mut response = Response::new(Body::full("x"));
            for coding in codings {
                let coding = HeaderValue::from_static(coding);
                response.headers_mut().append(TRANSFER_ENCODING, coding);
            }
            let checked = check(&response);
            assert_eq!(checked.is_ok(), is_read, "{codings:?}");
            assert!(is_read || matches!(checked, Err(Error::TransferCoding(_))), "{codings:?}");
        }
    }
}
