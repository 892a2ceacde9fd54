//! How long to wait after failures in a row, before the next attempt.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

/// The wait after so many failures: `first` after one, twice as long after each further one, at
/// most `longest`. Half of it is fixed and half is drawn, so that those who failed together do not
/// come back together. `draw` is evenly spread over all of `u64`.
pub(crate) fn backoff(failures: u32, first: Duration, longest: Duration, draw: u64) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1));
    let whole = first.saturating_mul(doubled).min(longest);
    whole.mul_f64(0.5 + 0.5 * part(draw))
}

/// A random number: the keys of a `RandomState` are random, and so is a hash under them.
pub(crate) fn draw() -> u64 {
    RandomState::new().hash_one(())
}

/// How far up `u64` a draw lies, from 0 to 1.
pub(crate) fn part(draw: u64) -> f64 {
    draw as f64 / u64::MAX as f64
}

#[test]
fn doubles_up_to_the_longest_and_draws_half_of_it() {
    let seconds = Duration::from_secs;
    for (failures, longest) in [(0, 1), (1, 1), (2, 2), (5, 16), (6, 30), (u32::MAX, 30)] {
        let wait = |draw| backoff(failures, seconds(1), seconds(30), draw);
        assert_eq!(wait(u64::MAX), seconds(longest), "{failures}");
        assert_eq!(wait(0), seconds(longest) / 2, "{failures}");
    }
    assert_ne!(draw(), draw());
}
