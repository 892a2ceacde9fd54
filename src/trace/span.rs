//! What is recorded of one piece of work, until it has ended.

use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use super::{
    Exporter, SpanContext,
    otlp::{self, KeyValue, Link, SpanData, Status, Value},
};

/// A piece of work, recorded or not. It ends when it is dropped.
#[derive(Debug, Default)]
pub struct Span(Option<Box<Recording>>);

/// What further spans are children of: a span that is recorded, or nothing.
#[derive(Clone, Debug, Default)]
pub struct Parent(Option<(Exporter, SpanContext)>);

/// What a span is to others (`Span.SpanKind`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Work inside of the gateway.
    Internal = 1,
    /// The gateway serves a client.
    Server = 2,
    /// It is a client of Sync.
    Client = 3,
}

#[derive(Debug)]
struct Recording {
    exporter: Exporter,
    context: SpanContext,
    began_at: Instant,
    data: SpanData,
}

/// Links of one span. A call may serve hundreds of requests, and a request may wait for as many
/// calls.
const MAX_LINKS: usize = 32;

impl Span {
    /// The first span of the gateway in a trace: below `remote`, or the first of all.
    pub(super) fn first(exporter: &Exporter, name: &str, remote: Option<SpanContext>) -> Self {
        let context = remote.map_or_else(SpanContext::root, SpanContext::next);
        Self::begin(exporter, name, Kind::Server, context, remote)
    }

    fn begin(
        exporter: &Exporter,
        name: &str,
        kind: Kind,
        context: SpanContext,
        parent: Option<SpanContext>,
    ) -> Self {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        let data = SpanData {
            trace_id: context.trace.to_vec(),
            span_id: context.span.to_vec(),
            parent_span_id: parent.map_or_else(Vec::new, |parent| parent.span.to_vec()),
            name: name.to_owned(),
            kind: kind as i32,
            start_time_unix_nano: since_epoch.map_or(0, |since| since.as_nanos() as u64),
            flags: u32::from(context.is_sampled),
            ..SpanData::default()
        };
        let exporter = exporter.clone();
        Self(Some(Box::new(Recording { exporter, context, began_at: Instant::now(), data })))
    }

    /// What spans of parts of this work are children of.
    pub fn parent(&self) -> Parent {
        Parent(
            self.0
                .as_ref()
                .map(|recording| (recording.exporter.clone(), recording.context)),
        )
    }

    /// Which span it is, if it is recorded.
    pub fn context(&self) -> Option<SpanContext> {
        self.0.as_ref().map(|recording| recording.context)
    }

    /// Says something of it.
    pub fn set(&mut self, key: &'static str, value: impl Into<Value>) {
        if let Some(recording) = &mut self.0 {
            recording.data.attributes.push(KeyValue::new(key, value));
        }
    }

    /// It has failed; `reason` is from a closed set.
    pub fn fail(&mut self, reason: &str) {
        self.set("error.type", reason);
        if let Some(recording) = &mut self.0 {
            recording.data.status = Some(Status { code: otlp::ERROR });
        }
    }

    /// It has to do with `other`, which may be of another trace.
    pub fn link(&mut self, other: SpanContext) {
        let Some(Recording { data, .. }) = self.0.as_deref_mut() else { return };
        let link = Link { trace_id: other.trace.to_vec(), span_id: other.span.to_vec() };
        if data.links.len() < MAX_LINKS && !data.links.contains(&link) {
            data.links.push(link);
        }
    }
}

impl Parent {
    /// A part of the work, which begins now.
    pub fn child(&self, name: &str, kind: Kind) -> Span {
        let Some((exporter, context)) = &self.0 else { return Span::default() };
        Span::begin(exporter, name, kind, context.next(), Some(*context))
    }

    /// Which span it is.
    pub fn context(&self) -> Option<SpanContext> {
        self.0.as_ref().map(|(_, context)| *context)
    }
}

impl Drop for Span {
    fn drop(&mut self) {
        if let Some(recording) = self.0.take() {
            let Recording { exporter, began_at, mut data, .. } = *recording;
            let took = began_at.elapsed().as_nanos() as u64;
            data.end_time_unix_nano = data.start_time_unix_nano.saturating_add(took);
            exporter.export(data);
        }
    }
}
