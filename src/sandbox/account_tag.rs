//! Which account a request is of: a tag of its credential, never the credential.

use std::fmt;

use aws_lc_rs::digest::{Context, SHA256};
use http::{
    HeaderMap,
    header::{AUTHORIZATION, COOKIE, HeaderName},
};

/// The header that the documentation's "API key" may travel in; it does not say which.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// A credential's tag: the first 64 bits of a SHA-256 of all its values in order.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct AccountTag(u64);

impl AccountTag {
    /// The account that `headers` are of; `None` without a credential.
    ///
    /// A cookie authenticates nobody, but it does belong to the tag: responses that differ only
    /// by a cookie must not be taken for one another.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        // A bare scheme word still counts: no scheme is documented.
        let has = |name| headers.get_all(name).iter().any(|value| !value.is_empty());
        (has(AUTHORIZATION) || has(API_KEY)).then(|| {
            let mut digest = Context::new(&SHA256);
            for name in [AUTHORIZATION, API_KEY, COOKIE] {
                for value in headers.get_all(&name) {
                    digest.update(name.as_str().as_bytes());
                    digest.update(&value.len().to_be_bytes());
                    digest.update(value.as_bytes());
                }
            }
            let mut tag = [0; 8];
            tag.copy_from_slice(&digest.finish().as_ref()[..8]);
            Self(u64::from_be_bytes(tag))
        })
    }
}

impl fmt::Display for AccountTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tag(fields: &[(&'static str, &'static str)]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for &(name, value) in fields {
            headers.append(name, value.parse().unwrap());
        }
        AccountTag::of(&headers).map(|account| account.to_string())
    }

    #[test]
    fn needs_a_credential_that_is_not_empty() {
        for fields in
            [&[][..], &[("authorization", "")], &[("cookie", "a=b")], &[("accept", "*/*")]]
        {
            assert_eq!(tag(fields), None, "{fields:?}");
        }
    }

    #[test]
    fn tells_credentials_apart_by_field_value_order_and_cookie() {
        let tags = [
            tag(&[("authorization", "a")]),
            tag(&[("x-api-key", "a")]),
            tag(&[("authorization", "b")]),
            tag(&[("x-api-key", "a"), ("cookie", "c")]),
            tag(&[("authorization", "a"), ("authorization", "b")]),
            tag(&[("authorization", "b"), ("authorization", "a")]),
            tag(&[("authorization", "ab")]),
        ];
        for (i, tag) in tags.iter().enumerate() {
            assert!(tag.is_some());
            assert!(!tags[..i].contains(tag), "{i}");
        }
        assert_eq!(tag(&[("authorization", "a")]), tags[0]);
    }
}
