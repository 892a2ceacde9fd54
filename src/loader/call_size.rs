//! How many vehicles the calls of an account may have, as Sync shows it. Pure.
//!
//! A call that Sync cannot finish in time would be too large again. So the next ones have half as
//! many vehicles, and grow again when those of that size come back.

use std::cmp;

use crate::upstream::FEW_VEHICLES;

/// The size of calls that have become smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CallSize {
    vehicles: usize,
    /// Calls of about that size that came back in time, since it is that.
    successes: u32,
}

/// So many calls come back before they become larger: a size that is too large costs somebody the
/// time of an attempt.
const SUCCESSES: u32 = 16;

impl CallSize {
    /// Calls of the size that is configured.
    pub(super) fn new(vehicles: usize) -> Self {
        Self { vehicles, successes: 0 }
    }

    pub(super) fn get(self) -> usize {
        self.vehicles
    }

    /// After a call of so many vehicles that came back in time. `None`: calls have again the size
    /// that is configured.
    pub(super) fn after_success(self, vehicles: usize, configured: usize) -> Option<Self> {
        let Self { vehicles: size, successes } = self;
        if vehicles < size - size / 4 {
            return Some(self);
        }
        if successes + 1 < SUCCESSES {
            return Some(Self { successes: successes + 1, ..self });
        }
        let larger = size + size.div_ceil(4);
        (larger < configured).then(|| Self::new(larger))
    }

    /// After a call of so many vehicles that was too large. Several at once, of one size, halve it
    /// once.
    pub(super) fn after_failure(self, vehicles: usize) -> Self {
        let half = cmp::max(vehicles.div_ceil(2), FEW_VEHICLES);
        Self::new(cmp::min(self.vehicles, half))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn halves_once_for_calls_of_one_size_and_grows_back() {
        let mut size = CallSize::new(500);
        for (vehicles, want) in [(500, 250), (500, 250), (250, 125), (40, 25), (26, 25)] {
            size = size.after_failure(vehicles);
            assert_eq!(size.get(), want, "after {vehicles}");
        }
        let mut sizes = vec![size.get()];
        let mut calls = 0;
        let mut grown = Some(size);
        while let Some(size) = grown {
            grown = size.after_success(size.get(), 500);
            calls += 1;
            sizes.extend(grown.map(CallSize::get));
        }
        sizes.dedup();
        assert_eq!(sizes[..4], [25, 32, 40, 50]);
        assert!((200..250).contains(&calls), "{calls} calls");
    }

    #[test]
    fn small_calls_prove_nothing() {
        let size = CallSize::new(250);
        assert_eq!(size.after_success(100, 500), Some(size));
    }

    proptest! {
        #[test]
        fn stays_within_its_bounds(calls in prop::collection::vec((1..=500usize, any::<bool>()), 0..200)) {
            let mut size = None;
            for (vehicles, is_too_large) in calls {
                size = match is_too_large {
                    true => Some(size.unwrap_or(CallSize::new(500)).after_failure(vehicles)),
                    false => size.and_then(|size| size.after_success(vehicles, 500)),
                };
                prop_assert!(size.is_none_or(|size| (25..500).contains(&size.get())));
            }
        }
    }
}
