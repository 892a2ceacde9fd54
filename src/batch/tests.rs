//! The batch endpoint over an upstream that is a function, on a clock that is turned by hand.

use std::{path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Request, Response, StatusCode, header::CACHE_CONTROL};
use http_body_util::BodyExt as _;
use parking_lot::Mutex;
use prometheus::Registry;
use serde_json::{Value, json};
use tokio::time::{advance, sleep};
use tower::{ServiceExt as _, service_fn, util::BoxCloneSyncService};

use super::*;
use crate::{
    auth::Credential,
    limit,
    upstream::{self, tests::Fake},
    vehicle_cache::{self, VehicleCache},
};

mod compression;
mod flights;
mod lifetimes;
mod stale;
mod unread;

type Undocumented = BoxCloneSyncService<Request<Body>, Response<Body>, Error>;

/// A batch endpoint and what is behind it.
struct Fixture {
    batch: Batch<Undocumented>,
    sync: Arc<Mutex<Sync>>,
}

/// The upstream.
struct Sync {
    /// The `info` of every vehicle; `None`: there is no element.
    info: Option<Value>,
    /// The answer's status; with another than 200, `info` does not matter.
    status: StatusCode,
    /// From a call to its response.
    latency: Duration,
    /// Calls so far.
    calls: usize,
    /// So many of the first calls panic.
    panics: usize,
}

/// What came back, read to its end.
#[derive(Debug)]
struct Answered {
    status: StatusCode,
    cache_status: String,
    cache_control: String,
    age: String,
    body: Bytes,
}

const VIN: &str = "3VWFE21C04M000001";

const SECOND: Duration = Duration::from_secs(1);

impl Fixture {
    /// With lives and windows as they are by default, but no jitter.
    fn new() -> Self {
        let registry = Registry::new();
        let (config, mut lifetimes) = cache_by_default();
        lifetimes.ttl.jitter = 0.0;
        let cache = VehicleCache::of_vehicles(
            &config,
            lifetimes,
            vehicle_cache::Metrics::register(&registry).unwrap(),
        );
        let config = Config {
            max_vehicles: 1000,
            max_body: 1 << 20,
            body_idle_timeout: 30 * SECOND,
            gzip_from: 1024,
            loader: loader::Config {
                chunk: 500,
                max_parallel: 4,
                gather_from: 0,
                gather_for: Duration::ZERO,
                refresh_wait: Duration::ZERO,
                ride: Duration::ZERO,
                max_response: 1 << 20,
                stream_idle_timeout: 60 * SECOND,
                request_timeout: 60 * SECOND,
            },
        };
        let sync = Arc::new(Mutex::new(Sync {
            info: Some(finished()),
            status: StatusCode::OK,
            latency: Duration::ZERO,
            calls: 0,
            panics: 0,
        }));
        let upstream = Fake::new({
            let sync = Arc::clone(&sync);
            move |call: Request<Body>| response(Arc::clone(&sync), call)
        });
        let undocumented = Undocumented::new(service_fn(async |request: Request<Body>| {
            let found = RequestContext::of(request.extensions()).vehicles;
            Err(Error::TooManyToPass { found, limit: 0 })
        }));
        let metrics = Metrics::register(&registry).unwrap();
        let calls = loader::Metrics::register(&registry).unwrap();
        let loader = Loader::new(
            &config.loader,
            loader::State::new(),
            cache,
            upstream.upstream(),
            &[],
            calls,
        );
        let queue_refusals = QueueRefusals::new(limit::Metrics::register(&registry).unwrap());
        let batch = Batch::new(config, loader, metrics, undocumented, queue_refusals);
        Self { batch, sync }
    }

    fn request(directives: &str) -> Request<Body> {
        let mut request = Request::get("/api/batch/scraping/")
            .header(CACHE_CONTROL, directives)
            .body(Body::full(json!({"vehicles": [{"vin": VIN, "plate": "A1"}]}).to_string()))
            .unwrap();
        let credential = Credential { digest: Some([1; 32]), is_account: true };
        request.extensions_mut().insert(credential);
        request
    }

    /// Asks for one vehicle with this `Cache-Control`.
    async fn ask(&self, directives: &str) -> Answered {
        match self.batch.clone().oneshot(Self::request(directives)).await {
            Ok(response) => Answered::read(response).await,
            Err(Rejection { error, .. }) => Answered::of_error(&error),
        }
    }

    /// Why a request is refused.
    async fn refuse(&self, request: Request<Body>) -> Error {
        let refused = self.batch.clone().oneshot(request).await;
        refused.unwrap_err().error
    }

    fn calls(&self) -> usize {
        self.sync.lock().calls
    }

    fn set(&self, set: impl FnOnce(&mut Sync)) {
        set(&mut self.sync.lock());
    }
}

