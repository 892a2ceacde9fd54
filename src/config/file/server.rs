//! `[server]`: the listener for callers.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{
    number::Whole,
    table::Table,
    text::Text,
    units::{HOUR, KIB, MIB, Size, Time, Timeout},
};

/// The listener for callers, and what a connection may take.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Server {
    /// Where to listen. By default on every address, because callers are other machines.
    pub(crate) listen: Text<SocketAddr>,
    /// Threads; 0: one a core, which is what the work, never blocking, can use.
    pub(crate) workers: Whole<0, 1024>,
    /// How long a stop waits for what is in flight before it cuts it: what Kubernetes grants
    /// before it kills.
    pub(crate) drain_timeout: Timeout,
    /// Between "not ready" and closing the listener. Behind a load balancer that looks at
    /// /readyz: a little more than its interval. By default no wait, as nothing says there is
    /// one.
    pub(crate) drain_delay: Time<0, HOUR>,
    /// Bytes of request line and fields; above: 431. Room for a token of 8 KiB and a few cookies.
    pub(crate) max_head: Size<{ 8 * KIB }, MIB>,
    /// Fields of a request; above: 431. More than any client sends, and few enough to search.
    pub(crate) max_fields: Whole<1, 10_000>,
    /// Bytes of a request's URI; above, within max_head: 414. What other servers take.
    pub(crate) max_uri: Size<64, { 64 * KIB }>,
    /// Connections at once; further ones wait. Mind the limit on open files: each takes one, and
    /// each call to the upstream another.
    pub(crate) max_connections: Whole<1, 1_000_000>,
    /// HTTP/2 requests at once on one connection: enough for a busy client, too few for one that
    /// opens streams only to reset them.
    pub(crate) max_streams: Whole<1, 65_536>,
    /// From the first byte of a request's head to its end: a slow network needs a second or two,
    /// whoever needs more is holding a connection.
    pub(crate) header_timeout: Timeout,
    /// How long a connection without a request is kept: longer than the pause between two
    /// requests of a busy client.
    pub(crate) idle_timeout: Timeout,
    /// How long a request body may stand still.
    pub(crate) body_idle_timeout: Timeout,
    /// How long a caller may take no byte of its answer.
    pub(crate) write_idle_timeout: Timeout,
    /// Networks, as CIDRs, whose X-Forwarded-* and Forwarded fields are believed. By default
    /// none: anyone can send them.
    pub(crate) trusted_proxies: Vec<Text<IpNet>>,
    /// TLS on this listener, 1.2 and 1.3. Absent: plain HTTP. HTTP/1.1 and HTTP/2 either way. The
    /// files are read again when they change; what is in order is in use some five seconds later.
    pub(crate) tls: Option<Table<Tls>>,
}

/// TLS on the listener.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["certificate", "key"]))]
pub(crate) struct Tls {
    /// The certificate chain, PEM, the listener's own certificate first.
    pub(crate) certificate: Option<PathBuf>,
    /// Its private key, PEM: PKCS #8, PKCS #1 or SEC 1, not encrypted.
    pub(crate) key: Option<PathBuf>,
    /// Who signs the certificates of clients, PEM. Absent: none are asked for.
    pub(crate) client_ca: Option<PathBuf>,
}

// === impl Server ===

impl Default for Server {
    fn default() -> Self {
        Self {
            listen: Text((Ipv4Addr::UNSPECIFIED, 8080).into()),
            workers: Whole(0),
            drain_timeout: Time(Duration::from_secs(30)),
            drain_delay: Time(Duration::ZERO),
            max_head: Size(32 * KIB),
            max_fields: Whole(100),
            max_uri: Size(8 * KIB),
            max_connections: Whole(10_000),
            max_streams: Whole(128),
            header_timeout: Time(Duration::from_secs(10)),
            idle_timeout: Time(Duration::from_secs(60)),
            body_idle_timeout: Time(Duration::from_secs(30)),
            write_idle_timeout: Time(Duration::from_secs(30)),
            trusted_proxies: Vec::new(),
            tls: None,
        }
    }
}
