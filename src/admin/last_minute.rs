//! The last minute in rates, for who has no room for charts.

use serde_json::{Value, json};

use super::figures::{Figures, total};

/// Outcomes of vehicles that took a call.
const CALLED: [&str; 2] = ["vehicles.miss", "vehicles.bypass"];

/// The most vehicles that Sync takes in a call.
const CALL: f64 = 500.0;

/// What happened in so many seconds, from `before` until `now`. What nothing is known of is null.
pub(super) fn of(seconds: u64, before: &Figures, now: &Figures) -> Value {
    let since = Since { before, now };
    let per_second = |step: f64| step / seconds.max(1) as f64;
    let vehicles = since.total("vehicles.");
    let called: f64 = CALLED.iter().map(|name| since.one(name)).sum();
    // Without the gateway, each request were a call, and one for each full call of vehicles.
    let wanted = since
        .one("batch_requests")
        .max(since.one("batch_vehicles") / CALL);
    let (requests, calls) = (since.total("request_count."), since.one("call_count"));
    json!({
        "seconds": seconds,
        "requests_per_second": per_second(since.total("requests.")),
        "vehicles_per_second": per_second(vehicles),
        "vehicles_without_call": (vehicles > 0.0).then(|| 1.0 - called / vehicles),
        "calls_per_second": per_second(since.total("calls.")),
        "batch_calls_spared_per_second": per_second((wanted - since.one("batch_calls")).max(0.0)),
        "request_seconds": since.percentiles("requests_within.", requests),
        "call_seconds": since.percentiles("calls_within.", calls),
    })
}

/// Two moments. A figure that begins late was zero before.
struct Since<'a> {
    before: &'a Figures,
    now: &'a Figures,
}

impl Since<'_> {
    fn one(&self, name: &str) -> f64 {
        let at = |figures: &Figures| figures.get(name).copied().unwrap_or_default();
        at(self.now) - at(self.before)
    }

    fn total(&self, prefix: &str) -> f64 {
        total(self.now, prefix) - total(self.before, prefix)
    }

    /// Of `count` times, whose buckets are the figures that begin with `prefix`.
    fn percentiles(&self, prefix: &str, count: f64) -> Value {
        let bound = |name: &String| name.strip_prefix(prefix)?.parse().ok();
        let mut buckets: Vec<(f64, f64)> = (self.now.keys())
            .filter_map(|name| Some((bound(name)?, self.one(name))))
            .collect();
        buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
        let of = |part: f64| (count > 0.0).then(|| percentile(&buckets, part * count));
        json!({ "median": of(0.5), "p99": of(0.99) })
    }
}

/// Within what time `wanted` of them were, between the bounds of a bucket as if all were spread
/// evenly in it; the last bound, if they took longer.
fn percentile(buckets: &[(f64, f64)], wanted: f64) -> f64 {
    let (mut low, mut before) = (0.0, 0.0);
    for &(bound, within) in buckets {
        if within >= wanted {
            return low + (bound - low) * (wanted - before) / (within - before);
        }
        (low, before) = (bound, within);
    }
    low
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures<const N: usize>(figures: [(&str, f64); N]) -> Figures {
        figures.map(|(name, value)| (name.to_owned(), value)).into()
    }

    #[test]
    fn tells_what_happened_since() {
        let before = figures([("requests.batch", 10.0), ("vehicles.hit", 40.0)]);
        let now = figures([
            ("requests.batch", 30.0),
            ("requests.other", 20.0),
            ("vehicles.hit", 100.0),
            ("vehicles.stale_on_error", 15.0),
            ("vehicles.miss", 20.0),
            ("vehicles.bypass", 5.0),
            ("batch_requests", 20.0),
            ("batch_vehicles", 100.0),
            ("batch_calls", 5.0),
            ("calls.2xx", 8.0),
            ("request_count.batch", 4.0),
            ("request_count.other", 4.0),
            ("requests_within.0.5", 2.0),
            ("requests_within.1", 6.0),
            ("requests_within.10", 7.0),
        ]);
        let expected = json!({
            "seconds": 20,
            "requests_per_second": 2.0,
            "vehicles_per_second": 5.0,
            "vehicles_without_call": 0.75,
            "calls_per_second": 0.4,
            "batch_calls_spared_per_second": 0.75,
            "request_seconds": { "median": 0.75, "p99": 10.0 },
            "call_seconds": { "median": null, "p99": null },
        });
        assert_eq!(of(20, &before, &now), expected);
    }

    #[test]
    fn nothing_happened_in_no_time() {
        let rates = of(0, &Figures::new(), &Figures::new());
        assert_eq!(rates["requests_per_second"], 0.0);
        assert!(rates["vehicles_without_call"].is_null());
    }
}
