//! Whether a client takes a response in gzip (RFC 9110 section 12.5.3).

use http::{HeaderMap, header::ACCEPT_ENCODING};

use crate::headers::tokens;

/// Whether `Accept-Encoding` names gzip, or everything, and prefers nothing else that there is.
pub(super) fn accepts_gzip(headers: &HeaderMap) -> bool {
    let (mut gzip, mut any, mut identity) = (None, None, None);
    for element in tokens(headers, ACCEPT_ENCODING) {
        let (coding, weight) = element.split_once(';').unwrap_or((element, "q=1"));
        let coding = coding.trim_ascii();
        let named = match () {
            () if ["gzip", "x-gzip"]
                .iter()
                .any(|name| coding.eq_ignore_ascii_case(name)) =>
            {
                &mut gzip
            }
            () if coding == "*" => &mut any,
            () if coding.eq_ignore_ascii_case("identity") => &mut identity,
            () => continue,
        };
        // A weight that is none asks for nothing.
        *named = Some(thousandths(weight).unwrap_or(0));
    }
    let gzip = gzip.or(any).unwrap_or(0);
    gzip > 0 && gzip >= identity.unwrap_or(0)
}

/// A weight such as `q=0.5` (RFC 9110 section 12.4.2).
fn thousandths(weight: &str) -> Option<u16> {
    let (name, value) = weight.trim_ascii().split_once('=')?;
    let (whole, decimals) = value.split_once('.').unwrap_or((value, ""));
    let is_number = decimals.len() <= 3 && decimals.bytes().all(|byte| byte.is_ascii_digit());
    if !name.eq_ignore_ascii_case("q") || !is_number {
        return None;
    }
    let decimals: u16 = format!("{decimals:0<3}").parse().ok()?;
    match whole {
        "0" => Some(decimals),
        "1" if decimals == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn takes_gzip_where_it_is_wanted_most() {
        for (value, is_wanted) in [
            ("gzip", true),
            ("GZip", true),
            ("x-gzip", true),
            ("br, gzip;q=0.2", true),
            ("gzip, deflate, br, zstd", true),
            ("*", true),
            ("identity;q=0.5, *;q=0.6", true),
            ("gzip ; q=1.000", true),
            ("gzip;Q=0.001", true),
            ("", false),
            ("identity", false),
            ("br", false),
            ("gzip;q=0", false),
            ("gzip;q=0.000", false),
            ("gzip;q=0, *", false),
            ("*;q=0", false),
            ("identity, gzip;q=0.5", false),
            ("gzip;q=2", false),
            ("gzip;q=1.5", false),
            ("gzip;q=0.0001", false),
            ("gzip;q=-1", false),
            ("gzip;q=", false),
            ("gzip;level=9", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT_ENCODING, HeaderValue::from_str(value).unwrap());
            assert_eq!(accepts_gzip(&headers), is_wanted, "{value:?}");
        }
        assert!(!accepts_gzip(&HeaderMap::new()));
        let mut headers = HeaderMap::new();
        headers.append(ACCEPT_ENCODING, HeaderValue::from_static("br"));
        headers.append(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        assert!(accepts_gzip(&headers));
    }
}
