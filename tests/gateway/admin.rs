//! What operators see and do.

use std::collections::BTreeSet;

use futures_util::{StreamExt as _, stream};
use http::Request;
use serde_json::Value;
use vingate::{problem::Code, sandbox::Class, vehicle::Vehicle};

use crate::support::{Dice, Exposition, Gateway, JSON, spelled};

const ALERTS: &str = include_str!("../../deploy/alerts.yml");
const RECORDING: &str = include_str!("../../deploy/recording.yml");
const DASHBOARD: &str = include_str!("../../deploy/grafana/vingate.json");

const DOCUMENT: &str = include_str!("../../README.md");

/// What dashboards and alerts rely on.
const METRICS: [&str; 25] = [
    "process_resident_memory_bytes",
    "vingate_auth_tokens_total",
    "vingate_batch_chunks_total",
    "vingate_batch_vehicles",
    "vingate_build_info",
    "vingate_cache_bytes",
    "vingate_cache_entries",
    "vingate_cache_invalidations_total",
    "vingate_cache_vehicles_total",
    "vingate_http_connection_errors_total",
    "vingate_http_in_flight",
    "vingate_http_request_seconds",
    "vingate_http_requests_total",
    "vingate_limit_refusals_total",
    "vingate_log_dropped_lines_total",
    "vingate_upstream_breaker_state",
    "vingate_upstream_in_flight",
    "vingate_upstream_request_seconds",
    "vingate_upstream_requests_total",
    "vingate_upstream_retries_total",
    "process_cpu_seconds_total",
    "process_open_fds",
    "process_start_time_seconds",
    "process_virtual_memory_bytes",
    "process_max_fds",
];

/// Nobody listens there: the metrics are there all the same.
fn shared() -> String {
    let secret = "ANY_NAME_OF_THIRTY_TWO_OR_MORE_BYTES";
    format!("[shared]\n url = \"redis://127.0.0.1:1\"\n secret = {{ env = \"{secret}\" }}\n")
}

async fn metrics(gateway: &Gateway) -> String {
    gateway
        .admin(Request::get("/metrics"), "")
        .await
        .expect(200)
        .text()
}

/// Every series, without its value.
fn series(metrics: &str) -> BTreeSet<&str> {
    metrics
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.rsplit_once(' ').unwrap().0)
        .collect()
}

async fn purge(gateway: &Gateway, body: &str) -> u64 {
    let request = Request::post("/cache/purge").header("content-type", JSON);
    let response = gateway.admin(request, body.to_owned()).await.expect(200);
    response.json()["purged"].as_u64().unwrap()
}

#[tokio::test]
async fn shows_every_metric_in_a_form_that_prometheus_accepts() {
    let gateway = Gateway::start("").await;
    gateway.hold(3).await;
    gateway.get("/api/vehicles").await.expect(200);
    gateway.send_bare(Request::get("/x"), "").await.expect(401);
    let metrics = Exposition::parse(&metrics(&gateway).await).unwrap();
    for name in METRICS {
        assert!(metrics.family(name).is_some(), "{name} is missing");
    }
}

/// The queries that are shipped: alerts and recording rules, each file as one, and those of the
/// dashboard.
fn queries() -> Vec<String> {
    fn find(value: &Value, queries: &mut Vec<String>) {
        match value {
            Value::Array(items) => items.iter().for_each(|it| find(it, queries)),
            Value::Object(members) => {
                queries.extend(
                    members
                        .get("expr")
                        .and_then(Value::as_str)
                        .map(str::to_owned),
                );
                members.values().for_each(|it| find(it, queries));
            }
            _ => {}
        }
    }
    let mut queries = Vec::from([ALERTS, RECORDING].map(str::to_owned));
    find(&serde_json::from_str(DASHBOARD).unwrap(), &mut queries);
    queries
}

/// Labels that Prometheus adds.
const ADDED: [&str; 2] = ["instance", "job"];

