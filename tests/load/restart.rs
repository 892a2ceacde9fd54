//! Restarts with a socket that stays open, and reloads, while requests come at a steady rate: none
//! may fail.
//!
//! A request leaves when it is its time, whether those before it have ended or not, as those of
//! many clients would.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request};
use http_body_util::Full;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::{
    task::JoinSet,
    time::{Instant, MissedTickBehavior, interval, sleep},
};
use vingate::sandbox::Sandbox;

use crate::{
    connection::{asking_for, batch},
    figures::Times,
    support::{HOUR, Manager, Response, configuration, now, parse},
};

/// The clients of the gateway, who keep their connections.
#[derive(Clone)]
struct Clients {
    client: Client<HttpConnector, Full<Bytes>>,
    url: String,
    authorization: String,
    bodies: Arc<[Bytes]>,
}

/// How often each is done, and how many requests come in a second.
struct Plan {
    restarts: usize,
    reloads: usize,
    rate: u32,
}

/// Time for clients to use their connections once more.
const DELAY: &str = "drain_delay = \"500ms\"\n";

/// A client that keeps a connection for longer may use it when it closes.
const KEPT_FOR: Duration = Duration::from_millis(400);

/// What became of the requests.
#[derive(Debug, Default)]
struct Ends {
    times: Times,
    failed: BTreeMap<String, usize>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_fails_in_a_restart_or_a_reload() {
    run(Plan { restarts: 3, reloads: 5, rate: 200 }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes half a minute"]
async fn no_request_of_a_thousand_a_second_fails_in_restarts_and_reloads() {
    run(Plan { restarts: 10, reloads: 20, rate: 1000 }).await;
}

async fn run(plan: Plan) {
    let sandbox = Sandbox::bind(([127, 0, 0, 1], 0).into()).await.unwrap();
    let sandbox = sandbox.with_recording(0).start();
    let manager = Manager::new(&format!("restarts-{}", plan.rate), &sandbox.url());
    manager.configure(DELAY);
    let clients = Clients::new(&manager, &sandbox);
    let mut gateway = manager.start();
    manager.until("READY=1").await;

    let over = Arc::new(AtomicBool::new(false));
    let load = tokio::spawn(clients.clone().load(plan.rate, Arc::clone(&over)));
    let steps = plan.restarts + plan.reloads;
    for step in 0..steps {
        sleep(Duration::from_millis(500)).await;
        let is_restart = (step + 1) * plan.restarts / steps > step * plan.restarts / steps;
        if is_restart {
            gateway.signal("TERM");
            gateway.ended().await;
            gateway = manager.start();
        } else {
            let origins = format!("[cors]\norigins = [\"https://a{step}.example\"]\n");
            manager.configure(&format!("{DELAY}{origins}"));
            gateway.signal("HUP");
            manager.until("RELOADING=1").await;
        }
        manager.until("READY=1").await;
        if !is_restart {
            clients.preflight(&format!("https://a{step}.example")).await;
        }
    }
    sleep(Duration::from_millis(500)).await;
    over.store(true, Relaxed);
    let ends = load.await.unwrap();
    println!(
        "{} restarts, {} reloads: {}; failed {:?}",
        plan.restarts, plan.reloads, ends.times, ends.failed
    );
    assert!(ends.failed.is_empty(), "{:?}", ends.failed);
    gateway.signal("TERM");
    gateway.ended().await;
}

impl Clients {
    fn new(manager: &Manager, sandbox: &vingate::sandbox::Handle) -> Self {
        let issuer = parse(&configuration("", &sandbox.url())).reloadable.auth;
        let token = issuer.issue("tester", None, HOUR, now()).unwrap();
        let vehicles: Vec<_> = sandbox
            .vehicles(vingate::sandbox::Class::Finished)
            .take(50)
            .collect();
        Self {
            client: Client::builder(TokioExecutor::new())
                .pool_idle_timeout(KEPT_FOR)
                .pool_timer(TokioTimer::new())
                .build_http(),
            url: format!("http://{}", manager.address()),
            authorization: format!("Bearer {token}"),
            bodies: vehicles.chunks(1).map(asking_for).collect(),
        }
    }

    /// Sends so many requests a second until it is over.
    async fn load(self, rate: u32, over: Arc<AtomicBool>) -> Ends {
        let mut ticks = interval(Duration::from_secs(1) / rate);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let (mut sent, mut ends) = (JoinSet::new(), Ends::default());
        let mut nth = 0;
        while !over.load(Relaxed) {
            ticks.tick().await;
            let clients = self.clone();
            sent.spawn(async move { clients.send(nth).await });
            nth += 1;
            while let Some(end) = sent.try_join_next() {
                ends.add(end.unwrap());
            }
        }
        while let Some(end) = sent.join_next().await {
            ends.add(end.unwrap());
        }
        ends
    }

    /// One request; every fourth one is forwarded.
    async fn send(&self, nth: usize) -> Result<Duration, String> {
        let began = Instant::now();
        let mut request = match nth % 4 {
            0 => Request::get("/api/vehicles").body(Full::default()).unwrap(),
            _ => {
                let body = self.bodies[nth % self.bodies.len()].clone();
                batch().body(Full::new(body)).unwrap()
            }
        };
        request
            .headers_mut()
            .insert("authorization", self.authorization.parse().unwrap());
        *request.uri_mut() = format!("{}{}", self.url, request.uri()).parse().unwrap();
        let response = self
            .client
            .request(request)
            .await
            .map_err(|error| format!("{error:?}"))?;
        let response = Response::read(response).await;
        match response.status.as_u16() {
            200 => Ok(began.elapsed()),
            status => Err(status.to_string()),
        }
    }

    /// Shows that this origin is allowed.
    async fn preflight(&self, origin: &str) {
        let request = Request::builder()
            .method(Method::OPTIONS)
            .uri(format!("{}/api/vehicles", self.url))
            .header("origin", origin)
            .header("access-control-request-method", "GET")
            .body(Full::default())
            .unwrap();
        let response = Response::read(self.client.request(request).await.unwrap()).await;
        assert_eq!(response.expect(204).field("access-control-allow-origin"), origin);
    }
}

impl Ends {
    fn add(&mut self, end: Result<Duration, String>) {
        match end {
            Ok(took) => self.times.push(took),
            Err(why) => *self.failed.entry(why).or_default() += 1,
        }
    }
}
