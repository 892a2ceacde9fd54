//! Which requests are looked at.

use std::sync::Arc;

use http::Request;
use parking_lot::Mutex;
use tokio::time::{Duration, Instant};

use super::{Config, Exporter, RequestTrace, Span, SpanContext, span_context::TRACESTATE};
use crate::backoff::{draw, part};

/// Decides of each request whether something is noted of it.
#[derive(Clone, Debug)]
pub struct Recorder {
    exporter: Option<Exporter>,
    /// The part of requests that is sampled.
    sample: f64,
    asked_for: Arc<AskedFor>,
    /// Whether something is noted of those that are not sampled, too.
    notes_all: bool,
    says_timing: bool,
}

/// Bounds the requests that are sampled because they ask for that: whoever asks has not shown a
/// token yet.
#[derive(Debug)]
struct AskedFor(Mutex<(Instant, u32)>);

/// So many are in a second; the others are sampled as those are that do not ask.
const MOST_ASKED_FOR: u32 = 100;

impl Recorder {
    /// What looks at requests, if anything has to be known of them: for a collector, for responses,
    /// or because `is_logged`.
    pub fn new(config: Config, exporter: Option<Exporter>, is_logged: bool) -> Option<Self> {
        let Config { sample, server_timing } = config;
        let is_wanted = exporter.is_some() || server_timing || is_logged;
        is_wanted.then_some(Self {
            exporter,
            sample,
            asked_for: Arc::new(AskedFor(Mutex::new((Instant::now(), 0)))),
            notes_all: server_timing || is_logged,
            says_timing: server_timing,
        })
    }

    /// Begins the span of a request, if it is sampled, and what is noted of it.
    pub fn begin<B>(&self, request: &mut Request<B>) -> (RequestTrace, Span) {
        let span = self.sample(request);
        if !self.notes_all && span.context().is_none() {
            return (RequestTrace::default(), span);
        }
        (RequestTrace::new(&span), span)
    }

    /// Whether responses say where their time went.
    pub fn says_timing(&self) -> bool {
        self.says_timing
    }

    fn sample<B>(&self, request: &mut Request<B>) -> Span {
        let Some(exporter) = &self.exporter else { return Span::default() };
        let remote = SpanContext::of(request.headers());
        let is_asked_for =
            remote.is_some_and(|remote| remote.is_sampled) && self.asked_for.have_room();
        if !is_asked_for && part(draw()) > self.sample {
            return Span::default();
        }
        if remote.is_none() {
            request.headers_mut().remove(TRACESTATE);
        }
        Span::first(exporter, "request", remote)
    }
}

impl AskedFor {
    /// Whether this second has room for one more, which it takes.
    fn have_room(&self) -> bool {
        let now = Instant::now();
        let (began_at, count) = &mut *self.0.lock();
        if now.saturating_duration_since(*began_at) >= Duration::from_secs(1) {
            (*began_at, *count) = (now, 0);
        }
        *count += 1;
        *count <= MOST_ASKED_FOR
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn so_many_a_second_are_sampled_because_they_ask() {
        let asked_for = AskedFor(Mutex::new((Instant::now(), 0)));
        for second in 0..3 {
            let granted = (0..1000).filter(|_| asked_for.have_room()).count();
            assert_eq!(granted, 100, "in second {second}");
            tokio::time::advance(Duration::from_secs(1)).await;
        }
    }
}
