use super::*;
use crate::config::value::read;

#[test]
fn reads_durations() {
    for (text, milliseconds) in [
        ("0s", Some(0)),
        ("250ms", Some(250)),
        ("30s", Some(30_000)),
        ("1.5s", Some(1_500)),
        ("15m", Some(900_000)),
        ("1m 30s", Some(90_000)),
        ("1h", Some(HOUR)),
        ("30d", Some(30 * DAY)),
        ("", None),
        ("0", None),
        ("15", None),
        ("-1s", None),
        ("15 parsecs", None),
        ("m15", None),
        ("99999999999999999999s", None),
        // A sum that ends in a panic inside humantime.
        ("18446744073709551615s1000ms", None),
    ] {
        assert_eq!(duration(text), milliseconds.map(Duration::from_millis), "{text:?}");
    }
}

#[test]
fn reads_sizes() {
    for (text, want) in [
        ("0B", Some(0)),
        ("100B", Some(100)),
        ("32KiB", Some(32 * KIB)),
        ("512 MiB", Some(512 * MIB)),
        ("1GiB", Some(GIB)),
        ("2TiB", Some(2 * TIB)),
        ("1KB", Some(1_000)),
        ("1kB", Some(1_000)),
        ("5MB", Some(5_000_000)),
        ("1GB", Some(1_000_000_000)),
        ("18446744073709551615B", Some(u64::MAX)),
        ("18446744073709551616B", None),
        ("16777216TiB", None),
        ("", None),
        ("MiB", None),
        ("512", None),
        ("-1B", None),
        ("+1B", None),
        ("1.5GiB", None),
        ("1mib", None),
        ("1 Mi B", None),
    ] {
        assert_eq!(bytes(text), want, "{text:?}");
    }
}

#[test]
fn prints_sizes_so_that_they_read_the_same() {
    for (bytes_, text) in [
        (0, "0B"),
        (1, "1B"),
        (1023, "1023B"),
        (KIB, "1KiB"),
        (1_000, "1KB"),
        (1_536 * MIB, "1536MiB"),
        (TIB, "1TiB"),
    ] {
        assert_eq!(size_text(bytes_), text);
        assert_eq!(bytes(text), Some(bytes_));
    }
}

#[test]
fn keeps_within_the_bounds_of_the_type() {
    type Bounded = Time<MILLISECOND, MINUTE>;
    for (text, fine) in
        [("1ms", true), ("60s", true), ("999us", false), ("61s", false), ("0s", false)]
    {
        assert_eq!(Bounded::from_text(text).is_ok(), fine, "{text}");
    }
    for (text, fine) in [("1KiB", true), ("1MiB", true), ("1B", false), ("2MiB", false)] {
        assert_eq!(Size::<KIB, MIB>::from_text(text).is_ok(), fine, "{text}");
    }
}

#[test]
fn says_what_was_found_and_what_was_expected() {
    let problems = read::<Timeout>("\"15 parsecs\"").unwrap_err();
    assert_eq!(problems, [r#"found "15 parsecs", expected a duration from "1ms" to "1h""#]);
    let problems = read::<Size<KIB, GIB>>("\"7\"").unwrap_err();
    assert_eq!(problems, [r#"found "7", expected a size from "1KiB" to "1GiB""#]);
    let problems = read::<Size<KIB, GIB>>("7").unwrap_err();
    assert_eq!(problems, [r#"found an integer, expected a size from "1KiB" to "1GiB""#]);
}
