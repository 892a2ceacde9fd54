//! Puts the [`Authenticator`] before a service.
//!
//! No [`Rule`](crate::rule::Rule), because a token may name a key that is only being fetched. The
//! others, which is all but a handful after a key was replaced, are judged at once, without a box
//! or a second poll.

use std::{
    mem,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::{BoxFuture, Either, Ready, ready};
use http::Request;
use tower::{Layer, Service};

use super::{
    Error, Principal,
    authenticator::{Authentication, Authenticator, unix_time},
};
use crate::{body::Body, rule::Refused};

/// Asks for a token: 401, or a [`Principal`] in the request's extensions.
#[derive(Clone, Debug)]
pub struct AuthenticateLayer(pub(super) Arc<Authenticator>);

/// A service that only those reach whose tokens are good.
#[derive(Clone, Debug)]
pub struct Authenticate<S> {
    authenticator: Arc<Authenticator>,
    inner: S,
}

// === impl AuthenticateLayer ===

impl AuthenticateLayer {
    pub(super) fn new(authenticator: Authenticator) -> Self {
        Self(Arc::new(authenticator))
    }
}

impl<S> Layer<S> for AuthenticateLayer {
    type Service = Authenticate<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Authenticate { authenticator: Arc::clone(&self.0), inner }
    }
}

// === impl Authenticate ===

impl<S, E> Service<Request<Body>> for Authenticate<S>
where
    S: Service<Request<Body>, Error = Refused<E>> + Clone + Send + 'static,
    S::Response: Send,
    S::Future: Send,
    E: From<Error> + Send,
{
    type Response = S::Response;
    type Error = Refused<E>;
    type Future = Either<
        Either<S::Future, Ready<Result<S::Response, Refused<E>>>>,
        BoxFuture<'static, Result<S::Response, Refused<E>>>,
    >;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let fetch = match self.authenticator.check(request.headers(), unix_time()) {
            Authentication::Principal(principal) => {
                return Either::Left(Either::Left(self.inner.call(with(principal, request))));
            }
            Authentication::Refused(error) => {
                let refused = Err(self.authenticator.refuse(error, request));
                return Either::Left(Either::Right(ready(refused)));
            }
            Authentication::Awaits(fetch) => fetch,
        };
        // The clone was not made ready, so it stays and the ready one goes.
        let clone = self.inner.clone();
        let mut inner = mem::replace(&mut self.inner, clone);
        let authenticator = Arc::clone(&self.authenticator);
        Either::Right(Box::pin(async move {
            match authenticator.wait_and_check(request.headers(), fetch).await {
                Ok(principal) => inner.call(with(principal, request)).await,
                Err(error) => Err(authenticator.refuse(error, request)),
            }
        }))
    }
}

fn with(principal: Principal, mut request: Request<Body>) -> Request<Body> {
    request.extensions_mut().insert(principal);
    request
}

#[cfg(test)]
mod tests;
