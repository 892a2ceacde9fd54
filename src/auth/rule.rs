//! The two rules: who is it, and may they.

/// Verifies the token: 401, or a [`Caller`](super::Caller) in the request's extensions.
#[derive(Debug)]
pub struct Authenticate(());

/// Judges scope and account: 403, or a [`Credential`](super::Credential) in the request's
/// extensions and the credential's fields in its head.
#[derive(Debug)]
pub struct Authorize(());
