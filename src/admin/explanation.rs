//! `POST /explain`: why a vehicle is served as it is.

use std::time::SystemTime;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    cache_purge::{Accounts, partition},
    json_body::{self, bad, some},
    responses::Error,
};
use crate::{
    loader,
    vehicle::{Plate, Vehicle, Vin},
    vehicle_cache::{
        Cause, FailedCall, Held, LastDrop, Life, Moment, Partition, Source, VehicleCache,
    },
};

/// The body of a request.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    vin: String,
    plate: String,
    #[serde(default, deserialize_with = "some")]
    account: Option<String>,
}

/// What the body of a request asks about: a vehicle, and in which partitions, with their names.
pub(super) fn read(
    body: &[u8],
    accounts: &Accounts,
) -> Result<(Vehicle, Vec<(String, Partition)>), Error> {
    let Members { vin, plate, account } = json_body::parse(body)?;
    let vin = Vin::parse(&vin).map_err(|invalid| bad(format_args!("vin {invalid}")))?;
    let plate = Plate::parse(&plate).map_err(|invalid| bad(format_args!("plate {invalid}")))?;
    let mut asked: Vec<_> = match account {
        Some(name) => vec![(name.clone(), partition(accounts, &name)?)],
        None => accounts
            .iter()
            .map(|(name, partition)| (name.clone(), *partition))
            .collect(),
    };
    asked.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok((Vehicle { vin, plate }, asked))
}

/// What is known of `vehicle` in each of these partitions.
pub(super) fn explain(
    cache: &VehicleCache<loader::Failure>,
    vehicle: Vehicle,
    partitions: &[(String, Partition)],
    now: Moment,
) -> Value {
    let accounts = partitions.iter().map(|(name, partition)| {
        let life = cache.life_of(*partition, vehicle, now);
        let mut account = of_life(&life, now.wall);
        account["account"] = name.as_str().into();
        account
    });
    json!({ "now": rfc3339(now.wall), "accounts": accounts.collect::<Vec<_>>() })
}

fn of_life(Life { held, dropped, failed }: &Life, now: SystemTime) -> Value {
    let held_off_until = dropped
        .as_ref()
        .and_then(|drop| drop.held_off_until)
        .filter(|until| *until > now);
    let mut said = json!({
        "held": held.is_some(),
        "held_off_until": held_off_until.map(rfc3339),
        "last_invalidation": dropped.as_ref().map(|drop| json!({
            "cause": drop.cause.as_str(),
            "at": rfc3339(drop.at),
            "request_id": drop.request.as_deref(),
        })),
        "words": words(*held, dropped.as_ref(), now) + &failure(*held, *failed),
    });
    if let Some(failed) = failed {
        said["last_call"] = json!({ "outcome": failed.outcome, "at": rfc3339(failed.at) });
    }
    if let Some(held) = held {
        said["class"] = held.class.as_str().into();
        said["stored_at"] = rfc3339(held.stored_at).into();
        said["fresh_until"] = rfc3339(held.fresh_until).into();
        said["stale_until"] = rfc3339(held.stale_until).into();
        said["stale_if_error_until"] = rfc3339(held.stale_if_error_until).into();
        said["from"] = held.source.as_str().into();
        // Whoever called, only a 200 fills an entry.
        if failed.is_none_or(|failed| failed.at <= held.stored_at) {
            said["last_call"] = json!({ "outcome": "2xx", "at": rfc3339(held.stored_at) });
        }
    }
    said
}

/// The same for people.
fn words(held: Option<Held>, dropped: Option<&LastDrop>, now: SystemTime) -> String {
    let held = match held {
        None => "not held: the next request asks Sync".to_owned(),
        Some(held) => {
            let (class, since) = (held.class.as_str(), clock(held.stored_at));
            let until = match held {
                _ if held.fresh_until > now => {
                    format!("fresh until {} ({})", clock(held.fresh_until), lifetime(&held))
                }
                _ if held.stale_until > now => {
                    let until = clock(held.stale_until);
                    format!("stale, served until {until} while it is refreshed")
                }
                _ => format!(
                    "stale, served until {} if Sync fails",
                    clock(held.stale_if_error_until)
                ),
            };
            let from = match held.source {
                Source::Call => "",
                Source::Shared => ", from another replica",
                Source::Snapshot => ", from before the restart",
            };
            format!("held since {since} ({class}{from}), {until}")
        }
    };
    let Some(drop) = dropped else {
        return format!("{held}; no drop is remembered");
    };
    let until = drop.held_off_until.filter(|until| *until > now);
    let held_off = until.map(|until| {
        format!(
            ", nothing is stored until {}, because it is unknown what the write did",
            clock(until)
        )
    });
    let (at, by) = (clock(drop.at), cause(drop.cause));
    let request = drop.request.as_ref();
    let request = request.map(|id| format!(" (request {id})"));
    let [request, held_off] = [request, held_off].map(Option::unwrap_or_default);
    format!("{held}; last dropped at {at} by {by}{request}{held_off}")
}

