//! Key sets, whatever a key server sends.

use std::collections::HashSet;

use jsonwebtoken::AlgorithmFamily;
use serde_json::Value;

use super::{error::Error, usable_keys::UsableKeys};

/// Reads a key set.
///
/// Every key of it is a public one under a name of its own, every other is counted, and who
/// reads the set again finds the same keys.
pub fn jwks(data: &[u8]) {
    let tree = serde_json::from_slice::<Value>(data).ok();
    let published = tree.as_ref().and_then(|tree| tree["keys"].as_array());
    let usable = match UsableKeys::parse(data) {
        Ok(usable) => usable,
        Err(error) => {
            assert!(matches!(error, Error::Malformed | Error::Empty(_)));
            assert!(!matches!(error, Error::Malformed) || error.to_string().len() < 80);
            return;
        }
    };
    assert!((1..=256).contains(&usable.keys.len()));
    let mut names = HashSet::new();
    for jwk in &usable.keys {
        assert_ne!(jwk.key.algorithm.family(), AlgorithmFamily::Hmac, "a secret is published");
        assert!(!jwk.key.can_sign());
        let is_new = names.insert((jwk.id.clone(), format!("{:?}", jwk.key.algorithm)));
        assert!(is_new || jwk.id.is_none(), "two keys have one name");
        if let Some(published) = published {
            let named = |one: &&Value| one["kid"].as_str() == jwk.id.as_deref();
            let is_there = published.iter().filter(named).any(is_public);
            assert!(is_there, "a key that nobody publishes");
        }
    }
    if let Some(published) = published {
        assert_eq!(usable.keys.len() + usable.left_out.count(), published.len());
    }

    let again = UsableKeys::parse(data).expect("what was accepted is accepted again");
    let fingerprints =
        |usable: &UsableKeys| -> Vec<_> { usable.keys.iter().map(|jwk| jwk.fingerprint).collect() };
    assert_eq!(fingerprints(&again), fingerprints(&usable));
    let different: HashSet<_> = fingerprints(&usable).into_iter().collect();
    assert_eq!(different.len(), usable.keys.len(), "one key is there twice");
}

/// Whether a published key shows nothing that only its owner may know, and is for signatures.
fn is_public(key: &Value) -> bool {
    let shows = |name: &str| key.get(name).is_some();
    !["d", "p", "q", "k"].iter().any(|name| shows(name))
        && matches!(key["kty"].as_str(), Some("RSA" | "EC" | "OKP"))
        && key["use"].as_str().is_none_or(|purpose| purpose == "sig")
}
