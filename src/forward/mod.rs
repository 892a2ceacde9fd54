//! Everything that is not a batch: forwarded as it is, streamed both ways.

use std::time::Duration;

use ipnet::IpNet;

/// What the forwarding needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Peers whose `Forwarded` and `X-Forwarded-*` fields are appended to, not replaced.
    pub trusted_proxies: Vec<IpNet>,
    /// Bytes of a `GET` or `HEAD` body of unknown length, and of a write that is searched for
    /// vehicles.
    pub max_body: usize,
    /// A request body without a byte from the caller.
    pub body_idle_timeout: Duration,
    /// A body without a byte, either way, once the head of the answer came.
    pub stream_idle_timeout: Duration,
    /// How long nothing is stored of the vehicles of a write whose outcome is unknown.
    pub attempt_timeout: Duration,
}
