//! Keys that an issuer publishes (RFC 7517), fetched while others are served.
//!
//! Three parties meet in [`KeySet`]: requests that look for a key, the [`Refresher`] that
//! fetches, and `UnknownKids`, which decides what an unknown kid may cause. Requests
//! never fetch; the refresher, alone, never fetches twice at a time.
//!
//! A key server that fails changes nothing: the last good set is used on, for a day at most. A
//! key that is no longer published stops working with the next fetch, and every token that was
//! verified with it.

mod error;
mod fetcher;
mod freshness;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod key_set;
mod left_out;
mod refresher;
mod source;
#[cfg(test)]
pub(super) mod testing;
mod unknown_kids;
mod usable_keys;

use std::{fmt, sync::Arc};

use self::{error::Error, fetcher::Fetcher, usable_keys::UsableKeys};
use super::Metrics;

pub use self::{
    fetcher::TlsError,
    key_set::KeySet,
    refresher::Refresher,
    source::{Config, Source, SourceError},
};
pub(super) use self::{
    key_set::{Fetch, Found},
    unknown_kids::MAX_WAIT,
};

/// Checks that tokens can be verified with the key set `json`.
///
/// # Errors
///
/// What it is instead, in words that quote nothing of it but the names of its keys.
pub fn check(json: &[u8]) -> Result<(), impl fmt::Display> {
    match UsableKeys::parse(json) {
        Ok(_) => Ok(()),
        Err(Error::Empty(left_out)) if left_out.count() == 0 => {
            Err("a key set without a key".to_owned())
        }
        Err(Error::Empty(left_out)) => Err(format!("a key set without a usable key ({left_out})")),
        Err(_) => Err("no JSON Web Key Set".to_owned()),
    }
}

impl Config {
    /// The keys, none as yet, and what fetches them: it must be run.
    ///
    /// # Errors
    ///
    /// If TLS to the server of the keys cannot be set up.
    pub fn build(self, metrics: Metrics) -> Result<(Arc<KeySet>, Refresher), TlsError> {
        let published = Arc::new(KeySet::new());
        let fetcher = Fetcher::new(self)?;
        Ok((Arc::clone(&published), Refresher::new(fetcher, published, metrics)))
    }
}
