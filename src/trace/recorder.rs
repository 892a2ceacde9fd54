//! Which requests are looked at.

use http::Request;

use super::{Config, Exporter, RequestTrace, Span, SpanContext, span_context::TRACESTATE};
use crate::backoff::{draw, part};

/// Decides of each request whether something is noted of it.
#[derive(Clone, Debug)]
pub struct Recorder {
    exporter: Option<Exporter>,
    /// The part of requests that is sampled.
    sample: f64,
    /// Whether something is noted of those that are not sampled, too.
    notes_all: bool,
    says_timing: bool,
}

impl Recorder {
    /// What looks at requests, if anything has to be known of them: for a collector, for responses,
    /// or because `is_logged`.
    pub fn new(config: Config, exporter: Option<Exporter>, is_logged: bool) -> Option<Self> {
        let Config { sample, server_timing } = config;
        let is_wanted = exporter.is_some() || server_timing || is_logged;
        is_wanted.then_some(Self {
            exporter,
            sample,
            notes_all: server_timing || is_logged,
            says_timing: server_timing,
        })
    }

    /// Begins the span of a request, if it is sampled, and puts what is noted of it into its
    /// extensions.
    pub fn begin<B>(&self, request: &mut Request<B>) -> (RequestTrace, Span) {
        let span = self.sample(request);
        if !self.notes_all && span.context().is_none() {
            return (RequestTrace::default(), span);
        }
        let trace = RequestTrace::new(&span);
        request.extensions_mut().insert(trace.clone());
        (trace, span)
    }

    /// Whether responses say where their time went.
    pub fn says_timing(&self) -> bool {
        self.says_timing
    }

    fn sample<B>(&self, request: &mut Request<B>) -> Span {
        let Some(exporter) = &self.exporter else { return Span::default() };
        let remote = SpanContext::of(request.headers());
        let is_asked_for = remote.is_some_and(|remote| remote.is_sampled);
        if !is_asked_for && part(draw()) > self.sample {
            return Span::default();
        }
        if remote.is_none() {
            request.headers_mut().remove(TRACESTATE);
        }
        Span::first(exporter, "request", remote)
    }
}
