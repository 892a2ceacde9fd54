//! Violations that are known. Each list only gets shorter: what is listed but gone fails, too.

/// Files in a circle of imports.
pub(crate) const CIRCLES: &[&str] = &[
    "auth/account.rs",
    "auth/credential.rs",
    "auth/jwks/document.rs",
    "auth/jwks/fetch.rs",
    "auth/jwks/mod.rs",
    "auth/metrics.rs",
    "body/buffer.rs",
    "body/idle.rs",
    "gateway/error.rs",
    "gateway/error_response.rs",
];

/// Names that files of two rooms have.
pub(crate) const NAMES: &[&str] =
    &["client", "fetch", "invalidate", "key", "queue", "response", "token"];

/// Functions that are too long, as `file: name`.
pub(crate) const FUNCTIONS: &[&str] = &[];

/// Fails if `found`, which all violate a rule, are not those that are known.
pub(crate) fn compare(violation: &str, found: Vec<String>, known: &[&str]) {
    let is_new = |found: &&String| !known.contains(&found.as_str());
    let is_gone = |known: &&&str| !found.iter().any(|found| found == **known);
    let new: Vec<_> = found.iter().filter(is_new).collect();
    let gone: Vec<_> = known.iter().filter(is_gone).collect();
    assert!(
        new.is_empty() && gone.is_empty(),
        "{violation}: {new:#?}; no longer, so take it off the list: {gone:#?}"
    );
}
