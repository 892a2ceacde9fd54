//! TLS on a listener.
//!
//! rustls with aws-lc-rs: TLS 1.2 and 1.3, HTTP/2 or HTTP/1.1 by ALPN, one certificate whatever
//! name the client asks for. All that a handshake needs is one value, which a renewal replaces as
//! a whole. So no handshake sees half of a change, connections keep the value that they began
//! with, and tickets of the old value are worthless with the new: no client resumes past a client
//! CA that is not trusted any more.

mod credentials;
mod error;
mod handshake;
mod renewal;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::{path::PathBuf, sync::Arc, time::SystemTime};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio_util::task::AbortOnDropHandle;
use tracing::warn;

use self::credentials::Credentials;
use super::metrics::Metrics;
use crate::files::Sources;

pub use self::error::{Error, Found, Role};

/// The files of a listener, all PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The certificate chain, the listener's own first.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Who signs the certificates of clients; `None`: clients are not asked for any.
    pub client_ca: Option<PathBuf>,
}

/// What the `[server.tls]` table says: files, and what was in them.
#[derive(Clone, Debug)]
pub struct Config {
    files: Files,
    sources: Sources,
    credentials: Credentials,
}

/// What handshakes are made with: a handle, cheap to clone.
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
    /// Everything that is wrong with them; at least one problem. An expired certificate is taken:
    /// clients that do not verify it still work, and without a listener none does.
    pub fn load(files: Files) -> Result<Self, Vec<Error>> {
        let mut sources = Sources::default();
        let credentials = Credentials::read(&files, &mut sources)?;
        Ok(Self { files, sources, credentials })
    }

    /// When the first certificate of the chain to expire does so.
    pub fn expires_at(&self) -> SystemTime {
        self.credentials.expires_at
    }

    /// Begins to use it, and keeps it up to date with the files until the task is dropped.
    pub(super) fn begin(&self, metrics: &Metrics) -> (Tls, AbortOnDropHandle<()>) {
        if self.credentials.have_expired(SystemTime::now()) {
            warn!("TLS certificate expired");
        }
        metrics.certificate_expires(self.expires_at());
        let tls = Tls { current: Arc::new(ArcSwap::from(Arc::clone(&self.credentials.config))) };
        let task = tokio::spawn(renewal::run(self.clone(), tls.clone(), metrics.clone()));
        (tls, AbortOnDropHandle::new(task))
    }
}
