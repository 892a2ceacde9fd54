//! Connections to Sync: a pool of them, over TLS that is always verified.

use std::sync::Arc;

use futures_util::future::{BoxFuture, Either};
use http::{HeaderValue, Request, Response, Uri, Version, header::HOST, uri::Scheme};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::select;
use tower::{BoxError, ServiceExt as _, timeout::Timeout, util::BoxCloneSyncService};

use super::{
    Config, Error, Origin,
    exchange::{Unanswered, exchange},
    spare::Spare,
    stall::Stall,
    wire::{Io, Wire},
};
use crate::{body::Body, tls};

/// Boxed, because connecting is rare.
type Connector = BoxCloneSyncService<Uri, Io, BoxError>;

/// Sends requests to the origin, whatever their URI or `Host` may say.
#[derive(Debug)]
pub(super) struct Client(Kind);

#[derive(Debug)]
enum Kind {
    Pool(Arc<Pool>),
    /// A service in the place of Sync.
    #[cfg(test)]
    Fake(super::tests::Fake),
}

/// On the right is what only tests have.
type Sending<S> = Either<S, BoxFuture<'static, Result<Response<Body>, Error>>>;

#[derive(Debug)]
struct Pool {
    host: HeaderValue,
    origin: Uri,
    connector: Connector,
    spare: Arc<Spare>,
}

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
        let Origin { scheme, authority } = config.origin.clone();
        let host = HeaderValue::from_str(authority.as_str());
        let origin = Uri::builder().scheme(scheme).authority(authority);
        Ok(Self(Kind::Pool(Arc::new(Pool {
            host: host.expect("an authority is made of visible characters"),
            origin: origin
                .path_and_query("/")
                .build()
                .expect("a scheme, an authority and a path make a URI"),
            connector: Connector::new(connector),
            spare: Spare::new(config.pool_idle_timeout, config.max_in_flight),
        }))))
    }

    /// Sends `request`, which is on its way to a connection before this is polled.
    pub(super) fn send(
        &self,
        request: Request<Body>,
    ) -> impl Future<Output = Result<Response<Body>, Error>> + use<> {
        match &self.0 {
            Kind::Pool(pool) => Sending::Left(Arc::clone(pool).send(request)),
            #[cfg(test)]
            Kind::Fake(fake) => Sending::Right(fake.call(request)),
        }
    }
}

impl Pool {
    fn send(
        self: Arc<Self>,
        mut request: Request<Body>,
    ) -> impl Future<Output = Result<Response<Body>, Error>> {
        make_origin_form(request.uri_mut());
        request.headers_mut().insert(HOST, self.host.clone());
        *request.version_mut() = Version::HTTP_11;
        let spare = Arc::clone(&self.spare);
        let over = move |wire, request| exchange(wire, request, Arc::clone(&spare));
        let begun = match self.spare.take() {
            Some(wire) => Ok(over(wire, request)),
            None => Err(Box::new(request)),
        };
        async move {
            let mut ended = match begun {
                Ok(exchange) => exchange.await,
                Err(request) => Err(Unanswered::Unsent(request)),
            };
            loop {
                let request = match ended {
                    Ok(response) => return Ok(response),
                    Err(Unanswered::Failed(error)) => return Err(error),
                    Err(Unanswered::Unsent(request)) => *request,
                };
                let wire = match self.spare.take() {
                    Some(wire) => wire,
                    None => self.connect().await?,
                };
                ended = over(wire, request).await;
            }
        }
    }

    /// A connection: a new one, or one that comes free before that is made.
    async fn connect(self: &Arc<Self>) -> Result<Box<Wire>, Error> {
        let mut next = self.spare.wait();
        let mut making = Box::pin(Arc::clone(self).make());
        let made = select! {
            biased;
            made = &mut next => {
                // Whoever waits behind this call counts on it.
                tokio::spawn(making);
                made
            }
            () = &mut making => next.await,
        };
        made.unwrap_or_else(|_| Err(Error::Connect("no connection was made".into())))
    }

    async fn make(self: Arc<Self>) {
        let made = async {
            let connected = self.connector.clone().oneshot(self.origin.clone()).await;
            let io = connected.map_err(Error::Connect)?;
            Ok(Box::new(Wire::over(io).await?))
        };
        self.spare.put(made.await);
    }
}

/// Leaves path and query. A target without a path has the path `/` (RFC 9112 section 3.2.1).
fn make_origin_form(target: &mut Uri) {
    if target.scheme().is_some() || target.authority().is_some() {
        let path = target.path_and_query().cloned();
        *target = path.map_or_else(Uri::default, Uri::from);
    }
    if target.path().is_empty() {
        *target = Uri::from_static("/");
    }
}

#[cfg(test)]
impl Client {
    /// A client of a service in the place of Sync.
    pub(super) fn fake(fake: super::tests::Fake) -> Self {
        Self(Kind::Fake(fake))
    }
}

fn tls(config: &Config) -> Result<ClientConfig, rustls::Error> {
    tls::client_config(config.ca.as_deref(), config.origin.scheme == Scheme::HTTPS)
}
