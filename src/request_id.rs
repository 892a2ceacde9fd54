//! The ID of a request: in its response, in its log lines and upstream.
//!
//! The client's ID is kept if it is valid, so that one ID leads through several systems. An invalid
//! one is replaced: no ID can forge a header or a log line.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use http::{HeaderMap, HeaderValue};

use crate::{
    backoff::draw,
    headers::{X_REQUEST_ID, only},
    hex::hex,
};

const MAX_LENGTH: usize = 128;

/// The value of `X-Request-Id`: the client's if it is valid, else made here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(HeaderValue);

/// IDs that no other process makes, one after the other: they need not be secret, only distinct.
#[derive(Clone, Debug)]
pub struct RequestIds {
    process: u64,
    next: Arc<AtomicU64>,
}

impl RequestId {
    /// The one valid ID among `headers`: 1 to 128 of `A-Za-z0-9._-`, in one field.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let value = only(headers, X_REQUEST_ID).ok()??;
        let bytes = value.as_bytes();
        let is_valid = (1..=MAX_LENGTH).contains(&bytes.len())
            && bytes
                .iter()
                .all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(byte));
        is_valid.then(|| Self(value.clone()))
    }

    /// The ID as text.
    pub fn as_str(&self) -> &str {
        // ASCII is checked when the value is made, so this never falls back.
        self.0.to_str().unwrap_or_default()
    }

    /// The ID as a header value.
    pub fn as_header_value(&self) -> &HeaderValue {
        &self.0
    }
}

impl RequestIds {
    /// IDs of a process of their own.
    pub fn new() -> Self {
        Self { process: draw(), next: Arc::default() }
    }

    /// The ID of a request with these headers, which have it from then on.
    pub fn mark(&self, headers: &mut HeaderMap) -> RequestId {
        RequestId::of(headers).unwrap_or_else(|| {
            let id = self.make();
            headers.insert(X_REQUEST_ID, id.0.clone());
            id
        })
    }

    /// 32 hexadecimal digits: the process, then a counter.
    fn make(&self) -> RequestId {
        let counted = self.next.fetch_add(1, Ordering::Relaxed);
        let number = u128::from(self.process) << 64 | u128::from(counted);
        let id = HeaderValue::try_from(hex(&number.to_be_bytes()));
        RequestId(id.expect("hexadecimal digits make a field value"))
    }
}

impl Default for RequestIds {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The ID that a request gets, which is the same in its header.
    fn mark(ids: &RequestIds, sent: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for value in sent {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            headers.append(X_REQUEST_ID, value);
        }
        let id = ids.mark(&mut headers);
        let mut values = headers.get_all(X_REQUEST_ID).iter();
        assert_eq!(values.next(), Some(id.as_header_value()));
        assert_eq!(values.next(), None);
        id.as_str().to_owned()
    }

    #[test]
    fn keeps_a_valid_id() {
        let longest = "a".repeat(128);
        for id in ["x", "Trace-1.2_3", longest.as_str()] {
            assert_eq!(mark(&RequestIds::new(), &[id]), id);
        }
    }

    #[test]
    fn replaces_every_other_id() {
        let too_long = "a".repeat(129);
        let cases: [&[&str]; 7] =
            [&[], &[""], &["a b"], &["a,b"], &["ñ"], &[&too_long], &["a", "b"]];
        for sent in cases {
            let seen = mark(&RequestIds::new(), sent);
            assert_eq!(seen.len(), 32, "{sent:?}");
            assert!(seen.bytes().all(|byte| byte.is_ascii_hexdigit()), "{seen}");
        }
    }

    #[test]
    fn makes_every_id_once() {
        let (one, other) = (RequestIds::new(), RequestIds::new());
        let mut seen = std::collections::HashSet::new();
        for ids in [&one, &other] {
            for _ in 0..100 {
                assert!(seen.insert(mark(ids, &[])));
            }
        }
    }
}
