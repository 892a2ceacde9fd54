//! The figures of the status page, taken from the metrics.

use std::collections::BTreeMap;

use prometheus::proto::{Metric, MetricFamily, MetricType};

/// Names of figures and their values. A family that is not registered has none.
pub(super) type Figures = BTreeMap<String, f64>;

/// A figure of a family of metrics.
struct Source {
    /// Its name; before the values of the label, if there is one.
    name: &'static str,
    family: &'static str,
    /// There is a figure for each value of this label.
    by: Option<&'static str>,
    value: fn(&Metric, MetricType) -> f64,
}

const SOURCES: [Source; 34] = [
    by("requests.", "vingate_http_requests_total", "route"),
    Source { value: count, ..by("request_count.", "vingate_http_request_seconds", "route") },
    by("request_seconds.", "vingate_http_request_seconds", "route"),
    all("in_flight", "vingate_http_in_flight"),
    all("connection_errors", "vingate_http_connection_errors_total"),
    all("certificate_until", "vingate_http_certificate_expiry_timestamp_seconds"),
    by("tokens.", "vingate_auth_tokens_total", "outcome"),
    all("keys_fetched", "vingate_auth_jwks_last_success_timestamp_seconds"),
    by("vehicles.", "vingate_cache_vehicles_total", "outcome"),
    all("entries", "vingate_cache_entries"),
    all("bytes", "vingate_cache_bytes"),
    all("capacity", "vingate_cache_capacity_bytes"),
    by("invalidations.", "vingate_cache_invalidations_total", "cause"),
    Source { value: count, ..all("batch_requests", "vingate_batch_vehicles") },
    all("batch_vehicles", "vingate_batch_vehicles"),
    all("batch_calls", "vingate_batch_chunks_total"),
    all("call_vehicles", "vingate_batch_call_vehicles"),
    by("calls.", "vingate_upstream_requests_total", "outcome"),
    Source { value: count, ..all("call_count", "vingate_upstream_request_seconds") },
    all("call_seconds", "vingate_upstream_request_seconds"),
    all("calls_in_flight", "vingate_upstream_in_flight"),
    all("call_limit", "vingate_upstream_limit"),
    all("retries", "vingate_upstream_retries_total"),
    all("breaker", "vingate_upstream_breaker_state"),
    by("refusals.", "vingate_limit_refusals_total", "reason"),
    by("reloads.", "vingate_config_reloads_total", "outcome"),
    // Not zero when there is something to do: a terminal shows of figures only those that are not
    // zero. Where others tell of trouble, the state says so in words.
    Source { value: none, ..all("file_not_in_force", "vingate_config_file_in_force") },
    all("last_reload", "vingate_config_last_reload_success_timestamp_seconds"),
    all("log_lines_dropped", "vingate_log_dropped_lines_total"),
    all("replicas", "vingate_shared_replicas"),
    all("shared_valid", "vingate_shared_valid"),
    all("shared_breaker", "vingate_shared_breaker_state"),
    all("memory", "process_resident_memory_bytes"),
    all("cpu_seconds", "process_cpu_seconds_total"),
];

/// Families of which percentiles are shown: before the bound of each bucket, how many were within.
const BUCKETS: [(&str, &str); 2] = [
    ("requests_within.", "vingate_http_request_seconds"),
    ("calls_within.", "vingate_upstream_request_seconds"),
];

const fn all(name: &'static str, family: &'static str) -> Source {
    Source { name, family, by: None, value: sum }
}

const fn by(name: &'static str, family: &'static str, label: &'static str) -> Source {
    Source { name, family, by: Some(label), value: sum }
}

