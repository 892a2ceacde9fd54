//! When to fetch again.

use std::time::Duration;

use http::{HeaderMap, header::AGE};

use crate::{
    backoff::{backoff, part},
    cache_control::{directives, seconds},
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
    let lifetimes = directives(headers).filter_map(|directive| {
        if directive.is("max-age") {
            Some(directive.seconds().unwrap_or(0))
        } else {
            (directive.is("no-cache") || directive.is("no-store")).then_some(0)
        }
    });
    let Some(life) = lifetimes.min() else {
        return DEFAULT;
    };
    let age = headers.get(AGE).map_or(0, |age| seconds(age.as_bytes()));
    Duration::from_secs(life.saturating_sub(age)).clamp(MIN, MAX)
}

/// When to refresh what is fresh for so long: 5 to 15 percent early, so that replicas do not ask
/// all at once, and so that there is time for another fetch before even the longest lifetime is over.
/// `draw` is evenly spread over all of `u64`.
pub(super) fn refresh_after(fresh_for: Duration, draw: u64) -> Duration {
    fresh_for.mul_f64(0.95 - 0.1 * part(draw))
}

/// When to try again after so many failures in a row.
pub(super) fn retry_after(failures: u32, draw: u64) -> Duration {
    backoff(failures, FIRST_RETRY, LAST_RETRY, draw)
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, header::CACHE_CONTROL};

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
    }
}
