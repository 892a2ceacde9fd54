//! Rules: they check a request and pass it on, perhaps changed, or refuse it.
//!
//! Several lines of the request path do nothing else, so the mechanism is written once. A rule
//! is a plain struct with a synchronous function, tested without tower and without tokio.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::future::{Either, Ready, ready};
use http::Request;
use tower::{Layer, Service};

use crate::body::Body;

/// Checks a request and passes it on, perhaps changed, or refuses it.
pub trait Rule {
    /// Why a request is refused.
    type Error;

    /// Passes `request` on or refuses it. A refusal keeps its body, which may have to be drained.
    fn check(&self, request: Request<Body>) -> Result<Request<Body>, Refused<Self::Error>>;
}

/// A refused request: the reason and what is left of it.
#[derive(Debug)]
pub struct Refused<E> {
    /// Why it is refused.
    pub error: E,
    /// The body that nobody will read.
    pub unread: Body,
}

/// Puts a [`Rule`] before a service.
#[derive(Debug)]
pub struct RuleLayer<R>(Arc<R>);

/// A service behind a [`Rule`].
#[derive(Debug)]
pub struct RuleService<R, S> {
    rule: Arc<R>,
    inner: S,
}

// === impl Refused ===

impl<E> Refused<E> {
    /// Refuses `request` because of `error`.
    pub fn new(error: impl Into<E>, request: Request<Body>) -> Self {
        Self { error: error.into(), unread: request.into_body() }
    }

    /// Refuses a request whose body was read or need not be.
    pub fn bare(error: impl Into<E>) -> Self {
        Self { error: error.into(), unread: Body::empty() }
    }
}

// === impl RuleLayer ===

impl<R> RuleLayer<R> {
    /// A layer that applies `rule`.
    pub fn new(rule: R) -> Self {
        Self(Arc::new(rule))
    }
}

impl<R> Clone for RuleLayer<R> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<R, S> Layer<S> for RuleLayer<R> {
    type Service = RuleService<R, S>;

    fn layer(&self, inner: S) -> Self::Service {
        RuleService { rule: Arc::clone(&self.0), inner }
    }
}

// === impl RuleService ===

impl<R, S: Clone> Clone for RuleService<R, S> {
    fn clone(&self) -> Self {
        Self { rule: Arc::clone(&self.rule), inner: self.inner.clone() }
    }
}

impl<R, S, E> Service<Request<Body>> for RuleService<R, S>
where
    R: Rule,
    S: Service<Request<Body>, Error = Refused<E>>,
    E: From<R::Error>,
{
    type Response = S::Response;
    type Error = Refused<E>;
    type Future = Either<S::Future, Ready<Result<S::Response, Refused<E>>>>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match self.rule.check(request) {
            Ok(request) => Either::Left(self.inner.call(request)),
            Err(Refused { error, unread }) => {
                Either::Right(ready(Err(Refused { error: error.into(), unread })))
            }
        }
    }
}