/// That the last call has failed, if it has.
fn failure(held: Option<Held>, failed: Option<FailedCall>) -> String {
    let is_last = |failed: &FailedCall| held.is_none_or(|held| failed.at > held.stored_at);
    let failed = failed.filter(is_last);
    let words = |FailedCall { outcome, at }| {
        format!("; the last call, at {}, failed: {outcome}", clock(at))
    };
    failed.map(words).unwrap_or_default()
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
            let seconds = std::time::Duration::from_secs(fresh_for.as_secs());
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
    }
}

fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

/// The time of day, UTC.
fn clock(time: SystemTime) -> String {
    let text = humantime::format_rfc3339_seconds(time).to_string();
    text.get(11..19)
        .map(|clock| format!("{clock} UTC"))
        .unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::vehicle_cache::Class;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn says_of_the_last_call_that_it_failed() {
        let failed = Some(FailedCall { outcome: "timeout", at: at(60) });
        let said = failure(None, failed);
        assert_eq!(said, "; the last call, at 00:01:00 UTC, failed: timeout");
        let life = Life { held: None, dropped: None, failed };
        let shown = of_life(&life, at(61));
        assert_eq!(shown["last_call"]["outcome"], "timeout");
        assert!(shown["words"].as_str().unwrap().ends_with(&said));
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
            let held = Held {
                class: Class::Finished,
                source: Source::Call,
                stored_at: at(100),
                ttl: Duration::from_secs(900),
                fresh_until: at(until),
                stale_until: at(until),
                stale_if_error_until: at(until),
            };
            assert_eq!(lifetime(&held), said, "{until}");
        }
    }

    #[test]
    fn says_it_in_words() {
        let held = Held {
            class: Class::Finished,
            source: Source::Call,
            stored_at: at(100),
            ttl: Duration::from_secs(900),
            fresh_until: at(1000),
            stale_until: at(1300),
            stale_if_error_until: at(4600),
        };
        let drop = |request: Option<&str>, held_off_until| LastDrop {
            cause: Cause::VehicleStatus,
            request: request.map(Into::into),
            at: at(90),
            held_off_until,
        };
        for (held, dropped, now, expected) in [
            (None, None, 0, "not held: the next request asks Sync; no drop is remembered"),
            (
                Some(held),
                Some(drop(Some("a-1"), None)),
                999,
                "held since 00:01:40 UTC (finished), fresh until 00:16:40 UTC (15m); last dropped \
                 at 00:01:30 UTC by PATCH of a status (request a-1)",
            ),
            (
                Some(held),
                None,
                1000,
                "held since 00:01:40 UTC (finished), stale, served until 00:21:40 UTC while it is \
                 refreshed; no drop is remembered",
            ),
            (
                Some(Held { source: Source::Shared, ..held }),
                None,
                999,
                "held since 00:01:40 UTC (finished, from another replica), fresh until 00:16:40 \
                 UTC (15m); no drop is remembered",
            ),
            (
                Some(held),
                None,
                1300,
                "held since 00:01:40 UTC (finished), stale, served until 01:16:40 UTC if Sync \
                 fails; no drop is remembered",
            ),
            (
                None,
                Some(drop(None, Some(at(110)))),
                100,
                "not held: the next request asks Sync; last dropped at 00:01:30 UTC by PATCH of a \
                 status, nothing is stored until 00:01:50 UTC, because it is unknown what the write \
                 did",
            ),
        ] {
            assert_eq!(words(held, dropped.as_ref(), at(now)), expected);
        }
    }
}
