//! What is known of a vehicle, in words for people.

use std::time::{Duration, SystemTime};

use crate::vehicle_cache::{Cause, FailedCall, Held, LastDrop, Life, Source};

/// Sync is not called for a while.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pause {
    pub(super) until: SystemTime,
    /// Why, after "because".
    pub(super) why: &'static str,
}

/// A sentence without its full stop.
pub(super) fn of(life: &Life, pause: Option<Pause>, now: SystemTime) -> String {
    let Life { held: entry, dropped, held_off_until, is_shared, doubt, .. } = life;
    let unheard = doubt.map(|max| {
        let max = humantime::format_duration(max);
        format!("writes of other replicas are not heard: nothing older than {max} is served without a call")
    });
    let pause = pause.map(|Pause { until, why }| {
        format!("Sync is not called before {}, because {why}", clock(until, now))
    });
    let held_off = held_off_until.map(|until| {
        let until = clock(until, now);
        format!("nothing is stored until {until}, because it is unknown what a write did")
    });
    let clauses = [
        Some(match entry {
            Some(entry) => held(entry, doubt.is_some(), now),
            None => not_held(*is_shared).to_owned(),
        }),
        unheard,
        pause,
        Some(last_drop(dropped.as_ref(), now)),
        held_off,
        last_call(life, now),
    ];
    clauses.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn not_held(is_shared: bool) -> &'static str {
    match is_shared {
        false => "not held: the next request needs it from Sync",
        true => "not held: the next request needs it from the shared tier or from Sync",
    }
}

fn held(held: &Held, in_doubt: bool, now: SystemTime) -> String {
    let (class, since) = (held.class.as_str(), clock(held.stored_at, now));
    let until = match held {
        _ if held.fresh_until > now && in_doubt => {
            format!("fresh until {}", clock(held.fresh_until, now))
        }
        _ if held.fresh_until > now => {
            format!("fresh until {} ({})", clock(held.fresh_until, now), lifetime(held))
        }
        _ if held.stale_until > now => {
            let until = clock(held.stale_until, now);
            format!("stale, served until {until} while it is refreshed")
        }
        _ => format!("stale, served until {} if Sync fails", clock(held.stale_if_error_until, now)),
    };
    let from = match held.source {
        Source::Call => "",
        Source::Shared => ", from another replica",
        Source::Snapshot => ", from before the restart",
    };
    format!("held since {since} ({class}{from}), {until}")
}

fn last_drop(dropped: Option<&LastDrop>, now: SystemTime) -> String {
    let Some(drop) = dropped else {
        return "no drop is remembered".to_owned();
    };
    let (at, by) = (clock(drop.at, now), cause(drop.cause));
    let request = drop.request.as_ref();
    let request = request.map(|id| format!(" (request {id})"));
    format!("last dropped at {at} by {by}{}", request.unwrap_or_default())
}

/// How the last call ended, unless that is what is held.
fn last_call(life: &Life, now: SystemTime) -> Option<String> {
    if let Some(FailedCall { outcome, at }) = life.last_failure() {
        return Some(format!("the last call, at {}, failed: {outcome}", clock(at, now)));
    }
    let at = life.fetched_at.filter(|_| life.held.is_none())?;
    Some(format!("the last call, at {}, brought results", clock(at, now)))
}

/// How long it is fresh, and how far its jitter makes that differ from what is configured.
fn lifetime(held: &Held) -> String {
    let fresh_for = held.fresh_until.duration_since(held.stored_at);
    let fresh_for = fresh_for.unwrap_or_default();
    let ratio = fresh_for.as_secs_f64() / held.ttl.as_secs_f64().max(1e-9);
    let percent = ((ratio - 1.0) * 100.0).round();
    let ttl = humantime::format_duration(held.ttl);
    match percent {
        0.0 => ttl.to_string(),
        1.0..100.0 => format!("{ttl} + {percent} %"),
        -100.0..0.0 => format!("{ttl} − {} %", -percent),
        // It was configured in another way when it was stored.
        _ => {
            let seconds = Duration::from_secs(fresh_for.as_secs());
            humantime::format_duration(seconds).to_string()
        }
    }
}

fn cause(cause: Cause) -> &'static str {
    match cause {
        Cause::VehicleStatus => "PATCH of a status",
        Cause::VehicleUpsert => "PUT of a vehicle",
        Cause::TaxIdentity => "PUT of a tax identity",
        Cause::OtherWrite => "another write",
        Cause::Unauthorized => "Sync, which refused the credential",
        Cause::Purge => "a purge",
        Cause::Replica => "another replica",
        Cause::Lost => "the gateway, because it may have missed writes of other replicas",
    }
}

