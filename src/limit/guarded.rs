//! Admitted with a guard that lives as long as the response, or refused.

use std::{
    any::Any,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::Response;
use pin_project_lite::pin_project;

use super::Error;
use crate::{body::Body, rule::Refused};

pin_project! {
    /// The response of a service that admits only so much.
    #[project = Projected]
    pub enum ResponseFuture<F, G> {
        /// Admitted; the response's body keeps the guard.
        Admitted { #[pin] inner: F, guard: Option<G> },
        /// Not admitted.
        Refused { error: Error, unread: Option<Body> },
    }
}

// === impl ResponseFuture ===

impl<F, G> ResponseFuture<F, G> {
    pub(super) fn admitted(inner: F, guard: Option<G>) -> Self {
        Self::Admitted { inner, guard }
    }

    pub(super) fn refused(error: Error, unread: Body) -> Self {
        Self::Refused { error, unread: Some(unread) }
    }
}

impl<F, G, E> Future for ResponseFuture<F, G>
where
    F: Future<Output = Result<Response<Body>, Refused<E>>>,
    G: Any + Send,
    E: From<Error>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            Projected::Admitted { inner, guard } => {
                let response = ready!(inner.poll(cx))?;
                let guard = guard.take();
                Poll::Ready(Ok(response.map(|body| body.hold(guard))))
            }
            Projected::Refused { error, unread } => {
                let unread = unread.take().unwrap_or_default();
                Poll::Ready(Err(Refused { error: (*error).into(), unread }))
            }
        }
    }
}
