//! The page for people.

use std::{fmt::Write as _, time::Duration};

use prometheus::proto::{MetricFamily, MetricType};

/// What the page shows of the metrics: the sums of these families.
const NUMBERS: [(&str, &str); 10] = [
    ("Requests", "vingate_http_requests_total"),
    ("Requests in flight", "vingate_http_in_flight"),
    ("Requests refused by limits", "vingate_limit_refusals_total"),
    ("Failed connections", "vingate_http_connection_errors_total"),
    ("Vehicles looked up", "vingate_cache_vehicles_total"),
    ("Vehicles in the cache", "vingate_cache_entries"),
    ("Bytes in the cache", "vingate_cache_bytes"),
    ("Calls to Sync", "vingate_upstream_requests_total"),
    ("Calls to Sync in flight", "vingate_upstream_in_flight"),
    ("Memory, bytes", "process_resident_memory_bytes"),
];

const HEAD: &str = "<!doctype html>
<html lang=\"en\">
<meta charset=\"utf-8\">
<meta name=\"viewport\" content=\"width=device-width\">
<title>vingate</title>
<style>
body { font: 1rem/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 40rem; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid #ccc; padding: .3rem 0; text-align: left; }
td { font-variant-numeric: tabular-nums; text-align: right; }
th { font-weight: normal; }
</style>
<h1>vingate</h1>
<table>
";

const FOOT: &str = "</table>
<p><a href=\"/metrics\">Metrics</a>, <a href=\"/readyz\">readiness</a>,
<a href=\"/config\">configuration</a></p>
</html>
";

/// The page: what runs, since when, whether it can serve, and a few numbers.
pub(super) fn render(uptime: Duration, reasons: &[&str], families: &[MetricFamily]) -> String {
    let mut page = String::from(HEAD);
    let ready =
        if reasons.is_empty() { "yes".into() } else { format!("no: {}", reasons.join(", ")) };
    let uptime = humantime::format_duration(Duration::from_secs(uptime.as_secs())).to_string();
    row(&mut page, "Version", env!("CARGO_PKG_VERSION"));
    row(&mut page, "Running for", &uptime);
    row(&mut page, "Ready", &ready);
    for (title, name) in NUMBERS {
        if let Some(family) = families.iter().find(|family| family.name() == name) {
            row(&mut page, title, &sum(family).to_string());
        }
    }
    page.push_str(FOOT);
    page
}

fn row(page: &mut String, title: &str, value: &str) {
    // Writing to a string does not fail.
    let _ = writeln!(page, "<tr><th>{}<td>{}", escaped(title), escaped(value));
}

fn sum(family: &MetricFamily) -> f64 {
    let values = family
        .get_metric()
        .iter()
        .map(|metric| match family.get_field_type() {
            MetricType::COUNTER => metric.get_counter().get_value(),
            MetricType::GAUGE => metric.get_gauge().get_value(),
            _ => 0.0,
        });
    values.sum()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use prometheus::{IntCounterVec, IntGauge, Opts, Registry};

    use super::*;

    #[test]
    fn shows_the_state_at_a_glance() {
        let registry = Registry::new();
        let opts = Opts::new("vingate_http_requests_total", "x");
        let requests = IntCounterVec::new(opts, &["status"]).unwrap();
        requests.with_label_values(&["200"]).inc_by(40);
        requests.with_label_values(&["503"]).inc_by(2);
        let entries = IntGauge::new("vingate_cache_entries", "x").unwrap();
        entries.set(7);
        registry.register(Box::new(requests)).unwrap();
        registry.register(Box::new(entries)).unwrap();

        let page = render(Duration::from_millis(90_500), &[], &registry.gather());
        for shown in [
            "<th>Version<td>0.",
            "<th>Running for<td>1m 30s\n",
            "<th>Ready<td>yes\n",
            "<th>Requests<td>42\n",
            "<th>Vehicles in the cache<td>7\n",
        ] {
            assert!(page.contains(shown), "{shown}: {page}");
        }
        assert!(!page.contains("Bytes in the cache"), "a metric that is missing is left out");
    }

    #[test]
    fn escapes_what_it_shows() {
        let page = render(Duration::ZERO, &["<b> & \"'"], &[]);
        assert!(page.contains("no: &lt;b&gt; &amp; &quot;&#39;\n"), "{page}");
    }
}
