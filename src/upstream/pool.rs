//! Connections to Sync: a pool of them, over TLS that is always verified.

use futures_util::{
    TryFutureExt as _,
    future::{BoxFuture, Either, MapErr, MapOk},
};
use http::{
    Request, Response, Uri,
    header::HOST,
    uri::{PathAndQuery, Scheme},
};
use hyper::body::Incoming;
use hyper_rustls::MaybeHttpsStream;
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioIo, TokioTimer},
};
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tower::{BoxError, ServiceExt as _, timeout::Timeout, util::BoxCloneSyncService};

use super::{Config, Error, Origin, stall::Stall};
use crate::{body::Body, tls};

/// Boxed, because the pool wants a future that is `Unpin`; connecting is rare.
type Connector = BoxCloneSyncService<Uri, Connection, BoxError>;

/// Outwards as hyper reads and writes, and so is what it is made of.
type Connection = TokioIo<Stall<TokioIo<MaybeHttpsStream<TokioIo<TcpStream>>>>>;

/// What is read from a connection at once, and the most that the head of a response may take. A
/// stream holds a few of these at a time, whatever its length.
const MAX_BUFFER: usize = 64 * 1024;

/// Headers of a response. Sync sends a dozen; what stands before it may add some.
const MAX_HEADERS: usize = 256;

/// Sends requests to the origin, whatever their URI or `Host` may say.
#[derive(Debug)]
pub(super) struct Client {
    origin: Origin,
    pool: Pool,
}

#[derive(Debug)]
enum Pool {
    Connections(Box<legacy::Client<Connector, Body>>),
    /// A service in the place of Sync.
    #[cfg(test)]
    Fake(super::tests::Fake),
}

/// The response. What is on the right only tests have.
pub(super) type ResponseFuture = Either<
    MapErr<
        MapOk<legacy::ResponseFuture, fn(Response<Incoming>) -> Response<Body>>,
        fn(legacy::Error) -> Error,
    >,
    BoxFuture<'static, Result<Response<Body>, Error>>,
>;

/// Why TLS to the upstream cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up TLS to the upstream: {0}")]
pub struct TlsError(#[from] rustls::Error);

impl Client {
    pub(super) fn new(config: &Config) -> Result<Self, TlsError> {
        // Sync is not known to speak HTTP/2, and one connection a call keeps a slow response from
        // holding up the others.
        let https = tls::connector(tls(config)?, config.connect_timeout);
        let idle_timeout = config.stream_idle_timeout;
        let connector =
            Timeout::new(https, config.connect_timeout).map_response(move |connection| {
                TokioIo::new(Stall::new(TokioIo::new(connection), idle_timeout))
            });
        let pool = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(config.pool_idle_timeout)
            .pool_max_idle_per_host(config.max_in_flight)
            .http1_max_buf_size(MAX_BUFFER)
            .http1_max_headers(MAX_HEADERS)
            .build(Connector::new(connector));
        Ok(Self { origin: config.origin.clone(), pool: Pool::Connections(Box::new(pool)) })
    }

    pub(super) fn send(&self, mut request: Request<Body>) -> ResponseFuture {
        match &self.pool {
            Pool::Connections(pool) => {
                *request.uri_mut() = self.uri(request.uri());
                // The pool fills in what the URI says.
                request.headers_mut().remove(HOST);
                *request.version_mut() = http::Version::HTTP_11;
                let response = pool
                    .request(request)
                    .map_ok(
                        (|response: Response<Incoming>| response.map(Body::incoming)) as fn(_) -> _,
                    )
                    .map_err(Error::from as fn(_) -> _);
                Either::Left(response)
            }
            #[cfg(test)]
            Pool::Fake(fake) => Either::Right(fake.call(request)),
        }
    }

    fn uri(&self, target: &Uri) -> Uri {
        let target = target.path_and_query().cloned();
        Uri::builder()
            .scheme(self.origin.scheme.clone())
            .authority(self.origin.authority.clone())
            .path_and_query(target.unwrap_or_else(|| PathAndQuery::from_static("/")))
            .build()
            .expect("a scheme, an authority and a path make a URI")
    }
}

#[cfg(test)]
impl Client {
    /// A client of a service in the place of Sync.
    pub(super) fn fake(fake: super::tests::Fake) -> Self {
        let origin = Origin {
            scheme: Scheme::HTTP,
            authority: http::uri::Authority::from_static("sync.example"),
        };
        Self { origin, pool: Pool::Fake(fake) }
    }
}

fn tls(config: &Config) -> Result<ClientConfig, rustls::Error> {
    tls::client_config(config.ca.as_deref(), config.origin.scheme == Scheme::HTTPS)
}
