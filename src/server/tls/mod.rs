//! TLS on a listener.
//!
//! rustls with aws-lc-rs: TLS 1.2 and 1.3, HTTP/2 or HTTP/1.1 by ALPN, one certificate whatever
//! name was asked for. All that a handshake needs is one value, which a renewal replaces as a
//! whole. So no handshake meets half of a change, connections keep what they began with, and
//! tickets of the old value are worthless with the new: nobody resumes past a client CA that is
//! not trusted any more.

mod credentials;
mod error;
mod files;
mod handshake;
mod renewal;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::SystemTime};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use self::{credentials::Credentials, files::Fingerprint, renewal::Renewal};
use super::metrics::Metrics;

pub use self::{
    error::{Error, Found, Role},
    files::Files,
};

/// What the `[server.tls]` table says: files, and what was in them.
#[derive(Clone, Debug)]
pub struct Config {
    files: Files,
    fingerprint: Fingerprint,
    credentials: Credentials,
}

/// What handshakes are made with, now: a handle, cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Tls {
    current: Arc<ArcSwap<ServerConfig>>,
}

// === impl Config ===

impl Config {
    /// Reads the files.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with them; at least one. A certificate that has expired is
    /// taken: most of what it is needed for works without, and nothing does without a listener.
    pub fn load(files: Files) -> Result<Self, Vec<Error>> {
        let contents = files.read();
        let fingerprint = contents.fingerprint();
        let credentials = Credentials::parse(contents)?;
        Ok(Self { files, fingerprint, credentials })
    }

    /// When the first certificate of the chain ceases to be valid.
    pub fn expires_at(&self) -> SystemTime {
        self.credentials.expires_at
    }

    /// Begins to use it, and keeps it up to date with the files until the task is dropped.
    pub(super) fn begin(&self, metrics: &Metrics) -> (Tls, AbortOnDropHandle<()>) {
        if self.credentials.have_expired(SystemTime::now()) {
            warn!("the TLS certificate has expired");
        }
        metrics.certificate_expires(self.expires_at());
        let tls = Tls { current: Arc::new(ArcSwap::from(Arc::clone(&self.credentials.config))) };
        let renewal = Renewal::new(self.files.clone(), self.fingerprint);
        let task = tokio::spawn(renewal.run(tls.clone(), metrics.clone()));
        (tls, AbortOnDropHandle::new(task))
    }
}
