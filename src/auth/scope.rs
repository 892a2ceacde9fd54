//! Scopes.

/// The scopes that a token must carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scopes {
    /// To read.
    pub read: String,
    /// To write.
    pub write: String,
}
