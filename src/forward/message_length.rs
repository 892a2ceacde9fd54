//! Where a response ends: said in one way, whatever the upstream wrote.

use http::{HeaderMap, HeaderValue, Response, header::CONTENT_LENGTH};
use http_body::Body as _;

use crate::{
    body::Body,
    headers::{is_number, only},
};

/// Leaves the length that the body has, one number, or none.
///
/// A list of equal lengths is a length, too (RFC 9110 section 8.6), but not to everybody. An
/// response without a body may state the length that another one would have.
pub(super) fn settle_length(response: &mut Response<Body>) {
    let length = response.body().size_hint().exact();
    let has_body = !response.body().is_end_stream();
    let headers = response.headers_mut();
    if !headers.contains_key(CONTENT_LENGTH) {
        return;
    }
    match length {
        Some(length) if has_body => {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        None => {
            headers.remove(CONTENT_LENGTH);
        }
        Some(_) if !is_one_number(headers) => {
            headers.remove(CONTENT_LENGTH);
        }
        Some(_) => {}
    }
}

fn is_one_number(headers: &HeaderMap) -> bool {
    only(headers, CONTENT_LENGTH).is_ok_and(|length| length.is_some_and(is_number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(lengths: &[&'static str]) -> HeaderMap {
        lengths
            .iter()
            .map(|length| (CONTENT_LENGTH, HeaderValue::from_static(length)))
            .collect()
    }

    #[test]
    fn leaves_one_length_or_none() {
        let unknown = || {
            let frames = futures_util::stream::empty::<Result<_, crate::body::Error>>();
            Body::new(http_body_util::StreamBody::new(frames))
        };
        for (lengths, body, left) in [
            (&["5"][..], Body::full("hello"), Some("5")),
            (&["5", "5"], Body::full("hello"), Some("5")),
            (&["5, 5"], Body::full("hello"), Some("5")),
            (&["005"], Body::full("hello"), Some("5")),
            (&[], Body::full("hello"), None),
            (&["5"], Body::empty(), Some("5")),
            (&["5, 6"], Body::empty(), None),
            (&["5", "6"], Body::empty(), None),
            (&["x"], Body::empty(), None),
            (&[""], Body::empty(), None),
            (&["5"], unknown(), None),
        ] {
            let mut response = Response::new(body);
            *response.headers_mut() = head(lengths);
            settle_length(&mut response);
            let found: Vec<_> = response.headers().get_all(CONTENT_LENGTH).iter().collect();
            assert_eq!(found, left.into_iter().collect::<Vec<_>>(), "{lengths:?}");
        }
    }
}
