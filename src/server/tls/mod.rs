//! TLS on a listener.
//!
//! rustls with aws-lc-rs: TLS 1.2 and 1.3, HTTP/2 or HTTP/1.1 by ALPN, one certificate whatever
//! name the client asks for. All that a handshake needs is one value, which a renewal replaces as
//! a whole. So no handshake sees half of a change, connections keep the value that they began
//! with, and tickets of the old value are worthless with the new: no client resumes past a client
//! CA that is not trusted any more.

mod credentials;
mod handshake;
mod renewal;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::{sync::Arc, time::SystemTime};

use arc_swap::ArcSwap;
use rustls::ServerConfig;

use self::credentials::Credentials;
use crate::files::Sources;

pub use self::credentials::{Error, Files};
pub(super) use self::handshake::say_goodbye;

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
}
