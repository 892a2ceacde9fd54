//! The other end of the connection.

use std::net::{IpAddr, SocketAddr};

/// What is known of a request's sender without a token: set by the server, and completed where
/// trusted proxies are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The other end of the socket.
    pub address: SocketAddr,
    /// Whether the connection is TLS.
    pub tls: bool,
    /// The client as far as it is known: the socket's address, or what a trusted proxy says.
    pub client: IpAddr,
    /// Whether what it says of the client in `Forwarded` and `X-Forwarded-*` is believed.
    pub is_trusted_proxy: bool,
}

impl Peer {
    /// The peer of a connection, not a trusted proxy.
    pub fn new(address: SocketAddr, tls: bool) -> Self {
        Self { address, tls, client: address.ip().to_canonical(), is_trusted_proxy: false }
    }
}