#[tokio::test]
async fn says_how_many_vehicles_go_up_as_a_whole() {
    let fixture = Fixture::new();
    let body =
        json!({"vehicles": [{"vin": VIN, "plate": "A1"}, {"vin": VIN, "plate": "A2"}], "x": 1});
    let request = Request::get("/api/batch/scraping/").body(Body::full(body.to_string()));
    let error = fixture.refuse(request.unwrap()).await;
    assert!(matches!(error, Error::TooManyToPass { found: 2, .. }), "{error}");
}

#[tokio::test]
async fn ignores_one_byte_order_mark() {
    let fixture = Fixture::new();
    let vehicles = json!({"vehicles": [{"vin": VIN, "plate": "A1"}]});
    for (marks, is_json) in [("", true), ("\u{feff}", true), ("\u{feff}\u{feff}", false)] {
        let request = Request::get("/api/batch/scraping/?x");
        let request = request.body(Body::full(format!("{marks}{vehicles}")));
        let error = fixture.refuse(request.unwrap()).await;
        // What is taken goes up, which this upstream refuses.
        assert_eq!(matches!(error, Error::TooManyToPass { .. }), is_json, "{error}");
        assert_eq!(matches!(error, Error::Json(_)), !is_json, "{error}");
    }
}

#[tokio::test]
async fn judges_the_number_of_vehicles_before_only_if_cached() {
    let fixture = Fixture::new();
    for (count, is_too_many) in [(MAX_UNDOCUMENTED, false), (MAX_UNDOCUMENTED + 1, true)] {
        let vehicles = vec![json!({"vin": VIN, "plate": "A1"}); count];
        let request = Request::get("/api/batch/scraping/?x")
            .header(CACHE_CONTROL, "only-if-cached")
            .body(Body::full(json!({ "vehicles": vehicles }).to_string()))
            .unwrap();
        let error = fixture.refuse(request).await;
        assert_eq!(matches!(error, Error::TooManyToPass { .. }), is_too_many, "{error}");
        assert_eq!(matches!(error, Error::NotCached), !is_too_many, "{error}");
    }
}

/// Answers for every vehicle of a call.
async fn response(
    sync: Arc<Mutex<Sync>>,
    call: Request<Body>,
) -> Result<Response<Body>, upstream::Error> {
    let body = call.into_body().collect().await.unwrap().to_bytes();
    let asked: Value = serde_json::from_slice(&body).unwrap();
    let (latency, number) = {
        let mut sync = sync.lock();
        sync.calls += 1;
        assert!(sync.calls > sync.panics, "as asked for");
        (sync.latency, sync.calls)
    };
    if !latency.is_zero() {
        sleep(latency).await;
    }
    let sync = sync.lock();
    let element = |vehicle: &Value| {
        let info = sync.info.as_ref()?;
        Some(json!({
            "vin": vehicle["vin"], "plate": vehicle["plate"], "info": info, "call": number,
        }))
    };
    let elements = asked["vehicles"].as_array().unwrap().iter();
    let elements: Vec<_> = elements.filter_map(element).collect();
    let response = Response::builder().status(sync.status);
    let body = json!({ "vehicleData": elements }).to_string();
    Ok(response.body(Body::full(body)).unwrap())
}

/// What a file says of the cache that does not mention it.
fn cache_by_default() -> (vehicle_cache::Config, vehicle_cache::Lifetimes) {
    let toml = "[upstream]\nurl = \"http://127.0.0.1:1\"\n[auth]\nenabled = false\n\
                [server]\nlisten = \"127.0.0.1:0\"";
    let config = crate::config::Config::parse(toml, Path::new("test.toml"), &|_| None);
    let config = config.unwrap_or_else(|problems| panic!("{problems}"));
    (config.restart_only.cache, config.reloadable.lifetimes)
}

fn finished() -> Value {
    json!([{"status": {"statusId": 1}, "finishedDateTime": "2026-01-01"}])
}

impl Answered {
    async fn read(response: Response<Body>) -> Self {
        let (head, body) = response.into_parts();
        let field = |name| head.headers[name].to_str().unwrap().to_owned();
        Self {
            status: head.status,
            cache_status: field("cache-status"),
            cache_control: field("cache-control"),
            age: field("age"),
            body: body.collect().await.unwrap().to_bytes(),
        }
    }

    fn of_error(error: &Error) -> Self {
        let status = match error {
            Error::NotCached => StatusCode::GATEWAY_TIMEOUT,
            Error::Call { error, .. } => {
                error.status().unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }
            other => panic!("{other}"),
        };
        let nothing = String::new;
        Self {
            status,
            cache_status: nothing(),
            cache_control: nothing(),
            age: nothing(),
            body: Bytes::new(),
        }
    }

    /// How the vehicle was answered, without the details.
    fn from(&self) -> &str {
        let (from, _) = self.cache_status.split_once("; detail").unwrap();
        from.strip_prefix("vingate; ").unwrap()
    }

    /// The number of the call that brought the vehicle.
    fn call(&self) -> u64 {
        let response: Value = serde_json::from_slice(&self.body).unwrap();
        response["vehicleData"][0]["call"].as_u64().unwrap()
    }
}
