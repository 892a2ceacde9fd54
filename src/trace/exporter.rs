//! Spans on their way to a collector: OTLP over HTTP, in batches, and in nobody's way.
//!
//! A span that has ended waits in a queue of bounded length. When that is full, because the
//! collector is slow or gone, the span is dropped and counted. Nothing is sent twice.

use std::{mem, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderValue, Request, StatusCode, Uri,
    header::{CONTENT_TYPE, USER_AGENT},
};
use http_body_util::Full;
use hyper_util::{client::legacy, rt::TokioExecutor};
use prost::Message as _;
use tokio::{
    sync::{mpsc, oneshot},
    time::{timeout, timeout_at},
};
use tracing::{info, warn};

use super::{
    ExporterConfig, Metrics,
    metrics::SpanOutcome,
    otlp::{Export, KeyValue, Resource, ResourceSpans, ScopeSpans, SpanData},
};
use crate::{
    backoff::draw,
    body::Body,
    headers::{PRODUCT, PSEUDONYM},
    tls,
};

/// Where spans go that have ended: a handle, cheap to clone.
#[derive(Clone, Debug)]
pub struct Exporter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    queue: mpsc::Sender<Queued>,
    metrics: Metrics,
}

enum Queued {
    Span(Box<SpanData>),
    /// To be told when all that came before has been sent.
    Flush(oneshot::Sender<()>),
}

/// Sends what waits in the queue.
struct Sending {
    queue: mpsc::Receiver<Queued>,
    collector: Collector,
    metrics: Metrics,
}

struct Collector {
    endpoint: Uri,
    resource: Resource,
    client: legacy::Client<tls::Connector, Full<Bytes>>,
    is_lost: bool,
}

/// Why TLS to the collector cannot be set up.
#[derive(Debug, thiserror::Error)]
#[error("cannot set up TLS to the collector of traces: {0}")]
pub struct TlsError(#[from] rustls::Error);

/// Why a batch was not taken.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("no response in time")]
    Timeout,
    #[error(transparent)]
    Exchange(#[from] legacy::Error),
    #[error("status {0}")]
    Status(StatusCode),
}

/// Spans that wait. Each takes about a kilobyte.
const QUEUE: usize = 4096;

/// Spans of one batch.
const BATCH: usize = 512;

/// How long a span waits for others to travel with.
const PATIENCE: Duration = Duration::from_secs(1);

/// How long the collector may take for a batch. What ends meanwhile waits.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Bytes of a response that are read, so that its connection can be kept.
const MAX_RESPONSE: usize = 16 * 1024;

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");

impl Exporter {
    /// Sends spans to a collector from now on. Runs inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// TLS cannot be set up: the system trusts nobody.
    pub fn new(config: &ExporterConfig, metrics: Metrics) -> Result<Self, TlsError> {
        let (sender, queue) = mpsc::channel(QUEUE);
        let collector = Collector::new(config)?;
        tokio::spawn(Sending { queue, collector, metrics: metrics.clone() }.run());
        Ok(Self(Arc::new(Inner { queue: sender, metrics })))
    }

    /// Lets a span wait for the next batch, if there is room for it.
    pub(super) fn export(&self, span: SpanData) {
        let Inner { queue, metrics } = &*self.0;
        if queue.try_send(Queued::Span(Box::new(span))).is_err() {
            metrics.spans[SpanOutcome::Dropped].inc();
        }
    }

    /// Ready when all spans that have ended were sent.
    pub async fn flushed(&self) {
        let (sent, is_sent) = oneshot::channel();
        if self.0.queue.send(Queued::Flush(sent)).await.is_ok() {
            let _ = is_sent.await;
        }
    }
}

impl Sending {
    async fn run(mut self) {
        while let Some(first) = self.queue.recv().await {
            let (mut spans, mut flushed) = (Vec::new(), None);
            take(first, &mut spans, &mut flushed);
            let leaves_at = tokio::time::Instant::now() + PATIENCE;
            while spans.len() < BATCH && flushed.is_none() {
                match timeout_at(leaves_at, self.queue.recv()).await {
                    Ok(Some(next)) => take(next, &mut spans, &mut flushed),
                    Ok(None) | Err(_) => break,
                }
            }
            if !spans.is_empty() {
                let count = spans.len();
                let is_taken = self.collector.send(spans).await;
                let outcome = if is_taken { SpanOutcome::Exported } else { SpanOutcome::Failed };
                self.metrics.spans[outcome].inc_by(count as u64);
            }
            if let Some(flushed) = flushed {
                let _ = flushed.send(());
            }
        }
    }
}

fn take(queued: Queued, spans: &mut Vec<SpanData>, flushed: &mut Option<oneshot::Sender<()>>) {
    match queued {
        Queued::Span(span) => spans.push(*span),
        Queued::Flush(sent) => *flushed = Some(sent),
    }
}

impl Collector {
    fn new(config: &ExporterConfig) -> Result<Self, TlsError> {
        let needs_tls = config.endpoint.scheme_str() == Some("https");
        let connector = tls::connector(tls::client_config(None, needs_tls)?, TIMEOUT);
        let instance = format!("{:016x}", draw());
        let attributes = [
            ("service.name", PSEUDONYM),
            ("service.version", env!("CARGO_PKG_VERSION")),
            ("service.instance.id", &instance),
        ];
        let attributes = attributes.map(|(key, value)| KeyValue::new(key, value));
        Ok(Self {
            endpoint: config.endpoint.clone(),
            resource: Resource { attributes: attributes.into() },
            client: legacy::Client::builder(TokioExecutor::new()).build(connector),
            is_lost: false,
        })
    }

    /// Sends a batch; whether it was taken. Says in the log when that changes.
    async fn send(&mut self, spans: Vec<SpanData>) -> bool {
        let scope_spans = vec![ScopeSpans { spans }];
        let resource = Some(self.resource.clone());
        let export = Export { resource_spans: vec![ResourceSpans { resource, scope_spans }] };
        let posting = timeout(TIMEOUT, self.post(export.encode_to_vec()));
        let posted = posting.await.unwrap_or(Err(Error::Timeout));
        match (&posted, mem::replace(&mut self.is_lost, posted.is_err())) {
            (Err(error), false) => {
                let source = std::error::Error::source(error);
                warn!(%error, source, "traces not exported");
            }
            (Ok(()), true) => info!("traces exported again"),
            _ => {}
        }
        posted.is_ok()
    }

    async fn post(&self, body: Vec<u8>) -> Result<(), Error> {
        let request = Request::post(&self.endpoint)
            .header(CONTENT_TYPE, PROTOBUF)
            .header(USER_AGENT, PRODUCT)
            .body(Full::from(body))
            .expect("a URI and two fields make a request");
        let response = self.client.request(request).await?;
        let status = response.status();
        // What it says is of no use.
        let mut body = Body::incoming(response.into_body());
        let _ = body.buffer(MAX_RESPONSE, TIMEOUT).await;
        if status.is_success() { Ok(()) } else { Err(Error::Status(status)) }
    }
}
