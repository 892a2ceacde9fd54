//! When to fetch again.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use http::{
    HeaderMap,
    header::{AGE, CACHE_CONTROL},
};

/// The least time between two fetches of a set that is fresh: key servers throttle who asks more
/// often.
pub(super) const MIN: Duration = Duration::from_secs(60);

/// For a set of which nothing is said.
pub(super) const DEFAULT: Duration = Duration::from_secs(5 * 60);

/// A key that was withdrawn works no longer than this.
pub(super) const MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The first retry comes after this, every further one after twice the time before it.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// The longest time between two retries.
const LAST_RETRY: Duration = Duration::from_secs(30);

/// How long a set is fresh that came with these fields (RFC 9111 section 4.2.1): `max-age` less
/// `Age`, within bounds.
///
/// What cannot be read counts as 0, and so do `no-cache` and `no-store`.
pub(super) fn fresh_for(headers: &HeaderMap) -> Duration {
    let directives = headers
        .get_all(CACHE_CONTROL)
        .into_iter()
        .flat_map(|field| field.as_bytes().split(|&byte| byte == b','));
    let lifetimes = directives.filter_map(|directive| {
        let mut parts = directive.splitn(2, |&byte| byte == b'=');
        let name = parts.next()?.trim_ascii();
        let is = |known: &str| name.eq_ignore_ascii_case(known.as_bytes());
        if is("max-age") {
            Some(seconds(parts.next().unwrap_or_default()))
        } else if is("no-cache") || is("no-store") {
            Some(0)
        } else {
            None
        }
    });
    let Some(life) = lifetimes.min() else {
        return DEFAULT;
    };
    let age = headers.get(AGE).map_or(0, |age| seconds(age.as_bytes()));
    Duration::from_secs(life.saturating_sub(age)).clamp(MIN, MAX)
}

/// When to refresh what is fresh for so long: 5 to 15 percent early, so that replicas do not ask
/// all at once, and so that there is time for another try before even the longest life is over.
/// `draw` is evenly spread over all of `u64`.
pub(super) fn refresh_after(fresh_for: Duration, draw: u64) -> Duration {
    fresh_for.mul_f64(0.95 - 0.1 * part(draw))
}

/// When to try again after so many failures in a row: half of it fixed, half of it drawn.
pub(super) fn retry_after(failures: u32, draw: u64) -> Duration {
    let doubled = 1_u32
        .checked_shl(failures.saturating_sub(1))
        .unwrap_or(u32::MAX);
    let whole = FIRST_RETRY.saturating_mul(doubled).min(LAST_RETRY);
    whole.mul_f64(0.5 + 0.5 * part(draw))
}

/// A random number: the keys of a `RandomState` are random, and so is a hash under them.
pub(super) fn draw() -> u64 {
    RandomState::new().hash_one(())
}

fn part(draw: u64) -> f64 {
    draw as f64 / u64::MAX as f64
}

/// Seconds as RFC 9111 section 1.2.2 writes them, perhaps in quotes.
fn seconds(text: &[u8]) -> u64 {
    let text = text.trim_ascii();
    let quoted = text
        .strip_prefix(b"\"")
        .and_then(|text| text.strip_suffix(b"\""));
    let digits = quoted.unwrap_or(text);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return 0;
    }
    // Digits that are no number are too many of them.
    str::from_utf8(digits)
        .ok()
        .and_then(|digits| digits.parse().ok())
        .unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn reads_cache_control_within_bounds() {
        for (fields, age, expected) in [
            (&[][..], None, 300),
            (&["public"], None, 300),
            (&["max-age=600"], None, 600),
            (&["public, Max-Age = 600 , must-revalidate"], None, 600),
            (&["max-age=\"600\""], None, 600),
            (&["max-age=600"], Some("100"), 500),
            (&["max-age=600"], Some("900"), 60),
            (&["max-age=600"], Some("x"), 600),
            (&["max-age=60"], None, 60),
            (&["max-age=59"], None, 60),
            (&["max-age=0"], None, 60),
            (&["max-age"], None, 60),
            (&["max-age=-1"], None, 60),
            (&["max-age=+600"], None, 60),
            (&["max-age=6e2"], None, 60),
            (&["max-age=86400"], None, 86_400),
            (&["max-age=86401"], None, 86_400),
            (&["max-age=99999999999999999999999"], None, 86_400),
            (&["no-store"], None, 60),
            (&["no-cache, max-age=600"], None, 60),
            (&["max-age=600, max-age=700"], None, 600),
            (&["max-age=600", "max-age=500"], None, 500),
            (&["s-maxage=900"], None, 300),
            (&["x-max-age=900"], None, 300),
            (&[",,=,"], None, 300),
            (&["ÿ, max-age=600"], None, 600),
        ] {
            let mut headers = HeaderMap::new();
            for field in fields {
                headers.append(CACHE_CONTROL, HeaderValue::from_bytes(field.as_bytes()).unwrap());
            }
            if let Some(age) = age {
                headers.insert(AGE, HeaderValue::from_static(age));
            }
            assert_eq!(fresh_for(&headers).as_secs(), expected, "{fields:?} {age:?}");
        }
    }

    #[test]
    fn refreshes_early_and_not_all_at_once() {
        let close = |found: Duration, seconds: f64| (found.as_secs_f64() - seconds).abs() < 0.001;
        assert!(close(refresh_after(Duration::from_secs(100), 0), 95.0));
        assert!(close(refresh_after(Duration::from_secs(100), u64::MAX), 85.0));
        assert_ne!(draw(), draw());
    }

    #[test]
    fn retries_ever_less_often_up_to_a_bound() {
        for (failures, longest) in [(0, 1), (1, 1), (2, 2), (3, 4), (5, 16), (6, 30), (99, 30)] {
            let longest = Duration::from_secs(longest);
            assert_eq!(retry_after(failures, u64::MAX), longest, "{failures}");
            assert_eq!(retry_after(failures, 0), longest / 2, "{failures}");
        }
    }
}
