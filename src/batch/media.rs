//! What a batch request says its body is.

use http::{
    HeaderMap, Method,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};

use super::Error;
use crate::json::is_json;

/// Accepts `application/json` as it is, whatever its parameters. A `GET` need not say it,
/// because many clients cannot; a `QUERY` must (RFC 10008 section 2.1).
pub(super) fn judge(method: &Method, fields: &HeaderMap) -> Result<(), Error> {
    if fields.contains_key(CONTENT_ENCODING) {
        return Err(Error::MediaType);
    }
    let mut types = fields.get_all(CONTENT_TYPE).iter();
    match (types.next(), types.next()) {
        (None, _) if *method == Method::QUERY => Err(Error::NoMediaType),
        (None, _) => Ok(()),
        (Some(only), None) if is_json(only) => Ok(()),
        _ => Err(Error::MediaType),
    }
}

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
            judge(&Method::GET, &map).is_ok()
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
        assert!(!with(&[(CONTENT_ENCODING, "identity")]));
        assert!(!with(&[(CONTENT_TYPE, "application/json"), (CONTENT_TYPE, "text/plain")]));
    }

    #[test]
    fn a_query_must_say_what_it_sends() {
        let nothing = HeaderMap::new();
        assert!(matches!(judge(&Method::QUERY, &nothing), Err(Error::NoMediaType)));
        assert!(judge(&Method::POST, &nothing).is_ok());
    }
}
