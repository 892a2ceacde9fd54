//! Connections to Sync: a pool of them, over TLS that is always verified.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

#[cfg(test)]
use futures_util::TryFutureExt as _;
use futures_util::future::{BoxFuture, Either};
use http::{HeaderValue, Request, Response, Uri, Version, header::HOST, uri::Scheme};
use hyper_util::rt::TokioIo;
use pin_project_lite::pin_project;
use rustls::ClientConfig;
use tokio::select;
use tower::{BoxError, ServiceExt as _, timeout::Timeout, util::BoxCloneSyncService};

use super::{
    Config, Error, Origin,
    exchange::{Exchange, Unanswered, exchange},
    spare::Spare,
    stall::Stall,
    wire::{Io, Responded, Wire},
};
use crate::{body::Body, tls};

/// Boxed, because connecting is rare.
type Connector = BoxCloneSyncService<Uri, Io, BoxError>;

/// Sends requests to the origin, whatever their URI or `Host` may say.
#[derive(Debug)]
pub(super) enum Client {
    Pool(Arc<Pool>),
    /// A service in the place of Sync.
    #[cfg(test)]
    Fake(super::tests::Fake),
}

pin_project! {
    /// A request on its way, over a spare connection first if there is one.
    struct Sending<F> {
        #[pin]
        first: Option<Exchange<F>>,
        later: Option<BoxFuture<'static, Result<Box<Response<Body>>, Error>>>,
        pool: Arc<Pool>,
    }
}

/// On the right is what only tests have.
type Faked<S> = Either<S, BoxFuture<'static, Result<Box<Response<Body>>, Error>>>;

#[derive(Debug)]
pub(super) struct Pool {
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
        Ok(Self::Pool(Arc::new(Pool {
            host: host.expect("an authority is made of visible characters"),
            origin: origin
                .path_and_query("/")
                .build()
                .expect("a scheme, an authority and a path make a URI"),
            connector: Connector::new(connector),
            spare: Spare::new(config.pool_idle_timeout, config.max_in_flight),
        })))
    }

    /// Sends `request`.
    pub(super) fn send(
        &self,
        request: Box<Request<Body>>,
    ) -> impl Future<Output = Result<Box<Response<Body>>, Error>> + use<> {
        match self {
            Self::Pool(pool) => Faked::Left(Arc::clone(pool).send(request)),
            #[cfg(test)]
            Self::Fake(fake) => Faked::Right(Box::pin(fake.call(*request).map_ok(Box::new))),
        }
    }
}

impl Pool {
    fn send(
        self: Arc<Self>,
        mut request: Box<Request<Body>>,
    ) -> Sending<impl Future<Output = Responded>> {
        make_origin_form(request.uri_mut());
        request.headers_mut().insert(HOST, self.host.clone());
        *request.version_mut() = Version::HTTP_11;
        match self.spare.take() {
            Some(wire) => {
                let first = exchange(wire, *request, Arc::clone(&self.spare));
                Sending { first: Some(first), later: None, pool: self }
            }
            None => {
                let later = Arc::clone(&self).send_later(request);
                Sending { first: None, later: Some(Box::pin(later)), pool: self }
            }
        }
    }

    /// Sends `request` over the next connection that has not ended meanwhile.
    async fn send_later(
        self: Arc<Self>,
        mut request: Box<Request<Body>>,
    ) -> Result<Box<Response<Body>>, Error> {
        loop {
            let wire = match self.spare.take() {
                Some(wire) => wire,
                None => self.connect().await?,
            };
            request = match exchange(wire, *request, Arc::clone(&self.spare)).await {
                Ok(response) => return Ok(response),
                Err(Unanswered::Failed(error)) => return Err(error),
                Err(Unanswered::Unsent(request)) => request,
            };
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

impl<F: Future<Output = Responded>> Future for Sending<F> {
    type Output = Result<Box<Response<Body>>, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        if let Some(first) = this.first.as_mut().as_pin_mut() {
            match ready!(first.poll(cx)) {
                Ok(response) => return Poll::Ready(Ok(response)),
                Err(Unanswered::Failed(error)) => return Poll::Ready(Err(error)),
                Err(Unanswered::Unsent(request)) => {
                    let later = Arc::clone(this.pool).send_later(request);
                    this.first.set(None);
                    *this.later = Some(Box::pin(later));
                }
            }
        }
        let later = this.later.as_mut();
        later.map_or(Poll::Pending, |later| later.as_mut().poll(cx))
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

fn tls(config: &Config) -> Result<ClientConfig, rustls::Error> {
    tls::client_config(config.ca.as_deref(), config.origin.scheme == Scheme::HTTPS)
}
