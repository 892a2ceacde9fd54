//! What a batch request says its body is.

use http::{
    HeaderMap, Method,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};

use super::Error;
use crate::{
    headers::{list, only},
    json::is_json,
};

/// Accepts `application/json` as it is, whatever its parameters. A `GET` need not say it,
/// because many clients cannot; a `QUERY` must (RFC 10008 section 2.1).
pub(super) fn check(method: &Method, headers: &HeaderMap) -> Result<(), Error> {
    if let Some(coding) = coding(headers) {
        return Err(Error::ContentCoding(coding));
    }
    match only(headers, CONTENT_TYPE) {
        Ok(None) if *method == Method::QUERY => Err(Error::NoMediaType),
        Ok(None) => Ok(()),
        Ok(Some(content_type)) if is_json(content_type) => Ok(()),
        _ => Err(Error::MediaType),
    }
}

/// The first content coding that is not `identity`. What is not a coding's name is not repeated.
fn coding(headers: &HeaderMap) -> Option<Option<String>> {
    let coding = list(headers, CONTENT_ENCODING)
        .find(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case(b"identity"))?;
    let is_name = coding.len() <= MAX_CODING
        && coding
            .iter()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(byte));
    Some(is_name.then(|| String::from_utf8_lossy(coding).into_owned()))
}

/// Bytes of the name of a content coding. The longest that is registered has 15.
const MAX_CODING: usize = 16;

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    #[test]
    fn accepts_json_and_nothing_else() {
        let with = |fields: &[(HeaderName, &'static str)]| {
            let mut map = HeaderMap::new();
            for (name, value) in fields {
                map.append(name, HeaderValue::from_static(value));
            }
            check(&Method::GET, &map).is_ok()
        };
        for (media_type, accepted) in [
            ("application/json", true),
            ("Application/JSON; charset=utf-8", true),
            ("application/json ;a=b", true),
            ("application/jsonp", false),
            ("text/plain", false),
            ("application/x-www-form-urlencoded", false),
            ("", false),
            ("application/problem+json", false),
        ] {
            assert_eq!(with(&[(CONTENT_TYPE, media_type)]), accepted, "{media_type:?}");
        }
        assert!(with(&[]));
        assert!(!with(&[(CONTENT_TYPE, "application/json"), (CONTENT_TYPE, "text/plain")]));
    }

    #[test]
    fn names_the_content_coding_that_is_not_taken() {
        for (values, expected) in [
            (&[][..], None),
            (&[""], None),
            (&["identity"], None),
            (&["Identity, identity", "identity"], None),
            (&["gzip"], Some(Some("gzip"))),
            (&["identity, br"], Some(Some("br"))),
            (&["identity", "deflate"], Some(Some("deflate"))),
            (&["x y"], Some(None)),
            (&["\"gzip\""], Some(None)),
            (&["3VWFE21C04M000001"], Some(None)),
        ] {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(CONTENT_ENCODING, HeaderValue::from_static(value));
            }
            let found = match check(&Method::GET, &headers) {
                Ok(()) => None,
                Err(Error::ContentCoding(coding)) => Some(coding),
                Err(error) => panic!("{values:?}: {error}"),
            };
            assert_eq!(found.as_ref().map(Option::as_deref), expected, "{values:?}");
        }
    }

    #[test]
    fn a_query_must_say_what_it_sends() {
        let nothing = HeaderMap::new();
        assert!(matches!(check(&Method::QUERY, &nothing), Err(Error::NoMediaType)));
        assert!(check(&Method::POST, &nothing).is_ok());
    }
}
