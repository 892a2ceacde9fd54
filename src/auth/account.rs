//! Accounts at Sync and who uses them.

use http::{HeaderName, HeaderValue};

/// An account: the field that its calls carry, and the subjects that use it.
#[derive(Clone, Debug)]
pub struct Account {
    /// A label for people; never a part of a key.
    pub name: String,
    /// The field that carries the credential.
    pub header: HeaderName,
    /// The credential, marked sensitive.
    pub value: HeaderValue,
    /// Subjects; `"*"` is everyone not named elsewhere.
    pub subjects: Vec<String>,
}
