//! Which service answers: the end of the request path.

use std::task::{Context, Poll};

use futures_util::{
    TryFutureExt as _,
    future::{BoxFuture, Either, MapErr},
};
use http::{Request, Response};
use tower::{Service, ServiceExt as _};

use super::error::Error;
use crate::{
    batch,
    body::Body,
    forward::{self, Forward},
    request_context::RequestContext,
    route::Route,
    rule::Rejection,
};

/// The batch endpoint.
pub type Batch = batch::Batch<Undocumented>;

/// Takes what the batch endpoint passes on because it is not documented.
pub type Undocumented = tower::util::MapErr<Forward, fn(forward::Error) -> Error>;

/// Gives each request to the service of its route.
#[derive(Clone, Debug)]
pub(super) struct Dispatch {
    batch: Batch,
    forward: Forward,
}

type Forwarded = MapErr<forward::ResponseFuture, fn(forward::Error) -> Rejection<Error>>;
type Batched = BoxFuture<'static, Result<Response<Body>, Rejection<Error>>>;

/// Makes a [`Forward`] what the batch endpoint passes on to.
pub fn undocumented(forward: Forward) -> Undocumented {
    forward.map_err(Error::from)
}

impl Dispatch {
    pub(super) fn new(batch: Batch, forward: Forward) -> Self {
        Self { batch, forward }
    }
}

impl Service<Request<Body>> for Dispatch {
    type Response = Response<Body>;
    type Error = Rejection<Error>;
    type Future = Either<Forwarded, Batched>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // Both are always ready: the upstream bounds calls, not requests.
        futures_util::ready!(self.batch.poll_ready(cx))?;
        self.forward.poll_ready(cx).map_err(Rejection::bare)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        if RequestContext::of(request.extensions()).route == Route::Batch {
            Either::Right(self.batch.call(request))
        } else {
            Either::Left(
                self.forward
                    .call(request)
                    .map_err(Rejection::bare as fn(_) -> _),
            )
        }
    }
}
