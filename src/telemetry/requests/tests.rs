use std::{sync::Arc, time::Duration};

use http::Method;
use http_body_util::BodyExt as _;
use parking_lot::Mutex;
use prometheus::{Registry, TextEncoder};
use tokio::time::advance;
use tower::{ServiceExt as _, service_fn};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

use super::*;
use crate::{client::Client, request_id::RequestIds};

fn metrics() -> (Registry, Metrics) {
    let registry = Registry::new();
    let metrics = Metrics::register(&registry).unwrap();
    (registry, metrics)
}

fn layer(metrics: Metrics, access: Access) -> TelemetryLayer {
    TelemetryLayer::new(metrics, access, trace::Config::default(), None)
}

/// The lines of `/metrics` without comments and buckets.
fn shown(registry: &Registry) -> Vec<String> {
    let text = TextEncoder::new()
        .encode_to_string(&registry.gather())
        .unwrap();
    let line = |line: &&str| !line.starts_with('#') && !line.contains("_bucket");
    text.lines().filter(line).map(str::to_owned).collect()
}

fn request(method: &str, route: Option<Route>) -> Request<Body> {
    let method = Method::from_bytes(method.as_bytes()).unwrap();
    let mut request = Request::builder()
        .method(method)
        .body(Body::empty())
        .unwrap();
    if let Some(route) = route {
        RequestContext::of_mut(request.extensions_mut()).route = route;
    }
    request
}

/// A service that answers every request with `status`, marked as `problem`.
fn answering(
    status: u16,
    problem: Option<Code>,
) -> impl Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send> + Clone
{
    service_fn(move |_: Request<Body>| async move {
        let mut response = Response::new(Body::full("answer"));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        if let Some(code) = problem {
            response.extensions_mut().insert(code);
        }
        Ok(response)
    })
}

