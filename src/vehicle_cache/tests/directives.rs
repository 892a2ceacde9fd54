//! What a request's `Cache-Control` says, and what is served for it.

use super::*;

#[test]
fn reads_cache_control() {
    let nothing = Directives::default();
    let seconds = |n| Some(Duration::from_secs(n));
    for (field, directives) in [
        ("", nothing.clone()),
        ("No-Store", Directives { no_store: true, ..nothing.clone() }),
        (
            "no-cache, only-if-cached",
            Directives { no_cache: true, only_if_cached: true, ..nothing.clone() },
        ),
        ("max-age=5", Directives { max_age: seconds(5), ..nothing.clone() }),
        ("max-age=\"5\"", Directives { max_age: seconds(5), ..nothing.clone() }),
        ("max-age=x", Directives { max_age: seconds(0), ..nothing.clone() }),
        ("max-age", Directives { max_age: seconds(0), ..nothing.clone() }),
        ("max-age=-1", Directives { max_age: seconds(0), ..nothing.clone() }),
        (
            "max-age=99999999999999999999",
            Directives { max_age: seconds(u64::from(u32::MAX)), ..nothing.clone() },
        ),
        ("max-age=9, max-age=5", Directives { max_age: seconds(5), ..nothing.clone() }),
        ("min-fresh = 7", Directives { min_fresh: seconds(7), ..nothing.clone() }),
        ("min-fresh=3, min-fresh=7", Directives { min_fresh: seconds(7), ..nothing.clone() }),
        ("max-stale", Directives { max_stale: Some(Duration::MAX), ..nothing.clone() }),
        ("max-stale=3", Directives { max_stale: seconds(3), ..nothing.clone() }),
        ("max-stale=x", Directives { max_stale: seconds(0), ..nothing.clone() }),
        ("foo=bar, private", nothing.clone()),
    ] {
        let mut fields = http::HeaderMap::new();
        fields.insert(http::header::CACHE_CONTROL, field.parse().unwrap());
        assert_eq!(Directives::of(&fields), directives, "{field:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn judges_every_vehicle_by_the_requests_directives() {
    let (cache, vehicles) = (cache(), [vehicle(1, 1)]);
    fill(&cache, vehicles[0], "x");
    // Seconds since the fill (fresh for 900, refreshed behind for 300 more), and what is served.
    for (at, directives, served) in [
        (0, "", true),
        (0, "max-age=0", true),
        (1, "max-age=0", false),
        (10, "max-age=10", true),
        (11, "max-age=10", false),
        (11, "max-age=x", false),
        (100, "min-fresh=800", true),
        (101, "min-fresh=800", false),
        (899, "", true),
        (900, "", true),
        (900, "max-age=1000", false),
        (900, "min-fresh=0", false),
        (900, "max-stale=1", true),
        (902, "max-stale=1", false),
        (1200, "", true),
        (1201, "", false),
        (1201, "max-stale", true),
        (1201, "max-stale=300", false),
        (1201, "max-stale=301", true),
        (9000, "max-stale", true),
        (9000, "max-stale, no-cache", false),
        (9000, "max-stale, max-age=1", false),
    ] {
        let now = Instant::now();
        let lookups = cache.lookup(
            Some(partition(0)),
            vehicles.into_iter(),
            &Directives { only_if_cached: true, ..directives_of(directives) },
            now + Duration::from_secs(at),
        );
        assert_eq!(
            !matches!(lookups.found[0], Lookup::NotCached),
            served,
            "{at} s, {directives:?}"
        );
        assert!(lookups.leases.is_empty(), "only-if-cached never goes up");
    }
}
