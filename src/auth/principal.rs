//! Who a verified token speaks for.

use std::{fmt, sync::Arc};

use crate::digest;

/// The sender of a request after its token was verified: an extension of every request below
/// [`Authenticate`](super::Authenticate).
#[derive(Clone, Debug)]
pub enum Principal {
    /// Tokens are not asked for.
    Anyone,
    /// The subject of a verified token.
    Subject(Arc<Identity>),
}

/// What a verified token says. Only the verifier makes one.
pub struct Identity {
    client_id: u128,
    subject: Box<str>,
    /// What its scopes allow.
    pub(super) may_read: bool,
    pub(super) may_write: bool,
}

impl Principal {
    /// Tells clients apart: a part of the SHA-256 of issuer and subject, the same for every
    /// token of theirs. `None`: only the peer's address can tell.
    #[inline]
    pub fn client_id(&self) -> Option<u128> {
        self.identity().map(|identity| identity.client_id)
    }

    /// The token's `sub`.
    pub fn subject(&self) -> Option<&str> {
        self.identity().map(|identity| &*identity.subject)
    }

    fn identity(&self) -> Option<&Identity> {
        match self {
            Self::Anyone => None,
            Self::Subject(identity) => Some(identity),
        }
    }
}

impl Identity {
    /// The subject of a token that was verified; `issuer` is empty if none is known.
    pub(super) fn new(issuer: &str, subject: &str, may_read: bool, may_write: bool) -> Self {
        let digest = digest::of_parts([issuer.as_bytes(), subject.as_bytes()]);
        let mut half = [0; 16];
        half.copy_from_slice(&digest[..16]);
        Self { client_id: u128::from_be_bytes(half), subject: subject.into(), may_read, may_write }
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("may_read", &self.may_read)
            .field("may_write", &self.may_write)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_clients_apart_by_issuer_and_subject() {
        let id = |issuer, subject| {
            Principal::Subject(Arc::new(Identity::new(issuer, subject, true, true))).client_id()
        };
        assert_eq!(id("house", "billing"), id("house", "billing"));
        assert_ne!(id("house", "billing"), id("partner", "billing"));
        assert_ne!(id("house", "billing"), id("hous", "ebilling"));
        assert_ne!(id("", "a"), id("a", ""));
        assert_eq!(Principal::Anyone.client_id(), None);
    }

    #[test]
    fn never_prints_who_it_is() {
        let identity = Identity::new("https://house.example", "billing@house.example", true, false);
        assert!(!format!("{identity:?}").contains("house"));
    }
}
