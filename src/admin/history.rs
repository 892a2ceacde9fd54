//! The figures of the last 15 minutes.

use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use parking_lot::Mutex;
use prometheus::Registry;
use serde_json::{Map, Value, json};
use tokio::time::interval;

use super::{
    figures::{self, Figures},
    last_minute,
};

/// What the figures were: a handle, cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct History(Arc<Mutex<VecDeque<Sample>>>);

#[derive(Clone, Debug)]
struct Sample {
    /// Seconds since 1970.
    at: u64,
    figures: Figures,
}

const EVERY: Duration = Duration::from_secs(15);

/// 15 minutes.
const SAMPLES: usize = 60;

/// In seconds.
const MINUTE: u64 = 60;

impl History {
    /// Takes a sample of the metrics now and then. Never ends.
    pub async fn keep(self, registry: Registry) {
        let mut ticks = interval(EVERY);
        loop {
            ticks.tick().await;
            self.note(Sample::of(&registry));
        }
    }

    /// What it was, and what it is: for each figure its values, oldest first, the last of now.
    pub(super) fn shown(&self, now: Figures) -> Value {
        let mut samples: Vec<_> = self.0.lock().iter().cloned().collect();
        samples.push(Sample { at: seconds(), figures: now.clone() });
        // A figure that begins late was zero before.
        let values = |name: &String| {
            let values = samples.iter().map(|sample| sample.figures.get(name));
            values
                .map(|value| value.copied().unwrap_or_default())
                .collect::<Vec<_>>()
        };
        let figures: Map<_, _> = now
            .keys()
            .map(|name| (name.clone(), json!(values(name))))
            .collect();
        json!({ "at": samples.iter().map(|sample| sample.at).collect::<Vec<_>>(), "figures": figures })
    }

    /// The last minute, or what there is of it, in rates; null as long as there is nothing.
    pub(super) fn last_minute(&self, now: &Figures) -> Value {
        let at = seconds();
        let before = self.before(at.saturating_sub(MINUTE));
        before.map_or(Value::Null, |before| {
            last_minute::of(at.saturating_sub(before.at), &before.figures, now)
        })
    }

    /// The last sample that is as old as `at`, else the oldest.
    fn before(&self, at: u64) -> Option<Sample> {
        let samples = self.0.lock();
        let before = samples.iter().rfind(|sample| sample.at <= at);
        before.or(samples.front()).cloned()
    }

    fn note(&self, sample: Sample) {
        let mut samples = self.0.lock();
        if samples.len() == SAMPLES {
            samples.pop_front();
        }
        samples.push_back(sample);
    }
}

impl Sample {
    fn of(registry: &Registry) -> Self {
        Self { at: seconds(), figures: figures::of(&registry.gather()) }
    }
}

fn seconds() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(name: &str, value: f64) -> Figures {
        Figures::from([(name.to_owned(), value)])
    }

    #[test]
    fn keeps_the_last_and_adds_what_is_now() {
        let history = History::default();
        for nth in 0..=SAMPLES {
            history.note(Sample { at: nth as u64, figures: figures("a", nth as f64) });
        }
        let mut now = figures("a", 100.0);
        now.extend(figures("b", 7.0));
        let shown = history.shown(now);
        let values = |name: &str| shown["figures"][name].as_array().unwrap().clone();
        assert_eq!(values("a").len(), SAMPLES + 1);
        assert_eq!(
            (values("a")[0].as_f64(), values("a")[SAMPLES].as_f64()),
            (Some(1.0), Some(100.0))
        );
        assert_eq!(
            (values("b")[0].as_f64(), values("b")[SAMPLES].as_f64()),
            (Some(0.0), Some(7.0))
        );
        assert_eq!(shown["at"].as_array().unwrap().len(), SAMPLES + 1);
    }

    #[test]
    fn finds_how_it_was_before() {
        let history = History::default();
        assert!(history.before(7).is_none());
        for at in [10, 20, 30] {
            history.note(Sample { at, figures: Figures::new() });
        }
        for (at, found) in [(7, 10), (10, 10), (29, 20), (99, 30)] {
            assert_eq!(history.before(at).unwrap().at, found, "{at}");
        }
    }
}
