//! Connections: accepted, bounded, watched and drained.

use std::{net::SocketAddr, time::Duration};

/// What the `[server]` table says of connections.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// After this, what is still in flight is cut.
    pub drain_timeout: Duration,
    /// Between "not ready" and closing the listener.
    pub drain_delay: Duration,
    /// Bytes of request line and fields.
    pub max_head: usize,
    /// Fields of a request head.
    pub max_fields: usize,
    /// Connections at once.
    pub max_connections: usize,
    /// HTTP/2 streams at once, a connection.
    pub max_streams: u32,
    /// From the first byte of a head to its end.
    pub header_timeout: Duration,
    /// A kept connection without a request.
    pub idle_timeout: Duration,
    /// A caller that takes no byte of its answer.
    pub write_idle_timeout: Duration,
}