/// An alert that asks for a label that is not there is never raised, and a panel stays empty.
#[tokio::test]
async fn queries_ask_for_labels_that_are_there() {
    let gateway = Gateway::start(&shared()).await;
    let vehicle = gateway.sandbox.vehicles(Class::Finished).next().unwrap();
    gateway.batch(&[spelled(&vehicle)]).await.expect(200);
    gateway.send_bare(Request::get("/x"), "").await.expect(401);
    let metrics = Exposition::parse(&metrics(&gateway).await).unwrap();
    let is_outside = |c: char| !c.is_ascii_alphanumeric() && c != '_';
    let (mut matched, mut grouped) = (0, 0);
    for query in queries() {
        for (at, _) in query.match_indices('{') {
            let name = query[..at].rsplit(is_outside).next().unwrap();
            if !name.starts_with("vingate_") {
                continue;
            }
            let (matchers, _) = query[at + 1..].split_once('}').unwrap();
            let labels = matchers
                .split(',')
                .map(|it| it.trim().split(['=', '!']).next().unwrap());
            for label in labels.filter(|label| !ADDED.contains(label)) {
                let family = metrics.family(name);
                let family = family.unwrap_or_else(|| panic!("no {name}"));
                assert!(family.has_label(label), "{name} has no label {label}: {query}");
                matched += 1;
            }
        }
        let asked: Vec<_> = query
            .split(is_outside)
            .filter_map(|name| metrics.family(name))
            .collect();
        for labels in query.split(" by (").skip(1) {
            let labels = labels.split(')').next().unwrap().split(',').map(str::trim);
            for label in labels.filter(|label| !ADDED.contains(label)) {
                let is_there = asked.iter().any(|family| family.has_label(label));
                assert!(is_there, "nothing has the label {label}: {query}");
                grouped += 1;
            }
        }
    }
    assert!(matched > 15 && grouped > 15, "found {matched} matchers and {grouped} groups");
}

/// Labels whose values are described, not listed.
const DESCRIBED: [&str; 3] = ["method", "status", "version"];

#[tokio::test]
async fn the_documents_have_every_label() {
    let gateway = Gateway::start(&shared()).await;
    let metrics = metrics(&gateway).await;
    let mut checked = 0;
    for (name, labels) in series(&metrics)
        .iter()
        .filter_map(|series| series.split_once('{'))
    {
        let name = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|suffix| name.strip_suffix(suffix))
            .unwrap_or(name);
        let row = DOCUMENT
            .lines()
            .find(|line| line.starts_with('|') && line.contains(&format!("`{name}`")));
        let row = row.unwrap_or_else(|| panic!("no row has {name}"));
        let labels = labels.trim_end_matches('}').split(',');
        for (label, value) in labels.filter_map(|label| label.split_once('=')) {
            if label == "le" {
                continue;
            }
            assert!(row.contains(&format!("`{label}`")), "{name} has {label}");
            let text = if label == "route" { DOCUMENT } else { row };
            let is_listed = text.contains(&format!("`{}`", value.trim_matches('"')));
            assert!(is_listed || DESCRIBED.contains(&label), "{name} has {label}={value}");
            checked += 1;
        }
    }
    assert!(checked > 100, "found the labels");
    // Those are there when they have happened.
    let problems = DOCUMENT
        .lines()
        .find(|line| line.contains("`vingate_http_problems_total`"));
    for code in Code::ALL {
        assert!(problems.unwrap().contains(&format!("`{}`", code.as_str())), "{code:?}");
    }
}

#[tokio::test]
async fn random_paths_add_no_series() {
    let gateway = Gateway::start("").await;
    // One of each sort first, so that every series there will ever be is there.
    let methods = ["GET", "POST", "X-Y"];
    let ask = async |method: &str, path: String, is_known: bool| {
        let mut request = Request::builder().method(method).uri(path);
        if !is_known {
            request = request.header("authorization", "Bearer x");
        }
        gateway.send(request, "").await.status
    };
    for method in methods {
        ask(method, "/a".into(), true).await;
        ask(method, "/a".into(), false).await;
    }
    let before = metrics(&gateway).await;
    let mut dice = Dice::new(4);
    let paths: Vec<_> = (0..10_000)
        .map(|nth| {
            let path = format!("/{:x}/{:x}?{nth}", dice.throw(1 << 40), dice.throw(1 << 40));
            (methods[nth % 3], path, nth % 10 == 0)
        })
        .collect();
    stream::iter(paths)
        .for_each_concurrent(16, async |(method, path, is_known)| {
            let status = ask(method, path, is_known).await;
            assert_eq!(status, if is_known { 404 } else { 401 });
        })
        .await;
    let after = metrics(&gateway).await;
    assert_eq!(series(&after), series(&before));
    let lookup = r#"vingate_http_requests_total{method="GET",route="other",status="404"}"#;
    assert!(gateway.metric(lookup).await >= 300.0);
    let other = r#"vingate_http_requests_total{method="other",route="other",status="401"}"#;
    assert!(gateway.metric(other).await >= 3000.0);
}

