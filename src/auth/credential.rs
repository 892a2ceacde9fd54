//! The credential of a call upstream: the fields that say on whose behalf it goes.
//!
//! Two requests may share what the cache holds only if they would go upstream with the same
//! credential. So it is compared as a whole, in the very fields that are sent, and never by the
//! name that somebody gave it.

use std::{iter, sync::Arc};

use http::{
    HeaderMap, HeaderName,
    header::{AUTHORIZATION, COOKIE, Entry},
};

use crate::digest;

/// The ordered values of a call's credential fields, hashed: an extension of every request below
/// [`Authorize`](super::Authorize), which has put the fields themselves into the request's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credential {
    /// SHA-256 of the origin and the fields; `None` when the call carries none.
    pub digest: Option<[u8; 32]>,
    /// Whether it is an account's, not the client's own.
    pub is_account: bool,
}

/// The names of the fields that make up a credential, every name once: a handle, cheap to clone.
///
/// `Authorization`, `Cookie`, the configured ones, and every field that some account uses: a
/// field that is one account's credential must not pass unhashed in another's calls.
#[derive(Clone, Debug)]
pub struct CredentialFields(Arc<[HeaderName]>);

impl CredentialFields {
    pub(super) fn new<'a>(names: impl IntoIterator<Item = &'a HeaderName>) -> Self {
        let mut others: Vec<_> = names
            .into_iter()
            .filter(|&name| name != AUTHORIZATION && name != COOKIE)
            .cloned()
            .collect();
        // Another order in the file is no other credential.
        others.sort_by(|one, other| one.as_str().cmp(other.as_str()));
        others.dedup();
        Self([AUTHORIZATION, COOKIE].into_iter().chain(others).collect())
    }

    /// The names, in the order in which they are hashed.
    pub fn names(&self) -> &[HeaderName] {
        &self.0
    }

    /// What a call with these fields to `origin` would carry.
    pub(super) fn digest(&self, origin: &str, headers: &HeaderMap) -> Option<digest::Digest> {
        let mut fields = self
            .0
            .iter()
            .flat_map(|name| {
                let values = headers.get_all(name).into_iter();
                values.flat_map(move |value| [name.as_str().as_bytes(), value.as_bytes()])
            })
            .peekable();
        fields.peek()?;
        Some(digest::of_parts(iter::once(origin.as_bytes()).chain(fields)))
    }

    /// Marks every value of them sensitive: `Debug` does not show it, HPACK never indexes it.
    pub(super) fn mark_sensitive(&self, headers: &mut HeaderMap) {
        for name in &*self.0 {
            if let Entry::Occupied(mut values) = headers.entry(name) {
                values
                    .iter_mut()
                    .for_each(|value| value.set_sensitive(true));
            }
        }
    }

    /// Removes every field that could carry a credential.
    pub(super) fn remove_from(&self, headers: &mut HeaderMap) {
        for name in &*self.0 {
            headers.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use http::HeaderValue;

    use super::*;

    const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        fields
            .iter()
            .map(|&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect::<Vec<_>>()
            .into_iter()
            .fold(HeaderMap::new(), |mut headers, (name, value)| {
                headers.append(name, value);
                headers
            })
    }

    #[test]
    fn is_the_same_only_for_the_same_fields_in_the_same_order() {
        let fields = CredentialFields::new(&[API_KEY]);
        let mut seen = HashMap::new();
        for list in [
            &[("authorization", "a")][..],
            &[("authorization", "b")],
            &[("authorization", "A")],
            &[("authorization", "")],
            &[("authorization", "a"), ("authorization", "b")],
            &[("authorization", "b"), ("authorization", "a")],
            &[("authorization", "a"), ("authorization", "a")],
            &[("authorization", "a, b")],
            &[("cookie", "a")],
            &[("authorization", "a"), ("cookie", "b")],
            &[("authorization", "b"), ("cookie", "a")],
            &[("authorization", "ab"), ("cookie", "")],
            &[("x-api-key", "a")],
            &[("authorization", "acookie"), ("x-api-key", "a")],
        ] {
            let digest = fields.digest("https://sync", &headers(list)).unwrap();
            assert_eq!(seen.insert(digest, list), None, "{list:?}");
            assert_ne!(fields.digest("https://other", &headers(list)), Some(digest));
        }
    }

    #[test]
    fn other_fields_and_the_order_among_names_do_not_matter() {
        let fields = CredentialFields::new(&[API_KEY]);
        let digest = |list| fields.digest("https://sync", &headers(list));
        assert_eq!(
            digest(&[("x-api-key", "k"), ("accept", "*/*"), ("authorization", "a")]),
            digest(&[("authorization", "a"), ("x-api-key", "k")]),
        );
        assert_eq!(digest(&[("accept", "*/*")]), None);
        assert_eq!(digest(&[]), None);
    }

    #[test]
    fn does_not_show_what_it_has_marked() {
        let fields = CredentialFields::new(&[API_KEY]);
        let list =
            [("cookie", "s3cret"), ("cookie", "s3cret"), ("x-api-key", "s3cret"), ("a", "b")];
        let mut headers = headers(&list);
        fields.mark_sensitive(&mut headers);
        assert!(!format!("{headers:?}").contains("s3cret"), "{headers:?}");
        assert_eq!(headers["x-api-key"], "s3cret");
        assert!(!headers["a"].is_sensitive());
    }

    #[test]
    fn names_stand_once_in_an_order_of_their_own() {
        let other = HeaderName::from_static("x-a");
        let account = HeaderName::from_static("x-account");
        let configured = [API_KEY, COOKIE, other, AUTHORIZATION, API_KEY, account];
        let fields = CredentialFields::new(&configured);
        let names: Vec<_> = fields.names().iter().map(HeaderName::as_str).collect();
        assert_eq!(names, ["authorization", "cookie", "x-a", "x-account", "x-api-key"]);
    }
}
