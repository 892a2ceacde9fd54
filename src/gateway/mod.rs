//! The request path.

use std::time::Duration;

use ipnet::IpNet;

/// What the edge of the request path needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Bytes of a request target.
    pub max_uri: usize,
    /// Fields of a request head.
    pub max_fields: usize,
    /// Peers whose `Forwarded` and `X-Forwarded-For` fields are believed.
    pub trusted_proxies: Vec<IpNet>,
    /// A request body without a byte.
    pub body_idle_timeout: Duration,
}
