//! Whether a call would be let through: asked before it waits for its turn, and before it is
//! made again.
//!
//! Nothing is promised: what matters is asked once more when the call goes.

use std::task::{Context, Poll};

use futures_util::future::{self, Either};
use http::{Request, Response};
use tokio::time::Instant;
use tower::{Layer, Service};

use super::{Account, Error, breaker::Breaker, pause::Pauses};
use crate::body::Body;

/// What stands between a call and the upstream: a handle, cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    pub(super) pauses: Pauses,
    pub(super) breaker: Breaker,
}

#[derive(Clone, Debug)]
pub(super) struct GateLayer(Gate);

#[derive(Clone, Debug)]
pub(super) struct Gated<S> {
    inner: S,
    gate: Gate,
}

// === impl Gate ===

impl Gate {
    /// Nothing, or why a call for this account would be refused now.
    pub(super) fn check(&self, account: Option<Account>) -> Result<(), Error> {
        let now = Instant::now();
        self.pauses.check(account, now)?;
        self.breaker.check(now)
    }
}

// === impl GateLayer ===

impl GateLayer {
    pub(super) fn new(gate: Gate) -> Self {
        Self(gate)
    }
}

impl<S> Layer<S> for GateLayer {
    type Service = Gated<S>;

    fn layer(&self, inner: S) -> Gated<S> {
        Gated { inner, gate: self.0.clone() }
    }
}

// === impl Gated ===

impl<S> Service<Request<Body>> for Gated<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Error>,
{
    type Response = Response<Body>;
    type Error = Error;
    type Future = Either<S::Future, future::Ready<Result<Response<Body>, Error>>>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        match self.gate.check(request.extensions().get().copied()) {
            Ok(()) => Either::Left(self.inner.call(request)),
            Err(refused) => Either::Right(future::ready(Err(refused))),
        }
    }
}
