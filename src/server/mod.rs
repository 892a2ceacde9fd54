//! Connections: accepted, bounded, watched and drained.
//!
//! A listener serves HTTP/1.0, HTTP/1.1 and HTTP/2: over TLS as ALPN says, else as the first bytes
//! say. Everything that a client could hold for as long as it likes has a bound here: the number
//! of connections, the time of a handshake, the size and time of a head, the time without a
//! request, the time in which no byte of a response is taken. Request bodies are bounded where
//! they are read.
//!
//! When `max_connections` are open, those that have been idle for longest are closed to make room;
//! if all are busy, new ones wait in the kernel's queue.

mod accept;
mod connection;
mod connection_service;
mod connection_state;
mod connections;
mod framing;
mod http2_body;
mod in_flight;
mod io;
mod metrics;
mod negotiated;
mod phase;
mod poll_turns;
mod socket;
mod stream;
pub mod tls;

#[cfg(test)]
mod tests;

use std::{convert::Infallible, net::SocketAddr, time::Duration};

use http::{Request, Response};

pub use self::{
    accept::{bind, serve},
    metrics::Metrics,
};
use crate::body::Body;

/// What the `[server]` table says of connections.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen.
    pub listen: SocketAddr,
    /// The certificate and its key; `None`: no TLS.
    pub tls: Option<tls::Config>,
    /// After this, requests still in flight are cut.
    pub drain_timeout: Duration,
    /// Between "not ready" and closing the listener.
    pub drain_delay: Duration,
    /// Bytes of request line and headers; hyper needs 8 KiB at least, less counts as that.
    pub max_head: usize,
    /// Headers of a request. Other than 100, it costs an allocation a request.
    pub max_fields: usize,
    /// Connections at once.
    pub max_connections: usize,
    /// HTTP/2 streams at once, a connection.
    pub max_streams: u32,
    /// From the first byte of a head to its end; also the time of a TLS handshake.
    pub header_timeout: Duration,
    /// A kept connection without a request.
    pub idle_timeout: Duration,
    /// A client that takes no byte of its response.
    pub write_idle_timeout: Duration,
}

/// What can serve a connection: a stack that has turned all of its errors into responses.
pub trait Service:
    tower::Service<
        Request<Body>,
        Response = Response<Body>,
        Error = Infallible,
        Future: Send + 'static,
    > + Clone
    + Send
    + 'static
{
}

impl<S> Service for S where
    S: tower::Service<
            Request<Body>,
            Response = Response<Body>,
            Error = Infallible,
            Future: Send + 'static,
        > + Clone
        + Send
        + 'static
{
}

impl Config {
    /// A listener with fixed limits, for few and known clients: operators, and trials.
    pub fn side(listen: SocketAddr) -> Self {
        Self {
            listen,
            tls: None,
            drain_timeout: Duration::from_secs(1),
            drain_delay: Duration::ZERO,
            max_head: 32 * 1024,
            max_fields: 100,
            max_connections: 256,
            max_streams: 32,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(60),
            write_idle_timeout: Duration::from_secs(30),
        }
    }

    /// The same with times that the clock can add up.
    fn bounded(mut self) -> Self {
        const FOREVER: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);
        for time in [
            &mut self.drain_timeout,
            &mut self.drain_delay,
            &mut self.header_timeout,
            &mut self.idle_timeout,
            &mut self.write_idle_timeout,
        ] {
            *time = (*time).min(FOREVER);
        }
        self
    }
}
