//! Where the time of a request goes, as a collector of traces sees it.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::any_value::Value,
    trace::v1::{Span, status::StatusCode as SpanStatus},
};
use parking_lot::Mutex;
use prost::Message as _;
use tokio::net::TcpListener;
use vingate::{
    app::ReloadOutcome,
    sandbox::{self, Class, Faults},
    vehicle::Vehicle,
};

use crate::support::{ALL, Gateway, SECRET, eventually, spelled};

/// A trace of a client, and its span.
const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const PARENT: &str = "b7ad6b7169203331";

/// A server that takes what OTLP posts over HTTP.
struct Collector {
    address: SocketAddr,
    taken: Arc<Mutex<Vec<Bytes>>>,
}

impl Collector {
    async fn start(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let taken = Arc::<Mutex<Vec<Bytes>>>::default();
        let bodies = Arc::clone(&taken);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                let bodies = Arc::clone(&bodies);
                let take = service_fn(move |request: Request<Incoming>| {
                    let bodies = Arc::clone(&bodies);
                    async move {
                        assert_eq!(request.uri(), "/v1/traces");
                        assert_eq!(request.headers()["content-type"], "application/x-protobuf");
                        let body = request.collect().await.unwrap().to_bytes();
                        bodies.lock().push(body);
                        let mut response = http::Response::new(Empty::<Bytes>::new());
                        *response.status_mut() = StatusCode::from_u16(status).unwrap();
                        Ok::<_, Infallible>(response)
                    }
                });
                let connection = TokioIo::new(connection);
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(connection, take),
                );
            }
        });
        Self { address, taken }
    }

    /// What the gateway has to be told of it.
    fn table(&self, sample: f64) -> String {
        format!("[trace]\notlp = \"http://{}\"\nsample = {sample}\n", self.address)
    }

    fn bodies(&self) -> Vec<Bytes> {
        self.taken.lock().clone()
    }

    fn spans(&self) -> Vec<Span> {
        let exports = self.bodies().into_iter();
        let exports = exports.map(|body| ExportTraceServiceRequest::decode(body).unwrap());
        exports
            .flat_map(|export| export.resource_spans)
            .flat_map(|resource| resource.scope_spans)
            .flat_map(|scope| scope.spans)
            .collect()
    }
}

fn named<'a>(spans: &'a [Span], name: &'a str) -> impl Iterator<Item = &'a Span> {
    spans.iter().filter(move |span| span.name == name)
}

fn children<'a>(spans: &'a [Span], parent: &'a Span) -> impl Iterator<Item = &'a Span> {
    spans
        .iter()
        .filter(|span| span.trace_id == parent.trace_id && span.parent_span_id == parent.span_id)
}

/// An attribute as text.
fn attribute(span: &Span, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|it| it.key == key)?;
    match found.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        other => panic!("{other:?}"),
    }
}

