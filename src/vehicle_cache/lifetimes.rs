use std::time::Duration;

use super::{Class, Classes};

/// What the `[cache]` table says of entries; [`VehicleCache::set_lifetimes`](super::VehicleCache)
/// changes it.
#[derive(Clone, Debug)]
pub struct Lifetimes {
    /// How long results stay fresh, from when they are stored.
    pub ttl: Ttl,
    /// How long past that they may still be served.
    pub stale: StaleWindows,
}

/// How long a vehicle's results stay fresh, by their content.
#[derive(Clone, Debug)]
pub struct Ttl {
    /// Every result finished and with a status.
    pub finished: Duration,
    /// Some result not finished.
    pub pending: Duration,
    /// Some result finished without a status.
    pub failed: Duration,
    /// No results.
    pub absent: Duration,
    /// Every life is longer or shorter by up to this part of it, 0 to 1.
    pub jitter: f64,
}

/// How long past their time entries may still be served.
#[derive(Clone, Copy, Debug)]
pub struct StaleWindows {
    /// While a refresh runs behind, class finished only.
    pub while_revalidate: Duration,
    /// When the refresh failed in a way that permits it.
    pub if_error: Duration,
}

impl Ttl {
    /// How long results of these classes stay fresh: as long as the shortest of them. `draw` is
    /// evenly spread over all of `u64` and decides the jitter, so that a chunk filled at one
    /// instant does not expire at one.
    pub(super) fn fresh_for(&self, classes: Classes, draw: u64) -> Duration {
        let part = draw as f64 / u64::MAX as f64 * 2.0 - 1.0;
        self.base(classes)
            .mul_f64((1.0 + self.jitter * part).max(0.0))
    }

    /// The same without jitter.
    pub(super) fn base(&self, classes: Classes) -> Duration {
        let lifetimes = Class::ALL
            .into_iter()
            .filter(|&class| classes.contain(class))
            .map(|class| match class {
                Class::Finished => self.finished,
                Class::Pending => self.pending,
                Class::Failed => self.failed,
                Class::Absent => self.absent,
            });
        lifetimes.min().unwrap_or_default()
    }

    /// The longest that such results stay fresh.
    pub(super) fn longest(&self, classes: Classes) -> Duration {
        self.fresh_for(classes, u64::MAX)
    }
}

impl StaleWindows {
    /// The longer one.
    pub(super) fn longest(&self) -> Duration {
        self.while_revalidate.max(self.if_error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ttl(jitter: f64) -> Ttl {
        Ttl {
            finished: Duration::from_secs(900),
            pending: Duration::from_secs(10),
            failed: Duration::from_secs(20),
            absent: Duration::from_secs(30),
            jitter,
        }
    }

    #[test]
    fn lives_by_its_class() {
        for (class, seconds) in
            [(Class::Finished, 900), (Class::Pending, 10), (Class::Failed, 20), (Class::Absent, 30)]
        {
            let fresh_for = ttl(0.0).fresh_for(class.into(), 7);
            assert_eq!(fresh_for, Duration::from_secs(seconds), "{class:?}");
        }
    }

    #[test]
    fn several_classes_live_as_long_as_the_shortest() {
        let mixed = Classes::from(Class::Finished).and(Class::Failed);
        assert_eq!(ttl(0.0).fresh_for(mixed, 7), Duration::from_secs(20));
        assert_eq!(ttl(0.0).fresh_for(mixed.and(Class::Pending), 7), Duration::from_secs(10));
        assert!(!mixed.are_only(Class::Finished));
    }

    #[test]
    fn jitter_stays_within_its_part_and_reaches_both_ends() {
        let lifetimes = |draw| {
            ttl(0.1)
                .fresh_for(Class::Finished.into(), draw)
                .as_secs_f64()
        };
        assert!((lifetimes(0) - 810.0).abs() < 1e-6);
        assert!((lifetimes(u64::MAX) - 990.0).abs() < 1e-6);
        assert!((lifetimes(u64::MAX / 2) - 900.0).abs() < 1e-6);
    }
}