/// The figures of these families.
pub(super) fn of(families: &[MetricFamily]) -> Figures {
    let mut figures = Figures::new();
    for source in &SOURCES {
        let family = families
            .iter()
            .find(|family| family.name() == source.family);
        for metric in family.iter().flat_map(|family| family.get_metric()) {
            let labels = metric.get_label();
            let label = labels.iter().find(|label| Some(label.name()) == source.by);
            let name = format!("{}{}", source.name, label.map_or("", |label| label.value()));
            let kind = family.map_or(MetricType::UNTYPED, |family| family.get_field_type());
            *figures.entry(name).or_default() += (source.value)(metric, kind);
        }
    }
    for (prefix, name) in BUCKETS {
        let family = families.iter().find(|family| family.name() == name);
        for metric in family.iter().flat_map(|family| family.get_metric()) {
            for bucket in metric.get_histogram().get_bucket() {
                let within = format!("{prefix}{}", bucket.upper_bound());
                *figures.entry(within).or_default() += bucket.cumulative_count() as f64;
            }
        }
    }
    figures
}

/// The sum of all figures whose names begin so.
pub(super) fn total(figures: &Figures, prefix: &str) -> f64 {
    let figures = figures.iter().filter(|(name, _)| name.starts_with(prefix));
    // The sum of no numbers is -0.
    figures.fold(0.0, |sum, (_, value)| sum + value)
}

fn sum(metric: &Metric, kind: MetricType) -> f64 {
    match kind {
        MetricType::COUNTER => metric.get_counter().get_value(),
        MetricType::GAUGE => metric.get_gauge().get_value(),
        MetricType::HISTOGRAM => metric.get_histogram().get_sample_sum(),
        _ => 0.0,
    }
}

fn count(metric: &Metric, _: MetricType) -> f64 {
    metric.get_histogram().get_sample_count() as f64
}

fn none(metric: &Metric, kind: MetricType) -> f64 {
    1.0 - sum(metric, kind)
}

/// The names of all figures, but for what a label adds.
#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let buckets = BUCKETS.iter().map(|(name, _)| *name);
    SOURCES.iter().map(|source| source.name).chain(buckets)
}

#[cfg(test)]
mod tests {
    use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, IntGauge, Opts, Registry};

    use super::*;

    #[test]
    fn the_documents_explain_every_figure() {
        let document = include_str!("../../deploy/commands.md");
        for Source { name, .. } in &SOURCES {
            let row = name.replace('_', " ").replace('.', " …");
            let is_in_row =
                |line: &str| line.starts_with("| ") && line.contains(&format!("`{row}`"));
            assert!(document.lines().any(is_in_row), "{row}");
        }
    }

    #[test]
    fn takes_sums_and_counts_by_label() {
        let registry = Registry::new();
        let counter = |name: &str, labels: &[&str]| {
            let counter = IntCounterVec::new(Opts::new(name, "x"), labels).unwrap();
            registry.register(Box::new(counter.clone())).unwrap();
            counter
        };
        let requests = counter("vingate_http_requests_total", &["route", "status"]);
        requests.with_label_values(&["batch", "200"]).inc_by(40);
        requests.with_label_values(&["batch", "503"]).inc_by(2);
        let tokens = counter("vingate_auth_tokens_total", &["outcome"]);
        tokens.with_label_values(&["accepted"]).inc_by(9);
        tokens.with_label_values(&["expired"]).inc_by(3);
        let options = HistogramOpts::new("vingate_upstream_request_seconds", "x");
        let times = HistogramVec::new(options.buckets(vec![0.5, 2.0]), &["route"]);
        let times = times.unwrap();
        registry.register(Box::new(times.clone())).unwrap();
        times.with_label_values(&["batch"]).observe(0.5);
        times.with_label_values(&["other"]).observe(1.0);
        let entries = IntGauge::new("vingate_cache_entries", "x").unwrap();
        registry.register(Box::new(entries.clone())).unwrap();
        entries.set(7);
        let in_force = IntGauge::new("vingate_config_file_in_force", "x").unwrap();
        registry.register(Box::new(in_force)).unwrap();

        let figures = of(&registry.gather());
        let expected = [
            ("call_count", 2.0),
            ("call_seconds", 1.5),
            ("calls_within.0.5", 1.0),
            ("calls_within.2", 2.0),
            ("entries", 7.0),
            ("file_not_in_force", 1.0),
            ("requests.batch", 42.0),
            ("tokens.accepted", 9.0),
            ("tokens.expired", 3.0),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value));
        assert_eq!(figures, Figures::from(expected));
        assert_eq!(total(&figures, "requests."), 42.0);
    }
}
