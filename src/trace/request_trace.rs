//! What is noted of one request while it is served: its steps, where its vehicles came from, and
//! how many calls it took.

use std::{
    fmt::Write as _,
    net::IpAddr,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use http::HeaderValue;
use tokio::time::Instant;

use super::{Kind, Parent, Span, SpanContext, otlp::Value};
use crate::{client::Client, labels::labels};

/// What is noted of one request, or that nothing is: a handle, cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct RequestTrace(Option<Arc<Notes>>);

#[derive(Debug)]
struct Notes {
    /// The span of the request.
    parent: Parent,
    /// Microseconds that steps took.
    micros: [AtomicU64; Step::ALL.len()],
    calls: AtomicU32,
    vehicles: OnceLock<String>,
    address: OnceLock<IpAddr>,
    client: OnceLock<Client>,
}

labels! {
    /// Work for one request: a span, and a metric of `Server-Timing`.
    pub enum Step {
        /// Of vehicles in the cache.
        Lookup = "lookup",
        /// For calls that carry its vehicles, or for the right to make a call of its own.
        Wait = "wait",
        /// A call of its own: what is forwarded, to the head of the response.
        Call = "call",
        /// Of vehicles: from its announcement until nobody serves what it has changed.
        Write = "write",
    }
}

/// A step under way. It ends when it is dropped.
#[derive(Debug, Default)]
pub struct StepSpan(Option<Box<Running>>);

#[derive(Debug)]
struct Running {
    notes: Arc<Notes>,
    step: Step,
    began_at: Instant,
    span: Span,
}

impl RequestTrace {
    /// Nothing is noted.
    pub(crate) const NOTHING: Self = Self(None);

    /// Notes what happens to the request of this span.
    pub(super) fn new(span: &Span) -> Self {
        Self(Some(Arc::new(Notes {
            parent: span.parent(),
            micros: Default::default(),
            calls: AtomicU32::new(0),
            vehicles: OnceLock::new(),
            address: OnceLock::new(),
            client: OnceLock::new(),
        })))
    }

    /// A step that begins now.
    pub fn step(&self, step: Step) -> StepSpan {
        StepSpan(self.0.as_ref().map(|notes| {
            let kind = Kind::Internal;
            let span = notes.parent.child(step.as_str(), kind);
            Box::new(Running { notes: Arc::clone(notes), step, began_at: Instant::now(), span })
        }))
    }

    /// What spans of the request are children of.
    pub fn parent(&self) -> Parent {
        self.0
            .as_ref()
            .map(|notes| notes.parent.clone())
            .unwrap_or_default()
    }

    /// A call was made that carries vehicles of the request.
    pub fn note_call(&self) {
        if let Some(notes) = &self.0 {
            notes.calls.fetch_add(1, Relaxed);
        }
    }

    /// So many vehicles came from there.
    pub fn note_vehicles(&self, counts: impl Iterator<Item = (&'static str, u64)>) {
        let Some(notes) = &self.0 else { return };
        notes.vehicles.get_or_init(|| {
            let mut text = String::new();
            for (from, count) in counts.filter(|(_, count)| *count > 0) {
                let space = if text.is_empty() { "" } else { " " };
                // Writing to a string does not fail.
                let _ = write!(text, "{space}{from}={count}");
            }
            text
        });
    }

    /// It comes from this address.
    pub fn note_address(&self, address: IpAddr) {
        if let Some(notes) = &self.0 {
            let _ = notes.address.set(address);
        }
    }

    /// It comes from this client.
    pub fn note_client(&self, client: Client) {
        if let Some(notes) = &self.0 {
            let _ = notes.client.set(client);
        }
    }

    /// Where it comes from, if that was noted.
    pub fn address(&self) -> Option<IpAddr> {
        self.0.as_ref()?.address.get().copied()
    }

    /// Its client, if that was noted.
    pub fn client(&self) -> Option<Client> {
        self.0.as_ref()?.client.get().copied()
    }

    /// Where its vehicles came from, in words, if it is about vehicles.
    pub fn vehicles(&self) -> Option<&str> {
        self.0.as_ref()?.vehicles.get().map(String::as_str)
    }

    /// How many calls it took.
    pub fn calls(&self) -> Option<u32> {
        self.0.as_ref().map(|notes| notes.calls.load(Relaxed))
    }

    /// `Server-Timing` (W3C): the steps that it took so far, and all together, in milliseconds.
    pub fn server_timing(&self, total: Duration) -> Option<HeaderValue> {
        let notes = self.0.as_ref()?;
        let mut text = String::new();
        for step in Step::ALL {
            let micros = notes.micros[step].load(Relaxed);
            if micros > 0 {
                let _ = write!(text, "{};dur={}, ", step.as_str(), millis(micros));
            }
        }
        let _ = write!(text, "total;dur={}", millis(total.as_micros() as u64));
        HeaderValue::try_from(text).ok()
    }
}

fn millis(micros: u64) -> f64 {
    micros as f64 / 1000.0
}

impl StepSpan {
    /// Says something of it.
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        if let Some(running) = &mut self.0 {
            running.span.set(key, value);
        }
    }

    /// It has to do with another span, which is looked for only if this one is recorded.
    pub fn link(&mut self, other: impl FnOnce() -> Option<SpanContext>) {
        if let Some(Running { span, .. }) = self.0.as_deref_mut()
            && span.context().is_some()
            && let Some(other) = other()
        {
            span.link(other);
        }
    }

    /// What spans of its parts are children of.
    pub fn parent(&self) -> Parent {
        self.0
            .as_ref()
            .map(|running| running.span.parent())
            .unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Rounded up, so that each step that was taken is there.
        let micros = self.began_at.elapsed().as_micros() as u64 + 1;
        self.notes.micros[self.step].fetch_add(micros, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn notes_steps_vehicles_and_calls() {
        let trace = RequestTrace::new(&Span::default());
        for step in [Step::Lookup, Step::Wait, Step::Wait] {
            let running = trace.step(step);
            tokio::time::advance(Duration::from_millis(20)).await;
            drop(running);
        }
        trace.note_call();
        trace.note_vehicles([("hit", 2), ("stale", 0), ("miss", 1)].into_iter());
        assert_eq!(trace.vehicles(), Some("hit=2 miss=1"));
        assert_eq!(trace.calls(), Some(1));
        let timing = trace.server_timing(Duration::from_micros(60_500)).unwrap();
        assert_eq!(timing, "lookup;dur=20.001, wait;dur=40.002, total;dur=60.5");
    }

    #[test]
    fn notes_nothing_of_a_request_that_is_not_looked_at() {
        let trace = RequestTrace::NOTHING;
        let step = trace.step(Step::Lookup);
        assert!(step.0.is_none());
        trace.note_call();
        trace.note_vehicles([("hit", 2)].into_iter());
        assert_eq!((trace.vehicles(), trace.calls()), (None, None));
        assert_eq!(trace.server_timing(Duration::ZERO), None);
    }
}