#[tokio::test(start_paused = true)]
async fn counts_a_request_when_it_is_answered_and_times_it_to_the_end_of_its_body() {
    let (registry, metrics) = metrics();
    let service = layer(metrics, Access::Off).layer(answering(200, None));
    let answer = service
        .oneshot(request("GET", Some(Route::Batch)))
        .await
        .unwrap();
    assert_eq!(
        shown(&registry),
        [
            "vingate_http_in_flight 1",
            "vingate_http_requests_total{method=\"GET\",route=\"batch\",status=\"200\"} 1",
        ]
    );

    advance(Duration::from_millis(1500)).await;
    answer.into_body().collect().await.unwrap();
    assert_eq!(
        shown(&registry),
        [
            "vingate_http_in_flight 0",
            "vingate_http_request_seconds_sum{route=\"batch\"} 1.5",
            "vingate_http_request_seconds_count{route=\"batch\"} 1",
            "vingate_http_requests_total{method=\"GET\",route=\"batch\",status=\"200\"} 1",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn counts_requests_that_are_given_up_before_an_answer() {
    let (registry, metrics) = metrics();
    let never = service_fn(|_: Request<Body>| std::future::pending());
    let service = layer(metrics, Access::Off).layer(never);
    let answer = service.oneshot(request("PUT", Some(Route::VehicleUpsert)));
    assert!(
        tokio::time::timeout(Duration::from_secs(2), answer)
            .await
            .is_err()
    );
    let total =
        "vingate_http_requests_total{method=\"PUT\",route=\"vehicle_upsert\",status=\"other\"} 1";
    let shown = shown(&registry);
    assert_eq!((shown[0].as_str(), shown[3].as_str()), ("vingate_http_in_flight 0", total));
}

#[tokio::test(start_paused = true)]
async fn adds_no_series_for_what_callers_make_up() {
    let (registry, metrics) = metrics();
    for status in [200, 299, 777] {
        let layer = layer(metrics.clone(), Access::Off);
        for count in 0..100 {
            let service = layer.layer(answering(status, None));
            service
                .oneshot(request(&format!("X{count}"), None))
                .await
                .unwrap();
        }
    }
    let shown = shown(&registry);
    let totals: Vec<_> = shown
        .iter()
        .filter(|line| line.contains("_total"))
        .collect();
    assert_eq!(
        totals,
        [
            "vingate_http_requests_total{method=\"other\",route=\"other\",status=\"200\"} 100",
            "vingate_http_requests_total{method=\"other\",route=\"other\",status=\"other\"} 200",
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn counts_what_is_a_problem_of_the_gateways_own_by_its_code() {
    let (registry, metrics) = metrics();
    for problem in [Some(Code::NotCached), None, Some(Code::NotCached), Some(Code::Overloaded)] {
        let layer = layer(metrics.clone(), Access::Off);
        let service = layer.layer(answering(504, problem));
        service.oneshot(request("GET", None)).await.unwrap();
    }
    let shown = shown(&registry);
    let problems: Vec<_> = shown
        .iter()
        .filter(|line| line.contains("_problems_"))
        .collect();
    assert_eq!(
        problems,
        [
            "vingate_http_problems_total{code=\"NotCached\"} 2",
            "vingate_http_problems_total{code=\"Overloaded\"} 1",
        ]
    );
}

/// Collects the fields of log lines.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Subscriber for Lines {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == ACCESS
    }

    fn event(&self, event: &Event<'_>) {
        struct Fields(String);
        impl Visit for Fields {
            fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
                self.0.push_str(&format!("{}={value:?} ", field.name()));
            }
        }
        let mut fields = Fields(String::new());
        event.record(&mut fields);
        self.0.lock().push(fields.0);
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

#[tokio::test(start_paused = true)]
async fn logs_the_requests_that_are_asked_for() {
    let cases = [(200, None), (404, None), (401, Some(Code::Unauthorized)), (503, None)];
    for (access, logged) in [
        (Access::All, vec![200, 404, 401, 503]),
        (Access::Errors, vec![401, 503]),
        (Access::Off, vec![]),
    ] {
        let lines = Lines::default();
        let guard = tracing::subscriber::set_default(lines.clone());
        for (status, problem) in cases {
            let layer = layer(metrics().1, access);
            let service = layer.layer(answering(status, problem));
            let answer = service.oneshot(request("GET", None)).await.unwrap();
            drop(answer);
        }
        drop(guard);
        let lines = lines.0.lock();
        assert_eq!(lines.len(), logged.len(), "{access:?}: {lines:?}");
        for (line, status) in lines.iter().zip(logged) {
            assert!(line.contains(&format!("status={status} ")), "{access:?}: {line}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn logs_that_sync_refuses_the_credential_of_an_account_by_default() {
    for (is_account, logged) in [(true, 1), (false, 0)] {
        let lines = Lines::default();
        let guard = tracing::subscriber::set_default(lines.clone());
        let refused = service_fn(move |_: Request<Body>| async move {
            let mut response = Response::new(Body::empty());
            *response.status_mut() = StatusCode::UNAUTHORIZED;
            if is_account {
                proxy_status::on_account_refused(response.status(), response.headers_mut());
            }
            Ok::<_, Infallible>(response)
        });
        let service = layer(metrics().1, Access::Errors).layer(refused);
        drop(service.oneshot(request("GET", None)).await.unwrap());
        drop(guard);
        assert_eq!(lines.0.lock().len(), logged);
    }
}

#[tokio::test(start_paused = true)]
async fn logs_whose_it_was_where_vehicles_came_from_how_old_they_were_and_how_many_calls_that_took()
{
    let lines = Lines::default();
    let _guard = tracing::subscriber::set_default(lines.clone());
    let serving = service_fn(|request: Request<Body>| async move {
        let trace = &RequestContext::of(request.extensions()).trace;
        trace.note_vehicles([("hit", 2), ("joined", 0), ("miss", 1)].into_iter());
        trace.note_call();
        trace.note_address("192.0.2.7".parse().unwrap());
        trace.note_client(Client::named(0xa0 << 64));
        let mut response = Response::new(Body::empty());
        response.headers_mut().insert(AGE, 840.into());
        Ok(response)
    });
    let layer = layer(metrics().1, Access::All);
    let response = layer.layer(serving).oneshot(request("GET", None)).await;
    drop(response);
    let lines = lines.0.lock();
    let client = " client=192.0.2.7 client_id=\"00000000000000a0\" route=";
    assert!(lines[0].contains(client), "{lines:?}");
    assert!(lines[0].contains(" vehicles=\"hit=2 miss=1\" age=840 calls=1 "), "{lines:?}");
}

#[tokio::test(start_paused = true)]
async fn logs_nothing_but_names_from_closed_sets() {
    let lines = Lines::default();
    let _guard = tracing::subscriber::set_default(lines.clone());
    let layer = layer(metrics().1, Access::All);
    let service = layer.layer(answering(400, Some(Code::BadRequest)));
    let mut request = Request::builder()
        .method("SECRET")
        .uri("/secret?secret")
        .header("authorization", "secret")
        .header("x-request-id", "id-1")
        .body(Body::full("secret"))
        .unwrap();
    let id = RequestIds::new().mark(request.headers_mut());
    RequestContext::of_mut(request.extensions_mut()).id = Some(id);
    drop(service.oneshot(request).await.unwrap());
    assert_eq!(
        lines.0.lock().as_slice(),
        ["message=request ended request_id=\"id-1\" route=\"other\" method=\"other\" \
          status=400 code=\"BadRequest\" seconds=0.0 calls=0 "]
    );
}
