//! A whole fleet, as people type it, asked for in requests of every size.

use std::collections::{HashMap, HashSet};

use futures_util::{StreamExt as _, stream};
use tokio::time::Instant;
use vingate::vehicle::Vehicle;

use crate::support::{ALL, Dice, Gateway, Typed, fleet};

/// Requests under way at once: what one client may have, and no test of the limits.
const AT_ONCE: usize = 8;

/// The elements that the upstream has of a fleet.
struct Elements(HashMap<Vehicle, String>);

impl Elements {
    fn of(gateway: &Gateway, fleet: &[Typed]) -> Self {
        let fields = http::HeaderMap::from_iter([(
            http::header::AUTHORIZATION,
            http::HeaderValue::from_static(ALL),
        )]);
        let element = |typed: &Typed| {
            Some((typed.vehicle, gateway.sandbox.element(&typed.vehicle, &fields)?))
        };
        Self(fleet.iter().filter_map(element).collect())
    }

    /// The answer that has each of these once, in order of first mention.
    fn response(&self, asked: &[Typed]) -> String {
        let mut seen = HashSet::new();
        let elements: Vec<_> = asked
            .iter()
            .filter(|typed| seen.insert(typed.vehicle))
            .filter_map(|typed| self.0.get(&typed.vehicle).map(String::as_str))
            .collect();
        format!(r#"{{"vehicleData":[{}]}}"#, elements.join(","))
    }
}

/// Asks for all of `fleet`, `size` at a time.
async fn ask(gateway: &Gateway, elements: &Elements, fleet: &[Typed], size: usize) {
    stream::iter(fleet.chunks(size))
        .for_each_concurrent(AT_ONCE, async |part| {
            let typed: Vec<_> = part.iter().map(Typed::as_typed).collect();
            let response = gateway.batch(&typed).await.expect(200);
            // Not `assert_eq`: nobody wants to read two answers of five megabytes.
            assert!(response.body == elements.response(part), "{} of {size}", part.len());
        })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn asks_for_every_vehicle_once_in_the_fewest_calls_whatever_the_grouping() {
    let whole = fleet(12_000);
    // On a slow machine this takes longer than pending results live by default.
    let gateway =
        Gateway::start("[cache.ttl]\npending = \"1h\"\nfailed = \"1h\"\nabsent = \"1h\"").await;
    let elements = Elements::of(&gateway, &whole);
    let mut dice = Dice::new(1);
    for (size, then) in [(1, 5000), (37, 1), (500, 37), (501, 1234), (1234, 500), (5000, 501)] {
        // One at a time takes long; a part shows it as well, unless somebody wants to see all.
        let is_slow = size == 1 || then == 1;
        let fleet = match is_slow && std::env::var_os("VINGATE_FLEET").is_none() {
            true => &whole[..2000],
            false => &whole[..],
        };
        gateway.purge().await;
        gateway.sandbox.clear();
        let began_at = Instant::now();
        ask(&gateway, &elements, fleet, size).await;

        let asked = gateway.sandbox.counters();
        let fewest: usize = fleet
            .chunks(size)
            .map(|part| part.len().div_ceil(500))
            .sum();
        // Requests that come at once may share calls, so there may be fewer still.
        let full = fleet.len().div_ceil(500) as u64;
        assert!((full..=fewest as u64).contains(&asked.batches), "{size} at a time");
        assert_eq!(asked.distinct, fleet.len() as u64);
        assert_eq!(asked.most_requested, 1);
        assert_eq!(asked.rejected, 0, "a vehicle that is not clean is refused");
        assert!(asked.largest <= 500);

        // In another order, grouped otherwise and typed by somebody else.
        let mut again = Vec::with_capacity(fleet.len());
        for typed in fleet.iter().rev() {
            again.push(dice.typed(typed.vehicle));
        }
        ask(&gateway, &elements, &again, then).await;
        assert_eq!(gateway.sandbox.counters().batches, asked.batches, "{size}, then {then}");
        println!(
            "{size} at a time, then {then}: {} calls, {:?}",
            asked.batches,
            began_at.elapsed()
        );
    }
}

#[tokio::test]
async fn answers_a_vehicle_once_where_it_is_first_mentioned() {
    let gateway = Gateway::start("").await;
    let mut dice = Dice::new(2);
    let mut asked = fleet(700);
    asked.truncate(700);
    for nth in 0..300 {
        let again = asked[dice.throw(nth + 1)].vehicle;
        let typed = dice.typed(again);
        asked.insert(dice.throw(asked.len()), typed);
    }
    let elements = Elements::of(&gateway, &asked);
    ask(&gateway, &elements, &asked, asked.len()).await;
    let counters = gateway.sandbox.counters();
    assert_eq!((counters.batches, counters.vehicles), (2, 700));
    assert_eq!(counters.largest, 350, "the calls are balanced");
}

#[tokio::test]
async fn answers_twelve_thousand_vehicles_in_one_request_if_it_may() {
    let fleet = fleet(12_000);
    let gateway = Gateway::start("[batch]\nmax_vehicles = 20000").await;
    let elements = Elements::of(&gateway, &fleet);
    for _ in 0..2 {
        ask(&gateway, &elements, &fleet, fleet.len()).await;
        assert_eq!(gateway.sandbox.counters().batches, 24);
    }
    assert!(gateway.sandbox.counters().peak <= 4, "four calls at once for one request");
}
