//! `POST /explain`: why a vehicle is served as it is.

use std::time::SystemTime;

use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    cache_purge::{self, Accounts},
    json_body::{self, bad, some},
    responses::Error,
    words::{self, Pause},
};
use crate::{
    loader,
    upstream::{self, Account, Upstream},
    vehicle::{Plate, Vehicle, Vin},
    vehicle_cache::{Life, Moment, Partition, VehicleCache},
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

/// What the body of a request asks about: a vehicle, and for which accounts.
pub(super) fn read(
    body: &[u8],
    accounts: &Accounts,
) -> Result<(Vehicle, Vec<(String, Account)>), Error> {
    let Members { vin, plate, account } = json_body::parse(body)?;
    let vin = Vin::parse(&vin).map_err(|invalid| bad(format_args!("vin {invalid}")))?;
    let plate = Plate::parse(&plate).map_err(|invalid| bad(format_args!("plate {invalid}")))?;
    let mut asked: Vec<_> = match account {
        Some(name) => vec![(name.clone(), cache_purge::account(accounts, &name)?)],
        None => accounts
            .iter()
            .map(|(name, account)| (name.clone(), *account))
            .collect(),
    };
    asked.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok((Vehicle { vin, plate }, asked))
}

/// What is known of `vehicle` for each of these accounts.
pub(super) fn explain(
    cache: &VehicleCache<loader::Failure>,
    upstream: &Upstream,
    vehicle: Vehicle,
    accounts: &[(String, Account)],
    now: Moment,
) -> Value {
    let accounts = accounts.iter().map(|(name, account)| {
        let life = cache.life_of(Partition::new(&account.0), vehicle, now);
        let mut said = of_life(&life, pause(upstream, *account, now.wall), now.wall);
        said["account"] = name.as_str().into();
        said
    });
    json!({ "now": rfc3339(now.wall), "accounts": accounts.collect::<Vec<_>>() })
}

fn pause(upstream: &Upstream, account: Account, now: SystemTime) -> Option<Pause> {
    let (rest, why) = match upstream.check(Some(account)).err()? {
        upstream::Error::RetryAfter { rest } => (rest, "it asked for that"),
        upstream::Error::Open { rest } => (rest, "too many calls have failed"),
        _ => return None,
    };
    Some(Pause { until: now.checked_add(rest)?, why })
}

fn of_life(life: &Life, pause: Option<Pause>, now: SystemTime) -> Value {
    let Life { held, dropped, held_off_until, fetched_at, .. } = life;
    let mut said = json!({
        "held": held.is_some(),
        "held_off_until": held_off_until.map(rfc3339),
        "not_called_until": pause.map(|pause| rfc3339(pause.until)),
        "last_invalidation": dropped.as_ref().map(|drop| json!({
            "cause": drop.cause.as_str(),
            "at": rfc3339(drop.at),
            "request_id": drop.request.as_deref(),
        })),
        "words": words::of(life, pause, now),
    });
    let failed = life.last_failure().map(|call| (call.outcome, call.at));
    if let Some((outcome, at)) = failed.or(fetched_at.map(|at| ("2xx", at))) {
        said["last_call"] = json!({ "outcome": outcome, "at": rfc3339(at) });
    }
    if let Some(held) = held {
        said["class"] = held.class.as_str().into();
        said["stored_at"] = rfc3339(held.stored_at).into();
        said["fresh_until"] = rfc3339(held.fresh_until).into();
        said["stale_until"] = rfc3339(held.stale_until).into();
        said["stale_if_error_until"] = rfc3339(held.stale_if_error_until).into();
        said["from"] = held.source.as_str().into();
    }
    said
}

fn rfc3339(time: SystemTime) -> String {
    humantime::format_rfc3339_millis(time).to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::vehicle_cache::{Cause, Class, FailedCall, Held, LastDrop, Source};

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn the_documents_explain_every_member() {
        let held = Held {
            class: Class::Finished,
            source: Source::Call,
            stored_at: at(0),
            ttl: Duration::ZERO,
            fresh_until: at(0),
            stale_until: at(0),
            stale_if_error_until: at(0),
        };
        let dropped = Some(LastDrop { cause: Cause::Purge, request: None, at: at(0) });
        let life = Life { held: Some(held), dropped, fetched_at: Some(at(0)), ..Life::default() };
        let mut shown = of_life(&life, None, at(0));
        let inner = ["last_call", "last_invalidation"].map(|name| shown[name].clone());
        shown["account"] = "fleet".into();
        let document = include_str!("../../deploy/commands.md");
        for said in [shown].iter().chain(&inner) {
            for (name, _) in said.as_object().unwrap() {
                assert!(document.contains(&format!("`{name}`")), "{name}");
            }
        }
    }

    #[test]
    fn knows_the_last_call_for_what_is_not_held() {
        let failed = Some(FailedCall { outcome: "timeout", at: at(60) });
        for (failed, fetched, outcome) in
            [(None, 50, "2xx"), (failed, 50, "timeout"), (failed, 70, "2xx")]
        {
            let life = Life { failed, fetched_at: Some(at(fetched)), ..Life::default() };
            assert_eq!(of_life(&life, None, at(80))["last_call"]["outcome"], outcome, "{fetched}");
        }
        let life = Life { fetched_at: Some(at(70)), ..Life::default() };
        let shown = of_life(&life, None, at(80));
        assert_eq!(shown["last_call"]["at"], "1970-01-01T00:01:10.000Z");
        let said = shown["words"].as_str().unwrap();
        assert!(said.ends_with("; the last call, at 00:01:10 UTC, brought results"), "{said}");
    }

    #[test]
    fn says_of_the_last_call_that_it_failed() {
        let failed = Some(FailedCall { outcome: "timeout", at: at(60) });
        let life = Life { failed, ..Life::default() };
        let shown = of_life(&life, None, at(61));
        assert_eq!(shown["last_call"]["outcome"], "timeout");
        assert!(shown["not_called_until"].is_null());
        let pause = Pause { until: at(120), why: "it asked for that" };
        let shown = of_life(&life, Some(pause), at(61));
        assert_eq!(shown["not_called_until"], "1970-01-01T00:02:00.000Z");
        let said = shown["words"].as_str().unwrap();
        assert!(said.ends_with("; the last call, at 00:01:00 UTC, failed: timeout"), "{said}");
    }
}
