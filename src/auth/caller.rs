//! Who a verified token speaks for.

use std::sync::Arc;

/// The sender of a request after its token was verified: an extension of every request below
/// [`Authenticate`](super::Authenticate).
#[derive(Clone, Debug)]
pub enum Caller {
    /// Tokens are not asked for.
    Anyone,
    /// The subject of a verified token.
    Subject(Arc<Identity>),
}

/// What a verified token says.
#[derive(Debug)]
pub struct Identity {
    /// `iss`, or the issuer that the key stands for; empty if neither is known.
    pub issuer: String,
    /// `sub`.
    pub subject: String,
    /// Whether its scopes allow reading.
    pub may_read: bool,
    /// Whether its scopes allow writing.
    pub may_write: bool,
}
