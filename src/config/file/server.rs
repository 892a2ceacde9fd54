//! `[server]`: the listener for clients.

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use ipnet::IpNet;

use crate::{
    config::{
        declaration::table,
        number::Whole,
        units::{HOUR, KIB, MIB, Size, Time, Timeout},
        value::List,
    },
    upstream::Origin,
};

table! {
    /// The listener for clients, and what a connection may take.
    pub(crate) struct Server {
        /// Where to listen. By default on every address, because clients are other machines.
        listen: SocketAddr = (Ipv4Addr::UNSPECIFIED, 8080).into(),
        /// Threads; 0: one for each core, which is all that threads that never block can use.
        workers: Whole<0, 1024> = Whole(0),
        /// How long a shutdown waits for requests in flight before it cuts them. As long as
        /// Kubernetes waits before it kills.
        drain_timeout: Timeout = Time::seconds(30),
        /// How long the listener stays open after /readyz has turned "not ready". Behind a load
        /// balancer that polls /readyz, a little more than its interval. Meanwhile a connection
        /// closes with its next response, so that none closes when a request is on its way. By
        /// default no time, since nothing says that there is a load balancer.
        drain_delay: Time<0, HOUR> = Time::seconds(0),
        /// Bytes of request line and headers; above: 431. Room for a token of 8 KiB and some
        /// cookies.
        max_head: Size<{ 8 * KIB }, MIB> = Size(32 * KIB),
        /// Headers of a request; above: 431. More than any client sends, and few enough to search.
        max_fields: Whole<1, 10_000> = Whole(100),
        /// Bytes of a request's URI; above, within max_head: 414. As much as other servers take.
        max_uri: Size<64, { 64 * KIB }> = Size(8 * KIB),
        /// Connections at once; more have to wait. Mind the limit on open files: each connection
        /// takes one, and each call to the upstream another.
        max_connections: Whole<1, 1_000_000> = Whole(10_000),
        /// HTTP/2 requests at once on one connection. Enough for a busy client, too few for one
        /// that opens streams only to reset them.
        max_streams: Whole<1, 65_536> = Whole(128),
        /// From the first byte of a request's head to its last. A slow network needs a second or
        /// two; more is an attempt to hold the connection.
        header_timeout: Timeout = Time::seconds(10),
        /// How long a connection without a request is kept. Longer than a busy client pauses
        /// between two requests.
        idle_timeout: Timeout = Time::seconds(60),
        /// How long a request body may make no progress.
        body_idle_timeout: Timeout = Time::seconds(30),
        /// How long a client may take no byte of its response.
        write_idle_timeout: Timeout = Time::seconds(30),
        /// Networks, as CIDRs, whose X-Forwarded-* and Forwarded headers are trusted. By default
        /// none, because anyone can send them.
        [Reload] trusted_proxies: List<IpNet> = List::new(),
        tls: Option<Tls> = None,
    }
}

table! {
    /// CORS: which browser applications may call the gateway. Their preflights are answered before the
    /// token check. If absent, preflights are forwarded like everything else.
    pub(crate) struct Cors {
        /// Origins of those applications: scheme, host and optionally a port. Others get no CORS
        /// header, so that browsers keep responses from them.
        [Required] origins: List<Origin> = List::new(),
    }
}

table! {
    /// TLS 1.2 and 1.3 on this listener. If absent, plain HTTP. HTTP/1.1 and HTTP/2 either way. The
    /// files are read again when they change; valid ones are in use some five seconds later.
    pub(crate) struct Tls {
        /// The certificate chain, PEM, the listener's own certificate first.
        [Required] certificate: Option<PathBuf> = None,
        /// Its private key, PEM: PKCS #8, PKCS #1 or SEC 1, not encrypted.
        [Required] key: Option<PathBuf> = None,
        /// The CA certificates of clients, PEM. If absent, clients are asked for no certificate.
        client_ca: Option<PathBuf> = None,
    }
}