/// The time of day, UTC, and which day unless it is the one of `now`.
fn clock(time: SystemTime, now: SystemTime) -> String {
    let [time, now] = [time, now].map(|time| humantime::format_rfc3339_seconds(time).to_string());
    let (Some((day, clock)), Some((today, _))) = (time.split_once('T'), now.split_once('T')) else {
        return time;
    };
    let clock = clock.trim_end_matches('Z');
    if day == today { format!("{clock} UTC") } else { format!("{clock} UTC on {day}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vehicle_cache::Class;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    /// For a quarter of an hour.
    fn entry() -> Held {
        Held {
            class: Class::Finished,
            source: Source::Call,
            stored_at: at(100),
            ttl: Duration::from_secs(900),
            fresh_until: at(1000),
            stale_until: at(1300),
            stale_if_error_until: at(4600),
        }
    }

    fn held(entry: Held) -> Life {
        Life { held: Some(entry), ..Life::default() }
    }

    #[test]
    fn says_how_far_jitter_changes_a_lifetime() {
        for (until, said) in [
            (1000, "15m"),
            (973, "15m − 3 %"),
            (1090, "15m + 10 %"),
            (101, "15m − 100 %"),
            (1801, "15m + 89 %"),
            (3700, "1h"),
        ] {
            let held = Held { fresh_until: at(until), ..entry() };
            assert_eq!(lifetime(&held), said, "{until}");
        }
    }

    #[test]
    fn says_until_when_what_is_held_is_served() {
        for (life, now, expected) in [
            (held(entry()), 999, "(finished), fresh until 00:16:40 UTC (15m)"),
            (
                held(entry()),
                1000,
                "(finished), stale, served until 00:21:40 UTC while it is refreshed",
            ),
            (
                held(Held { source: Source::Shared, ..entry() }),
                999,
                "(finished, from another replica), fresh until 00:16:40 UTC (15m)",
            ),
            (held(entry()), 1300, "(finished), stale, served until 01:16:40 UTC if Sync fails"),
            (
                Life {
                    is_shared: true,
                    doubt: Some(Duration::from_secs(30)),
                    ..held(Held { fresh_until: at(130), stale_until: at(130), ..entry() })
                },
                129,
                "(finished), fresh until 00:02:10 UTC; writes of other replicas are not heard: \
                 nothing older than 30s is served without a call",
            ),
        ] {
            let expected = format!("held since 00:01:40 UTC {expected}; no drop is remembered");
            assert_eq!(of(&life, None, at(now)), expected);
        }
    }

    #[test]
    fn says_what_stands_in_the_way_of_what_is_not_held() {
        let life = Life { is_shared: true, ..Life::default() };
        let expected = "not held: the next request needs it from the shared tier or from Sync; no \
                        drop is remembered";
        assert_eq!(of(&life, None, at(0)), expected);
        let pause = Pause { until: at(90), why: "it asked for that" };
        let expected = "not held: the next request needs it from Sync; Sync is not called before \
                        00:01:30 UTC, because it asked for that; no drop is remembered";
        assert_eq!(of(&Life::default(), Some(pause), at(80)), expected);
    }

    #[test]
    fn says_which_day_it_was_if_not_today() {
        let life = Life {
            dropped: Some(LastDrop { cause: Cause::Purge, request: None, at: at(90) }),
            ..Life::default()
        };
        let said = of(&life, None, at(86_400));
        assert!(said.ends_with("last dropped at 00:01:30 UTC on 1970-01-01 by a purge"), "{said}");
    }

    #[test]
    fn says_what_dropped_it() {
        let drop = |request: Option<&str>| {
            let request = request.map(Into::into);
            Some(LastDrop { cause: Cause::VehicleStatus, request, at: at(90) })
        };
        let held_off_until = Some(at(110));
        for (life, now, expected) in [
            (
                Life { dropped: drop(Some("a-1")), ..held(entry()) },
                999,
                "held since 00:01:40 UTC (finished), fresh until 00:16:40 UTC (15m); last dropped \
                 at 00:01:30 UTC by PATCH of a status (request a-1)",
            ),
            (
                Life { dropped: drop(None), held_off_until, ..Life::default() },
                100,
                "not held: the next request needs it from Sync; last dropped at 00:01:30 UTC by \
                 PATCH of a status; nothing is stored until 00:01:50 UTC, because it is unknown \
                 what a write did",
            ),
        ] {
            assert_eq!(of(&life, None, at(now)), expected);
        }
    }
}
