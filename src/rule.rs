//! Rules: they check a request and pass it on, perhaps changed, or refuse it.
//!
//! Most lines of the request path do nothing else, so the mechanism is written once. A rule is a
//! plain struct with a synchronous function, tested without tower and without tokio. What it has
//! to wait for is a future that it gives back; most requests pass without one.

use std::{
    any::Any,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use futures_util::future::BoxFuture;
use http::{Request, Response};
use pin_project_lite::pin_project;
use tower::{Layer, Service, layer::layer_fn};

use crate::body::{Body, Guard};

/// Checks a request and passes it on, perhaps changed, or refuses it.
pub trait Rule {
    /// Why a request is refused.
    type Error;

    /// Passes `request` on or refuses it. The body of one that is refused may have to be drained,
    /// so it stays where it is.
    fn check(&self, request: &mut Request<Body>) -> Result<Pass<Self::Error>, Self::Error>;
}

/// How a request passes.
pub enum Pass<E> {
    /// At once.
    Now,
    /// At once. The guard is kept until the response has ended.
    Holding(Guard),
    /// When this has ended well. The request was taken and comes back.
    Later(BoxFuture<'static, Result<Request<Body>, Rejection<E>>>),
}

/// A refused request: the reason and what is left of it.
#[derive(Debug)]
pub struct Rejection<E> {
    /// Why it is refused.
    pub error: E,
    /// The body that nobody will read.
    pub unread: Body,
}

/// A service behind a [`Rule`].
#[derive(Debug)]
pub struct RuleService<R, S> {
    rule: Arc<R>,
    inner: S,
}

pin_project! {
    /// The response of a [`RuleService`].
    #[project = Projected]
    #[allow(missing_docs, reason = "the variants say it")]
    pub enum ResponseFuture<F, E> {
        /// The request has passed.
        Passed { #[pin] inner: F, guard: Option<Guard> },
        /// It may pass later.
        Waiting { response: BoxFuture<'static, Result<Response<Body>, Rejection<E>>> },
        /// It is refused.
        Refused { rejection: Option<Rejection<E>> },
    }
}

impl<E> Pass<E> {
    /// At once. `guard` is kept until the response has ended.
    pub fn holding(guard: impl Any + Send) -> Self {
        Self::Holding(Box::new(guard))
    }
}

impl<E> Rejection<E> {
    /// Refuses `request` because of `error`.
    pub fn new(error: impl Into<E>, request: Request<Body>) -> Self {
        Self { error: error.into(), unread: request.into_body() }
    }

    /// Refuses a request whose body was read or need not be.
    pub fn bare(error: impl Into<E>) -> Self {
        Self { error: error.into(), unread: Body::empty() }
    }

    /// The same with another error.
    pub fn map<T>(self, map: impl FnOnce(E) -> T) -> Rejection<T> {
        Rejection { error: map(self.error), unread: self.unread }
    }
}

/// Puts `rule` before services.
pub fn layer<R, S>(rule: R) -> impl Layer<S, Service = RuleService<R, S>> {
    let rule = Arc::new(rule);
    layer_fn(move |inner| RuleService { rule: Arc::clone(&rule), inner })
}

impl<R, S: Clone> Clone for RuleService<R, S> {
    fn clone(&self) -> Self {
        Self { rule: Arc::clone(&self.rule), inner: self.inner.clone() }
    }
}

impl<R, S, E> Service<Request<Body>> for RuleService<R, S>
where
    R: Rule<Error: Send + 'static>,
    S: Service<Request<Body>, Response = Response<Body>, Error = Rejection<E>>,
    S: Clone + Send + 'static,
    S::Future: Send,
    E: From<R::Error> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = Rejection<E>;
    type Future = ResponseFuture<S::Future, E>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let guard = match self.rule.check(&mut request) {
            Ok(Pass::Now) => None,
            Ok(Pass::Holding(guard)) => Some(guard),
            Ok(Pass::Later(later)) => {
                // The clone was not made ready, so it stays and the ready one goes.
                let clone = self.inner.clone();
                let mut inner = mem::replace(&mut self.inner, clone);
                let response = Box::pin(async move {
                    let request = later.await.map_err(|rejection| rejection.map(E::from))?;
                    inner.call(request).await
                });
                return ResponseFuture::Waiting { response };
            }
            Err(error) => {
                let rejection = Some(Rejection::new(error, request));
                return ResponseFuture::Refused { rejection };
            }
        };
        ResponseFuture::Passed { inner: self.inner.call(request), guard }
    }
}

impl<F, E> Future for ResponseFuture<F, E>
where
    F: Future<Output = Result<Response<Body>, Rejection<E>>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            Projected::Passed { inner, guard: None } => inner.poll(cx),
            Projected::Passed { inner, guard } => {
                let response = ready!(inner.poll(cx))?;
                let guards = guard.take().into_iter();
                Poll::Ready(Ok(response.map(|body| guards.fold(body, Body::hold_guard))))
            }
            Projected::Waiting { response } => response.as_mut().poll(cx),
            Projected::Refused { rejection } => {
                Poll::Ready(Err(rejection.take().expect("polled after its end")))
            }
        }
    }
}

/// `request` as it has passed `rule`.
#[cfg(any(test, fuzzing))]
pub(crate) async fn apply<R: Rule>(
    rule: &R,
    mut request: Request<Body>,
) -> Result<Request<Body>, Rejection<R::Error>> {
    match rule.check(&mut request) {
        Ok(Pass::Now | Pass::Holding(_)) => Ok(request),
        Ok(Pass::Later(later)) => later.await,
        Err(error) => Err(Rejection::new(error, request)),
    }
}

/// `request` as it has passed `rule`, which waits for nothing.
#[cfg(any(test, fuzzing))]
pub(crate) fn apply_now<R: Rule>(
    rule: &R,
    request: Request<Body>,
) -> Result<Request<Body>, Rejection<R::Error>> {
    let applied = futures_util::FutureExt::now_or_never(apply(rule, request));
    applied.expect("nothing is waited for")
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tower::ServiceExt as _;
    use tower_test::mock;

    use super::*;

    /// Lets every request wait for a moment.
    #[derive(Debug)]
    struct Waits;

    impl Rule for Waits {
        type Error = &'static str;

        fn check(&self, request: &mut Request<Body>) -> Result<Pass<Self::Error>, Self::Error> {
            let request = mem::take(request);
            Ok(Pass::Later(Box::pin(async {
                tokio::task::yield_now().await;
                Ok(request)
            })))
        }
    }

    #[tokio::test]
    async fn calls_the_service_that_said_it_is_ready() {
        let (inner, mut handle) = mock::pair::<Request<Body>, Response<Body>>();
        let inner = inner.map_err(|_| Rejection::<&str>::bare("closed"));
        let mut service = layer(Waits).layer(inner);
        handle.allow(1);
        let call = service
            .ready()
            .await
            .unwrap()
            .call(Request::new(Body::full("x")));
        let (response, ()) = tokio::join!(call, async {
            let (request, send) = handle.next_request().await.unwrap();
            assert!(format!("{:?}", request.body()).contains("full"), "it is the same request");
            send.send_response(Response::default());
        });
        assert!(response.is_ok());
        assert!(service.ready().now_or_never().is_none(), "its clone was not made ready");
    }
}
