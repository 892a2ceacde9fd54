//! The current keys.

use std::{collections::HashMap, sync::Arc};

use jsonwebtoken::{Algorithm, AlgorithmFamily};

use super::{
    Key,
    jwks::{Found, KeySet},
};

/// The current keys: the configured ones by `kid`, and those that the issuer publishes. Under one
/// `kid` the configured key counts.
///
/// A key is shared, and this set owns it: what was verified with a key remembers it weakly, and
/// is forgotten when the key leaves the set.
#[derive(Debug)]
pub(super) struct Keys {
    configured: HashMap<String, Arc<Key>>,
    published: Option<Arc<KeySet>>,
}

impl Keys {
    /// Of two configured keys with one `kid` the first counts; the configuration check does not
    /// let that happen.
    pub(super) fn new(configured: Vec<Key>, published: Option<Arc<KeySet>>) -> Self {
        let mut by_id = HashMap::new();
        for key in configured {
            by_id.entry(key.id.clone()).or_insert_with(|| Arc::new(key));
        }
        Self { configured: by_id, published }
    }

    /// The key named `id`; without a name the only key for `algorithm`, if there is exactly one.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Found {
        let Some(id) = id else {
            return self.sole(algorithm).map_or(Found::Nothing, Found::Key);
        };
        if let Some(key) = self.configured.get(id) {
            return Found::Key(Arc::clone(key));
        }
        match &self.published {
            // Nobody publishes secrets, so there is nothing to wait for.
            Some(published) if algorithm.family() != AlgorithmFamily::Hmac => {
                published.find(id, algorithm)
            }
            _ => Found::Nothing,
        }
    }

    fn sole(&self, algorithm: Algorithm) -> Option<Arc<Key>> {
        let is_taken = |id: &str| self.configured.contains_key(id);
        let published = self.published.iter();
        let mut fitting = self
            .configured
            .values()
            .filter(|key| key.algorithm == algorithm)
            .cloned()
            .chain(published.flat_map(|published| published.fitting(algorithm, is_taken)));
        fitting.next().filter(|_| fitting.next().is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: &str, algorithm: Algorithm) -> Key {
        Key::from_secret(id.into(), algorithm, &[7; 64]).unwrap()
    }

    #[test]
    fn finds_by_id_or_the_only_one_that_fits() {
        let keys = Keys::new(
            vec![
                key("a", Algorithm::HS256),
                key("b", Algorithm::HS256),
                key("c", Algorithm::HS512),
            ],
            None,
        );
        for (id, algorithm, found) in [
            (Some("a"), Algorithm::HS256, Some("a")),
            (Some("a"), Algorithm::HS512, Some("a")),
            (Some("A"), Algorithm::HS256, None),
            (Some(""), Algorithm::HS256, None),
            (None, Algorithm::HS512, Some("c")),
            (None, Algorithm::HS256, None),
            (None, Algorithm::HS384, None),
        ] {
            let id_found = match keys.find(id, algorithm) {
                Found::Key(key) => Some(key.id.clone()),
                _ => None,
            };
            assert_eq!(id_found.as_deref(), found, "{id:?} {algorithm:?}");
        }
    }
}