fn is_failed(span: &Span) -> bool {
    span.status
        .as_ref()
        .is_some_and(|status| status.code() == SpanStatus::Error)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The parent that calls of the sandbox named.
fn parents(gateway: &Gateway) -> Vec<String> {
    let calls = gateway.sandbox.calls().into_iter();
    let parents = calls.map(|call| call.headers["traceparent"].to_str().unwrap().to_owned());
    parents.collect()
}

#[tokio::test]
async fn the_tree_of_a_batch_with_a_joined_and_a_retried_call() {
    let collector = Collector::start(200).await;
    let gateway = Arc::new(Gateway::start(&collector.table(1.0)).await);
    let vehicles: Vec<_> = gateway
        .sandbox
        .vehicles(Class::Finished)
        .take(1200)
        .collect();

    // The batch joins one call that hangs, and makes three, of which one fails at first.
    let hang = Faults { vin: Some(vehicles[0].vin), hang: true, ..Faults::default() };
    let fail = Faults { calls: Some(1), status: Some(503), ..Faults::default() };
    gateway.sandbox.set_faults(vec![hang, fail]);
    let ask = |vehicles: Vec<Vehicle>, headers: Vec<(&'static str, String)>| {
        let gateway = Arc::clone(&gateway);
        tokio::spawn(async move {
            let asked: Vec<_> = vehicles.iter().map(spelled).collect();
            let headers: Vec<_> = headers
                .iter()
                .map(|(name, value)| (*name, &**value))
                .collect();
            gateway.batch_with(&asked, &headers).await.expect(200)
        })
    };
    let leading = ask(vehicles[..1].into(), Vec::new());
    gateway.until(|seen| seen.hanging == 1).await;
    let traceparent = format!("00-{TRACE}-{PARENT}-01");
    let headers = vec![("traceparent", traceparent), ("x-request-id", "the-batch".to_owned())];
    let joining = ask(vehicles.clone(), headers);
    gateway.until(|seen| seen.batches == 5).await;
    gateway.sandbox.clear_faults();
    leading.await.unwrap();
    joining.await.unwrap();
    eventually(async || named(&collector.spans(), "request").count() == 2).await;

    let spans = collector.spans();
    let request = named(&spans, "request")
        .find(|span| hex(&span.trace_id) == TRACE)
        .unwrap();
    assert_eq!(hex(&request.parent_span_id), PARENT);
    for (key, value) in [
        ("vingate.route", "batch"),
        ("http.request.method", "GET"),
        ("http.response.status_code", "200"),
        ("vingate.request_id", "the-batch"),
        ("vingate.calls", "3"),
        ("vingate.vehicles", "joined=1 miss=1199"),
    ] {
        assert_eq!(attribute(request, key).as_deref(), Some(value), "{key}");
    }

    let steps: Vec<_> = children(&spans, request).map(|span| &*span.name).collect();
    let count = |name| steps.iter().filter(|step| **step == name).count();
    assert_eq!((count("lookup"), count("wait"), count("call")), (1, 1, 3), "{steps:?}");
    assert_eq!(steps.len(), 5);

    // What it joined is of another trace, and linked.
    let leader = named(&spans, "request")
        .find(|span| hex(&span.trace_id) != TRACE)
        .unwrap();
    assert_eq!(attribute(leader, "vingate.vehicles").as_deref(), Some("miss=1"));
    let joined = children(&spans, leader)
        .find(|span| span.name == "call")
        .unwrap();
    let wait = children(&spans, request)
        .find(|span| span.name == "wait")
        .unwrap();
    let linked = |call: &Span| {
        wait.links
            .iter()
            .any(|link| link.span_id == call.span_id && link.trace_id == call.trace_id)
    };
    assert!(linked(joined));

    let calls: Vec<_> = children(&spans, request)
        .filter(|span| span.name == "call")
        .collect();
    assert!(calls.iter().all(|call| linked(call) && !is_failed(call)));
    let mut attempts: Vec<_> = calls
        .iter()
        .map(|call| children(&spans, call).count())
        .collect();
    attempts.sort_unstable();
    assert_eq!(attempts, [1, 1, 2]);
    let failed: Vec<_> = named(&spans, "attempt")
        .filter(|span| is_failed(span))
        .collect();
    let [failed] = failed[..] else { panic!("{failed:?}") };
    assert_eq!(attribute(failed, "http.response.status_code").as_deref(), Some("503"));

    // Sync got each attempt as the parent of what it did.
    let mut sent: Vec<_> = named(&spans, "attempt")
        .map(|span| format!("00-{}-{}-01", hex(&span.trace_id), hex(&span.span_id)))
        .collect();
    let mut got = parents(&gateway);
    sent.sort_unstable();
    got.sort_unstable();
    assert_eq!(sent, got);

    for span in &spans {
        assert!(
            span.end_time_unix_nano >= span.start_time_unix_nano && span.start_time_unix_nano > 0
        );
    }
    let asked: Vec<_> = vehicles.iter().map(spelled).collect();
    shows_no_secret(&gateway, &collector, &asked);
}

/// Searches all that was sent to the collector.
fn shows_no_secret(gateway: &Gateway, collector: &Collector, vehicles: &[(&str, &str)]) {
    let sent = collector.bodies().concat();
    let shows = |text: &str| sent.windows(text.len()).any(|part| part == text.as_bytes());
    assert!(shows("vingate"));
    let token = gateway.authorization().trim_start_matches("Bearer ");
    for secret in [ALL, SECRET, token] {
        assert!(!shows(secret), "{secret}");
    }
    for (vin, plate) in vehicles.iter().take(20) {
        assert!(!shows(vin) && !shows(plate), "{vin} {plate}");
    }
}

#[tokio::test]
async fn the_tree_of_a_write() {
    let collector = Collector::start(200).await;
    let gateway = Gateway::start(&collector.table(1.0)).await;
    let vehicle = gateway.hold(1).await[0];
    let path = format!("/api/v2/vehicles/{}/status", vehicle.vin.as_str());
    let request = Request::builder().method(Method::PATCH).uri(path);
    let request = request.header("content-type", "application/json");
    gateway.send(request, r#"{"status":"active"}"#).await;
    eventually(async || named(&collector.spans(), "request").count() == 2).await;

    let spans = collector.spans();
    let write = named(&spans, "write").next().unwrap();
    let request = spans
        .iter()
        .find(|span| span.span_id == write.parent_span_id)
        .unwrap();
    assert_eq!(attribute(request, "vingate.route").as_deref(), Some("vehicle_status"));
    assert_eq!(attribute(request, "vingate.calls").as_deref(), Some("1"));
    assert!(attribute(write, "vingate.outcome").is_some());
    assert_eq!(
        children(&spans, write)
            .map(|span| &*span.name)
            .collect::<Vec<_>>(),
        ["attempt"]
    );
    let steps: Vec<_> = children(&spans, request).map(|span| &*span.name).collect();
    assert!(steps.contains(&"wait") && steps.len() == 2, "{steps:?}");
    shows_no_secret(&gateway, &collector, &[spelled(&vehicle)]);
}

#[tokio::test]
async fn only_what_is_sampled_is_sent_and_the_rest_passes_as_it_came() {
    let collector = Collector::start(200).await;
    let gateway = Gateway::start(&collector.table(0.0)).await;
    let sampled = format!("00-{TRACE}-{PARENT}-01");
    let unsampled = format!("00-{TRACE}-{PARENT}-00");
    for traceparent in [&*unsampled, "00-1-2-01", &*sampled] {
        let request = Request::get("/sandbox/bytes/3").header("traceparent", traceparent);
        gateway
            .send(request.header("tracestate", "a=1"), "")
            .await
            .expect(200);
    }
    eventually(async || named(&collector.spans(), "request").count() == 1).await;
    let spans = collector.spans();
    let names: Vec<_> = spans.iter().map(|span| &*span.name).collect();
    for name in ["request", "wait", "call", "attempt"] {
        assert!(names.contains(&name), "{names:?}");
    }
    assert!(spans.iter().all(|span| hex(&span.trace_id) == TRACE));
    let attempt = named(&spans, "attempt").next().unwrap();
    let own = format!("00-{TRACE}-{}-01", hex(&attempt.span_id));
    assert_eq!(parents(&gateway), [&*unsampled, "00-1-2-01", &*own]);
    let state = |call: &sandbox::Call| call.headers.contains_key("tracestate");
    assert!(gateway.sandbox.calls().iter().all(state));
}

#[tokio::test]
async fn a_trace_that_cannot_be_read_is_begun_anew() {
    let collector = Collector::start(200).await;
    let gateway = Gateway::start(&collector.table(1.0)).await;
    let request = Request::get("/sandbox/bytes/3")
        .header("traceparent", format!("00-{TRACE}-{PARENT}-zz"))
        .header("tracestate", "a=1");
    gateway.send(request, "").await.expect(200);
    eventually(async || named(&collector.spans(), "request").count() == 1).await;
    let request = collector
        .spans()
        .into_iter()
        .find(|span| span.name == "request")
        .unwrap();
    assert!(request.parent_span_id.is_empty() && hex(&request.trace_id) != TRACE);
    let call = gateway.sandbox.calls().remove(0);
    assert!(!call.headers.contains_key("tracestate"));
    assert!(
        call.headers["traceparent"]
            .to_str()
            .unwrap()
            .contains(&hex(&request.trace_id))
    );
}

#[tokio::test]
async fn a_collector_that_fails_or_hangs_holds_nobody_up() {
    let refusing = Collector::start(503).await;
    let gateway = Gateway::start(&refusing.table(1.0)).await;
    gateway.get("/sandbox/bytes/3").await.expect(200);
    gateway
        .until_metric("vingate_trace_spans_total{outcome=\"failed\"}", 4.0)
        .await;

    // It takes connections, and answers nothing.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let table =
        format!("[trace]\notlp = \"http://{}\"\nsample = 1\n", silent.local_addr().unwrap());
    let gateway = Gateway::start(&table).await;
    for _ in 0..1200 {
        gateway.get("/sandbox/bytes/3").await.expect(200);
    }
    // There is no room for all of them, but on a slow machine some fail before there is none left.
    let mut lost = 0.0;
    for outcome in ["dropped", "failed"] {
        let name = format!("vingate_trace_spans_total{{outcome=\"{outcome}\"}}");
        lost += gateway.metric(&name).await;
    }
    assert!(lost > 0.0);
    gateway.stop().await;
}

#[tokio::test]
async fn the_last_spans_are_sent_before_the_end() {
    let collector = Collector::start(200).await;
    let gateway = Gateway::start(&collector.table(1.0)).await;
    gateway.get("/sandbox/bytes/3").await.expect(200);
    gateway.stop().await;
    assert_eq!(named(&collector.spans(), "request").count(), 1);
}

#[tokio::test]
async fn responses_say_where_their_time_went() {
    let collector = Collector::start(200).await;
    let table = collector.table(0.0) + "server_timing = true\n";
    let gateway = Gateway::start(&table).await;
    let vehicle = gateway.sandbox.vehicles(Class::Finished).next().unwrap();
    let delay = Duration::from_millis(30);
    gateway
        .sandbox
        .set_faults(Faults { latency: delay, ..Faults::default() });
    let miss = gateway.batch(&[spelled(&vehicle)]).await.expect(200);
    let timing = miss.field("server-timing").to_owned();
    for metric in ["lookup;dur=", "wait;dur=", "total;dur="] {
        assert!(timing.contains(metric), "{timing}");
    }
    let hit = gateway.batch(&[spelled(&vehicle)]).await.expect(200);
    let timing = hit.field("server-timing");
    assert!(timing.contains("lookup;dur=") && !timing.contains("wait"), "{timing}");
    let forwarded = gateway.get("/sandbox/bytes/3").await.expect(200);
    assert!(forwarded.field("server-timing").contains("call;dur="));
    let refused = gateway
        .send(Request::builder().method("TRACE").uri("/"), "")
        .await
        .expect(405);
    assert!(refused.field("server-timing").starts_with("total;dur="));

    let off = gateway.reload(&collector.table(0.0));
    assert!(matches!(off, ReloadOutcome::Applied(_)), "{off:?}");
    assert_eq!(gateway.get("/sandbox/bytes/3").await.field("server-timing"), "");
    assert_eq!(collector.spans(), []);
}
