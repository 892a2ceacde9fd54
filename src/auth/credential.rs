//! The credential of a call upstream.

/// The ordered values of a call's credential fields, hashed: an extension of every request below
/// [`Authorize`](super::Authorize), which has put the fields themselves into the request's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credential {
    /// SHA-256 of the origin and the fields; `None` when the call carries none.
    pub digest: Option<[u8; 32]>,
    /// Whether it is an account's, not the caller's own.
    pub is_account: bool,
}
