//! The admin listener.

use std::net::SocketAddr;

use secrecy::SecretString;

/// What the `[admin]` table says.
#[derive(Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The bearer token of all but `/metrics`, `/healthz` and `/readyz`.
    pub token: Option<SecretString>,
}
