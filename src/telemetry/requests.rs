//! Every request is counted, timed and, if configured, logged and traced.
//!
//! A request lasts until the last byte of its response was taken, so the guard that notes its end
//! is held by the body of the response.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{HeaderValue, Request, Response, StatusCode, header::AGE};
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower::{Layer, Service};
use tracing::info;

use super::{
    Access,
    log::ACCESS,
    metrics::Metrics,
    request_labels::{MethodLabel, StatusLabel},
};
use crate::{
    body::Body,
    headers::SERVER_TIMING,
    problem::Code,
    proxy_status,
    request_context::RequestContext,
    request_id::RequestId,
    route::Route,
    trace::{self, Exporter, Recorder, RequestTrace, Span},
};

/// Counts, times, logs and traces requests.
#[derive(Clone, Debug)]
pub struct TelemetryLayer {
    metrics: Metrics,
    access: Access,
    recorder: Option<Recorder>,
}

/// A service behind [`TelemetryLayer`].
#[derive(Clone, Debug)]
pub struct TelemetryService<S> {
    layer: TelemetryLayer,
    inner: S,
}

pin_project! {
    /// The response of a [`TelemetryService`].
    #[derive(Debug)]
    pub struct ResponseFuture<F> {
        #[pin]
        inner: F,
        exchange: Option<Exchange>,
    }
}

/// A request and its response, counted and logged when dropped.
#[derive(Debug)]
struct Exchange {
    metrics: Metrics,
    route: Route,
    method: MethodLabel,
    started_at: Instant,
    status: Option<StatusCode>,
    /// The problem that the gateway itself responded with.
    problem: Option<Code>,
    /// Whether Sync refuses the credential of an account, which is nobody's fault who calls.
    is_account_refused: bool,
    /// How old the response is, in seconds, as its header says.
    age: Option<u64>,
    access: Access,
    id: Option<RequestId>,
    trace: RequestTrace,
    span: Span,
    says_timing: bool,
}

impl TelemetryLayer {
    /// A layer that counts into `metrics`, writes a line for the requests that `access` names, and
    /// looks at requests as `trace` says; what is seen goes to `exporter`.
    pub fn new(
        metrics: Metrics,
        access: Access,
        trace: trace::Config,
        exporter: Option<Exporter>,
    ) -> Self {
        let recorder = Recorder::new(trace, exporter, access == Access::All);
        Self { metrics, access, recorder }
    }
}

impl<S> Layer<S> for TelemetryLayer {
    type Service = TelemetryService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        TelemetryService { layer: self.clone(), inner }
    }
}

impl<S> Service<Request<Body>> for TelemetryService<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ResponseFuture<S::Future>;

    #[inline]
    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let exchange = Exchange::begin(&self.layer, &mut request);
        ResponseFuture { inner: self.inner.call(request), exchange: Some(exchange) }
    }
}

impl<F> Future for ResponseFuture<F>
where
    F: Future<Output = Result<Response<Body>, Infallible>>,
{
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(mut response) = ready!(this.inner.poll(cx));
        let Some(mut exchange) = this.exchange.take() else {
            return Poll::Ready(Ok(response));
        };
        exchange.respond(&mut response);
        Poll::Ready(Ok(response.map(|body| body.hold(exchange))))
    }
}

impl Exchange {
    fn begin(layer: &TelemetryLayer, request: &mut Request<Body>) -> Self {
        let TelemetryLayer { metrics, access, recorder } = layer;
        metrics.begin();
        let begin = |recorder: &Recorder| recorder.begin(request);
        let (trace, span) = recorder.as_ref().map(begin).unwrap_or_default();
        let method = MethodLabel::of(request.method());
        let context = RequestContext::of_mut(request.extensions_mut());
        let started_at = Instant::now();
        (context.trace, context.began_at) = (trace.clone(), Some(started_at));
        Self {
            metrics: metrics.clone(),
            route: context.route,
            method,
            started_at,
            status: None,
            problem: None,
            is_account_refused: false,
            age: None,
            access: *access,
            id: match (access, span.context()) {
                (Access::Off, None) => None,
                _ => context.id.clone(),
            },
            trace,
            span,
            says_timing: recorder.as_ref().is_some_and(Recorder::says_timing),
        }
    }

    fn respond(&mut self, response: &mut Response<Body>) {
        self.status = Some(response.status());
        self.problem = response.extensions().get().copied();
        self.is_account_refused = response.status() == StatusCode::UNAUTHORIZED
            && proxy_status::is_account_refused(response.headers());
        if self.access == Access::All {
            self.age = response.headers().get(AGE).and_then(seconds_of);
        }
        self.count();
        if self.says_timing
            && let Some(timing) = self.trace.server_timing(self.started_at.elapsed())
        {
            response.headers_mut().append(SERVER_TIMING, timing);
        }
    }

    /// Says in the span what is known of the request.
    fn describe(&mut self) {
        if self.span.context().is_none() {
            return;
        }
        self.span.set("vingate.route", self.route.as_str());
        self.span.set("http.request.method", self.method.as_str());
        if let Some(id) = &self.id {
            self.span.set("vingate.request_id", id.as_str());
        }
        if let Some(vehicles) = self.trace.vehicles() {
            self.span.set("vingate.vehicles", vehicles);
        }
        if let Some(calls) = self.trace.calls() {
            self.span.set("vingate.calls", calls as usize);
        }
        let status = self.status.map(|status| status.as_u16());
        if let Some(status) = status {
            self.span.set("http.response.status_code", status);
        }
        if status.is_none_or(|status| status >= 500) {
            self.span
                .fail(self.problem.map_or("response", Code::as_str));
        }
    }

    fn count(&self) {
        self.metrics
            .requests(self.route, self.method, StatusLabel::of(self.status))
            .inc();
        if let Some(code) = self.problem {
            self.metrics.problem(code);
        }
    }

    fn is_logged(&self) -> bool {
        match self.access {
            Access::All => true,
            Access::Errors => {
                let is_server_error = self.status.is_some_and(|status| status.is_server_error());
                self.problem.is_some() || self.is_account_refused || is_server_error
            }
            Access::Off => false,
        }
    }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let seconds = self.started_at.elapsed().as_secs_f64();
        self.metrics.end(self.route, seconds);
        if self.status.is_none() {
            self.count();
        }
        self.describe();
        if self.is_logged() {
            info!(
                target: ACCESS,
                request_id = self.id.as_ref().map(RequestId::as_str),
                client = self.trace.address().map(display),
                client_id = self.trace.client().map(|client| client.to_string()),
                route = self.route.as_str(),
                method = self.method.as_str(),
                status = self.status.map(|status| status.as_u16()),
                code = self.problem.map(Code::as_str),
                seconds,
                vehicles = self.trace.vehicles(),
                age = self.age,
                calls = self.trace.calls(),
                trace_id = self.span.context().map(|context| context.trace_id()),
                "request ended",
            );
        }
    }
}

/// The value of an `Age` (RFC 9111 §5.1), if it is one.
fn seconds_of(age: &HeaderValue) -> Option<u64> {
    age.to_str().ok()?.parse().ok()
}

#[cfg(test)]
mod tests;
