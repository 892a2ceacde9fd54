//! What was measured, as it is printed.

use std::fmt;

use tokio::time::Duration;

/// How long things of one kind took.
#[derive(Clone, Debug, Default)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn push(&mut self, time: Duration) {
        self.0.push(time);
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }

    /// The time that this part of them, 0 to 1, does not exceed; zero if there are none.
    pub(crate) fn quantile(&self, part: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let nth = (part * sorted.len() as f64).ceil() as usize;
        sorted
            .get(nth.saturating_sub(1))
            .copied()
            .unwrap_or_default()
    }
}

impl Extend<Duration> for Times {
    fn extend<I: IntoIterator<Item = Duration>>(&mut self, times: I) {
        self.0.extend(times);
    }
}

impl FromIterator<Duration> for Times {
    fn from_iter<I: IntoIterator<Item = Duration>>(times: I) -> Self {
        Self(times.into_iter().collect())
    }
}

impl IntoIterator for Times {
    type Item = Duration;
    type IntoIter = std::vec::IntoIter<Duration>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl fmt::Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [p50, p99, max] = [0.5, 0.99, 1.0].map(|part| self.quantile(part));
        write!(f, "p50 {p50:.2?}, p99 {p99:.2?}, max {max:.2?} of {}", self.count())
    }
}

/// How many times `whole` is of `part`.
pub(crate) fn ratio(whole: Duration, part: Duration) -> f64 {
    whole.as_secs_f64() / part.as_secs_f64()
}

#[test]
fn quantiles_are_times_that_were_taken() {
    let times: Times = (1..=200).rev().map(Duration::from_millis).collect();
    for (part, millis) in [(0.0, 1), (0.5, 100), (0.99, 198), (1.0, 200)] {
        assert_eq!(times.quantile(part), Duration::from_millis(millis), "{part}");
    }
    assert_eq!(Times::default().quantile(0.5), Duration::ZERO);
}
