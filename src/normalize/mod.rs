//! Vehicles inside HTTP: one spelling in path, query and body.
//!
//! Below this layer a vehicle is spelled in one way only, so that what is keyed is what is
//! sent. Requests of other routes pass without an allocation.

mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod path;
mod query;
mod upsert;

use std::{
    mem,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::future::{BoxFuture, Either, Ready, ready};
use http::{
    HeaderValue, Method, Request,
    header::{CONTENT_LENGTH, TRANSFER_ENCODING},
};
use tower::{Layer, Service};

pub use self::error::{Error, InvalidMember, MemberError};
use crate::{body::Body, route::Route, rule::Refused};

/// What the normalization needs to know.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Bytes of the body of a vehicle's upsert.
    pub max_body: usize,
    /// Silence in such a body.
    pub body_idle_timeout: Duration,
}

/// Brings vehicles into their one spelling, or refuses the request.
///
/// Reads the [`Route`] from the request's extensions.
#[derive(Clone, Copy, Debug)]
pub struct NormalizeLayer(Config);

/// A service that sees vehicles in their one spelling only.
#[derive(Clone, Debug)]
pub struct Normalize<S> {
    inner: S,
    config: Config,
}

// === impl NormalizeLayer ===

impl NormalizeLayer {
    /// A layer with these limits.
    pub fn new(config: Config) -> Self {
        Self(config)
    }
}

impl<S> Layer<S> for NormalizeLayer {
    type Service = Normalize<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Normalize { inner, config: self.0 }
    }
}

// === impl Normalize ===

impl<S, E> Service<Request<Body>> for Normalize<S>
where
    S: Service<Request<Body>, Error = Refused<E>> + Clone + Send + 'static,
    S::Response: Send,
    S::Future: Send,
    E: From<Error> + Send + 'static,
{
    type Response = S::Response;
    type Error = Refused<E>;
    type Future = Either<
        S::Future,
        Either<
            Ready<Result<S::Response, Refused<E>>>,
            BoxFuture<'static, Result<S::Response, Refused<E>>>,
        >,
    >;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let route = request.extensions().get().copied().unwrap_or(Route::Other);
        match (route, request.method()) {
            (Route::VehicleStatus, _) => match path::normalize(request.uri()) {
                Ok(Some(uri)) => *request.uri_mut() = uri,
                Ok(None) => {}
                Err(error) => {
                    return Either::Right(Either::Left(ready(Err(Refused::new(error, request)))));
                }
            },
            (Route::VehicleList, &Method::GET | &Method::HEAD) => {
                if let Some(uri) = query::normalize(request.uri()) {
                    *request.uri_mut() = uri;
                }
            }
            (Route::VehicleUpsert, &Method::PUT) => {
                // Only the service that was polled is ready, so the clone takes its place.
                let clone = self.inner.clone();
                let mut inner = mem::replace(&mut self.inner, clone);
                let config = self.config;
                return Either::Right(Either::Right(Box::pin(async move {
                    let request = normalize_body(request, config).await?;
                    inner.call(request).await
                })));
            }
            _ => {}
        }
        Either::Left(self.inner.call(request))
    }
}

async fn normalize_body<E: From<Error>>(
    mut request: Request<Body>,
    config: Config,
) -> Result<Request<Body>, Refused<E>> {
    let buffered = request
        .body_mut()
        .buffer(config.max_body, config.body_idle_timeout)
        .await;
    let bytes = match buffered.map_err(Error::from).and_then(upsert::normalize) {
        Ok(bytes) => bytes,
        Err(error) => return Err(Refused::new(error, request)),
    };
    let headers = request.headers_mut();
    headers.remove(TRANSFER_ENCODING);
    headers.insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
    Ok(request.map(|_| Body::full(bytes)))
}

#[cfg(test)]
mod tests;
