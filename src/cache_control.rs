//! The directives of `Cache-Control` (RFC 9111 section 5.2), of requests and responses.

use http::{HeaderMap, header::CACHE_CONTROL};

use crate::headers::list;

/// One directive, without the white space around its parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Directive<'a> {
    name: &'a [u8],
    /// What stands behind the `=`, quotes included.
    argument: Option<&'a [u8]>,
}

/// Every directive of a message, in order.
pub(crate) fn directives(headers: &HeaderMap) -> impl Iterator<Item = Directive<'_>> {
    list(headers, CACHE_CONTROL).map(Directive::parse)
}

/// Seconds as RFC 9111 section 1.2.2 writes them, also in quotes: 0, the strictest, if they
/// cannot be read, and 136 years if they are too many.
pub(crate) fn seconds(text: &[u8]) -> u64 {
    let text = text.trim_ascii();
    let quoted = text
        .strip_prefix(b"\"")
        .and_then(|text| text.strip_suffix(b"\""));
    let digits = quoted.unwrap_or(text);
    if digits.is_empty() {
        return 0;
    }
    let mut seconds = 0_u32;
    for &digit in digits {
        if !digit.is_ascii_digit() {
            return 0;
        }
        seconds = seconds
            .saturating_mul(10)
            .saturating_add(u32::from(digit - b'0'));
    }
    seconds.into()
}

impl<'a> Directive<'a> {
    fn parse(text: &'a [u8]) -> Self {
        let mut parts = text.splitn(2, |&byte| byte == b'=').map(<[u8]>::trim_ascii);
        Self { name: parts.next().unwrap_or_default(), argument: parts.next() }
    }

    /// Whether it is `name`, in any case.
    pub(crate) fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// Its argument in seconds, if there is one.
    pub(crate) fn seconds(&self) -> Option<u64> {
        self.argument.map(seconds)
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn takes_every_field_apart() {
        let headers = HeaderMap::from_iter([
            (CACHE_CONTROL, HeaderValue::from_static("No-Store , max-age = \"5\"")),
            (CACHE_CONTROL, HeaderValue::from_bytes(b"\xff,x=a=b,,").unwrap()),
        ]);
        let mut found = Vec::new();
        for directive in directives(&headers) {
            found.push((directive.name, directive.argument));
        }
        let expected: [(&[u8], Option<&[u8]>); 6] = [
            (b"No-Store", None),
            (b"max-age", Some(b"\"5\"")),
            (b"\xff", None),
            (b"x", Some(b"a=b")),
            (b"", None),
            (b"", None),
        ];
        assert_eq!(found, expected);
        assert!(directives(&headers).next().unwrap().is("no-store"));
    }

    #[test]
    fn reads_seconds_and_is_strict_with_what_is_none() {
        for (text, expected) in [
            ("0", 0),
            ("600", 600),
            (" 600 ", 600),
            ("\"600\"", 600),
            ("99999999999999999999999", u32::MAX.into()),
            ("", 0),
            ("\"\"", 0),
            ("\"", 0),
            ("\"600", 0),
            ("-1", 0),
            ("+600", 0),
            ("6e2", 0),
            ("99999999999999999999999x", 0),
        ] {
            assert_eq!(seconds(text.as_bytes()), expected, "{text}");
        }
    }
}
