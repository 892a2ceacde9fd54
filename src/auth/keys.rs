//! The keys in force.

use std::{collections::HashMap, sync::Arc};

use jsonwebtoken::Algorithm;

use super::Key;

/// The keys in force, by `kid`.
///
/// A key is shared, and this set owns it: what was verified with a key remembers it weakly, and
/// is forgotten when the key leaves the set.
#[derive(Debug)]
pub(super) struct Keys {
    configured: HashMap<String, Arc<Key>>,
}

// === impl Keys ===

impl Keys {
    /// The configured keys. Of two with one `kid` the first counts; the configuration check does
    /// not let that happen.
    pub(super) fn new(configured: Vec<Key>) -> Self {
        let mut by_id = HashMap::new();
        for key in configured {
            by_id.entry(key.id.clone()).or_insert_with(|| Arc::new(key));
        }
        Self { configured: by_id }
    }

    /// The key named `id`; without a name the only key for `algorithm`, if there is exactly one.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<Arc<Key>> {
        match id {
            Some(id) => self.configured.get(id).cloned(),
            None => {
                let mut fitting = self
                    .configured
                    .values()
                    .filter(|key| key.algorithm == algorithm);
                fitting.next().filter(|_| fitting.next().is_none()).cloned()
            }
        }
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
        let keys = Keys::new(vec![
            key("a", Algorithm::HS256),
            key("b", Algorithm::HS256),
            key("c", Algorithm::HS512),
        ]);
        for (id, algorithm, found) in [
            (Some("a"), Algorithm::HS256, Some("a")),
            (Some("a"), Algorithm::HS512, Some("a")),
            (Some("A"), Algorithm::HS256, None),
            (Some(""), Algorithm::HS256, None),
            (None, Algorithm::HS512, Some("c")),
            (None, Algorithm::HS256, None),
            (None, Algorithm::HS384, None),
        ] {
            let key = keys.find(id, algorithm);
            assert_eq!(key.as_ref().map(|key| &*key.id), found, "{id:?} {algorithm:?}");
        }
    }
}
