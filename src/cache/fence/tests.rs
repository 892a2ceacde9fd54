use std::time::Duration;

use super::*;
use crate::{cache::tests::key, vehicle::Vehicle};

const SECOND: Duration = Duration::from_secs(1);

fn fence(now: Instant) -> StoreFence {
    StoreFence::new(RandomState::default(), now)
}

fn vins(numbers: std::ops::Range<u32>) -> Vec<Vin> {
    let vin = |n| Vin::parse(&format!("1VWFE21C04M{n:06}")).unwrap();
    numbers.map(vin).collect()
}

/// A key of this VIN, with a plate and a partition that no write names.
fn key_of(vin: Vin) -> Key {
    let Key { partition, vehicle } = key(0, 1, 1);
    Key { partition, vehicle: Vehicle { vin, ..vehicle } }
}

fn flood() -> InvalidationScope {
    let plate = |n| Plate::parse(&format!("P{n}")).unwrap();
    InvalidationScope {
        plates: (0..MAX_SUBJECTS).map(plate).collect(),
        ..InvalidationScope::default()
    }
}

#[test]
fn a_hold_begins_at_once_and_is_over_within_a_second_of_its_end() {
    let began_at = Instant::now();
    for (since, lasts) in [(0, 20_000), (300, 20_000), (999, 1), (0, 1)] {
        let [since, lasts] = [since, lasts].map(Duration::from_millis);
        let (fence, key) = (fence(began_at), key(0, 1, 1));
        let scope =
            InvalidationScope { vins: vec![key.vehicle.vin], ..InvalidationScope::default() };
        let until = began_at + since + lasts;
        fence.add(&scope, began_at, until);
        assert!(fence.covers(&key, began_at + since));
        assert!(fence.covers(&key, until - Duration::from_millis(1)));
        assert!(!fence.covers(&key, until + SECOND));
    }
}

#[test]
fn a_later_write_never_shortens_a_hold() {
    let now = Instant::now();
    let (fence, key) = (fence(now), key(0, 1, 1));
    let scope = InvalidationScope { vins: vec![key.vehicle.vin], ..InvalidationScope::default() };
    fence.add(&scope, now, now + 20 * SECOND);
    fence.add(&scope, now, now + 5 * SECOND);
    assert!(fence.covers(&key, now + 19 * SECOND));
    assert!(!fence.covers(&key, now + 20 * SECOND));
}

#[test]
fn a_write_holds_off_what_it_names_and_nothing_else() {
    let now = Instant::now();
    for names in [1, 100, 10_000, 300_000] {
        let fence = fence(now);
        let held = InvalidationScope { vins: vins(0..names), ..InvalidationScope::default() };
        fence.add(&held, now, now + 20 * SECOND);
        let is_held_off = |&vin: &Vin| fence.covers(&key_of(vin), now);
        assert!(held.vins.iter().all(is_held_off), "{names}");
        assert!(!vins(900_000..910_000).iter().any(is_held_off), "{names}");
    }
}

#[test]
fn when_too_much_is_held_off_everything_is_until_what_found_no_room_is_over() {
    let now = Instant::now();
    let (fence, other) = (fence(now), key(0, 1, 1));
    fence.add(&flood(), now, now + 20 * SECOND);
    assert!(!fence.covers(&other, now), "all of these have room");
    // What has room already takes no more.
    fence.add(&flood(), now, now + 25 * SECOND);
    assert!(!fence.covers(&other, now));
    let one_more = InvalidationScope { vins: vins(0..1), ..InvalidationScope::default() };
    fence.add(&one_more, now, now + 30 * SECOND);
    assert!(fence.covers(&other, now + 29 * SECOND));
    assert!(!fence.covers(&other, now + 30 * SECOND));
}

#[test]
fn a_partition_finds_room_however_many_names_are_held_off() {
    let now = Instant::now();
    let (fence, held, other) = (fence(now), key(0, 1, 1), key(1, 1, 1));
    fence.add(&flood(), now, now + 20 * SECOND);
    let whole =
        InvalidationScope { partition: Some(held.partition), ..InvalidationScope::default() };
    fence.add(&whole, now, now + 20 * SECOND);
    assert!(fence.covers(&held, now));
    assert!(!fence.covers(&other, now));
}

#[test]
fn what_is_over_makes_room_and_gives_its_memory_back() {
    let now = Instant::now();
    let (fence, other) = (fence(now), key(0, 1, 1));
    fence.add(&flood(), now, now + 20 * SECOND);
    // Something is held off all the time.
    let few = InvalidationScope { vins: vins(0..100), ..InvalidationScope::default() };
    fence.add(&few, now + 19 * SECOND, now + 39 * SECOND);
    assert!(fence.covers(&other, now + 19 * SECOND), "there was no room");
    fence.add(&few, now + 38 * SECOND, now + 58 * SECOND);
    assert!(!fence.covers(&other, now + 39 * SECOND));
    assert_eq!(fence.ends.lock().names.len(), 100);

    assert!(fence.covers(&key_of(few.vins[0]), now + 57 * SECOND));
    assert!(!fence.covers(&key_of(few.vins[0]), now + 58 * SECOND));
    assert_eq!(fence.ends.lock().names.capacity(), 0);
    fence.add(&few, now + 60 * SECOND, now + 80 * SECOND);
    assert!(fence.covers(&key_of(few.vins[0]), now + 79 * SECOND));
}