#[tokio::test]
async fn purges_by_account_vin_and_plate() {
    let toml = "[[account]]\nname = \"a\"\nvalue = { env = \"SYNC_A\" }\nsubjects = [\"alice\"]\n\
                [[account]]\nname = \"b\"\nvalue = { env = \"SYNC_B\" }\nsubjects = [\"*\"]\n";
    let gateway = Gateway::start(toml).await;
    let two: Vec<_> = gateway.sandbox.vehicles(Class::Finished).take(2).collect();
    let mixed = Vehicle { vin: two[0].vin, plate: two[1].plate };
    let spelled: Vec<_> = [two[0], two[1], mixed]
        .iter()
        .map(|it| {
            let (vin, plate) = spelled(it);
            (vin.to_owned(), plate.to_owned())
        })
        .collect();
    let all: Vec<_> = spelled
        .iter()
        .map(|(vin, plate)| (&**vin, &**plate))
        .collect();
    let (vin, plate) = (all[0].0.to_lowercase(), format!("{} -", all[1].1));
    let alice = gateway.token("alice", None);
    for (selection, purged) in [
        ("{}".to_owned(), 6),
        (r#"{"account":"a"}"#.to_owned(), 3),
        (format!(r#"{{"vin":"{vin}"}}"#), 4),
        (format!(r#"{{"plate":"{plate}"}}"#), 4),
        (format!(r#"{{"vin":"{vin}","plate":"{plate}"}}"#), 2),
        (format!(r#"{{"vin":"{vin}","account":"b"}}"#), 2),
        (r#"{"plate":"NONE1"}"#.to_owned(), 0),
    ] {
        gateway.batch(&all).await.expect(200);
        gateway
            .batch_with(&all, &[("authorization", &alice)])
            .await
            .expect(200);
        assert_eq!(gateway.metric("vingate_cache_entries").await, 6.0);
        assert_eq!(purge(&gateway, &selection).await, purged, "{selection}");
        assert_eq!(gateway.metric("vingate_cache_entries").await, 6.0 - purged as f64);
    }
    purge(&gateway, "{}").await;
    assert_eq!(gateway.metric("vingate_cache_bytes").await, 0.0);
}

#[tokio::test]
async fn refuses_what_it_does_not_understand() {
    let gateway = Gateway::start("").await;
    let json = Request::post("/cache/purge").header("content-type", JSON);
    let text = Request::post("/cache/purge").header("content-type", "text/plain");
    let foreign = Request::get("/config").header("host", "attacker.example");
    for (what, request, body, status) in [
        ("unknown member", json, r#"{"vim":"x"}"#, 400),
        (
            "not a VIN",
            Request::post("/cache/purge").header("content-type", JSON),
            r#"{"vin":"x"}"#,
            400,
        ),
        ("not JSON", text, "{}", 415),
        ("no type", Request::post("/cache/purge"), "{}", 415),
        ("a read", Request::get("/cache/purge"), "", 405),
        ("a foreign host", foreign, "", 421),
        ("nothing", Request::get("/nothing"), "", 404),
    ] {
        let response = gateway.admin(request, body).await;
        assert_eq!(response.status, status, "{what}");
    }
    for path in ["/healthz", "/readyz", "/config", "/"] {
        gateway.admin(Request::get(path), "").await.expect(200);
    }
}

/// What operators ask for means nothing on the other listener: it goes upstream like anything.
#[tokio::test]
async fn nobody_reaches_it_through_the_gateway() {
    let gateway = Gateway::start("").await;
    let vehicle = gateway.sandbox.vehicles(Class::Finished).next().unwrap();
    gateway.batch(&[spelled(&vehicle)]).await.expect(200);
    let asked = [
        ("GET", "/metrics", "localhost"),
        ("GET", "/config", "localhost"),
        ("GET", "/readyz", "localhost"),
        ("POST", "/cache/purge", "localhost"),
        ("POST", "//cache/purge", "localhost"),
        ("POST", "/cache/purge", &gateway.admin.to_string()),
    ];
    for (method, path, host) in asked {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", host)
            .header("content-type", JSON);
        let response = gateway.send(request, "{}").await.expect(404);
        assert!(response.field("via").ends_with("vingate"), "{path} is the upstream's");
    }
    assert_eq!(gateway.sandbox.counters().others, asked.len() as u64);
    assert_eq!(gateway.metric("vingate_cache_entries").await, 1.0);
}

#[tokio::test]
async fn a_token_keeps_strangers_from_all_but_probes() {
    let gateway = Gateway::start("[admin]\ntoken = { env = \"ADMIN_TOKEN_OF_TESTS\" }").await;
    let token = "Bearer ADMIN_TOKEN_OF_TESTS";
    for (path, is_open) in [
        ("/metrics", true),
        ("/healthz", true),
        ("/readyz", true),
        ("/config", false),
        ("/", false),
        ("/nothing", false),
    ] {
        let bare = gateway.admin(Request::get(path), "").await;
        assert_eq!(bare.status, if is_open { 200 } else { 401 }, "{path}");
        let asked: Vec<_> = bare.headers.get_all("www-authenticate").iter().collect();
        let wanted: &[&str] = if is_open { &[] } else { &["Bearer", "Basic realm=\"vingate\""] };
        assert_eq!(asked, wanted);
        let known = Request::get(path).header("authorization", token);
        let status = if path == "/nothing" { 404 } else { 200 };
        gateway.admin(known, "").await.expect(status);
    }
    let purge = Request::post("/cache/purge").header("content-type", JSON);
    gateway.admin(purge, "{}").await.expect(401);
}
