use std::time::Duration;

use super::*;
use crate::{
    cache::{Contents as _, Key},
    vehicle::{Plate, Vehicle, Vin},
    vehicle_cache::{
        InvalidationScope,
        tests::{Contents, key},
    },
};

const SECOND: Duration = Duration::from_secs(1);

fn fence(now: Instant) -> StoreFence {
    StoreFence::new(RandomState::default(), now)
}

fn vins(numbers: std::ops::Range<u32>) -> Vec<Vin> {
    let vin = |n| Vin::parse(&format!("1VWFE21C04M{n:06}")).unwrap();
    numbers.map(vin).collect()
}

fn add(fence: &StoreFence, scope: &InvalidationScope, now: Instant, until: Instant) {
    fence.add(&Scope::from(scope.clone()), now, until);
}

fn covers(fence: &StoreFence, key: &Key<Vehicle>, now: Instant) -> bool {
    fence.covers(key.partition, || Contents::tags(&key.item), now)
}

/// A key of this VIN, with a plate and a partition that no write names.
fn key_of(vin: Vin) -> Key<Vehicle> {
    let Key { partition, item } = key(0, 1, 1);
    Key { partition, item: Vehicle { vin, ..item } }
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
        let scope = InvalidationScope { vins: vec![key.item.vin], ..InvalidationScope::default() };
        let until = began_at + since + lasts;
        add(&fence, &scope, began_at, until);
        assert!(covers(&fence, &key, began_at + since));
        assert!(covers(&fence, &key, until - Duration::from_millis(1)));
        assert!(!covers(&fence, &key, until + SECOND));
    }
}

#[test]
fn a_later_write_never_shortens_a_hold() {
    let now = Instant::now();
    let (fence, key) = (fence(now), key(0, 1, 1));
    let scope = InvalidationScope { vins: vec![key.item.vin], ..InvalidationScope::default() };
    add(&fence, &scope, now, now + 20 * SECOND);
    add(&fence, &scope, now, now + 5 * SECOND);
    assert!(covers(&fence, &key, now + 19 * SECOND));
    assert!(!covers(&fence, &key, now + 20 * SECOND));
}

#[test]
fn a_write_holds_off_what_it_names_and_nothing_else() {
    let now = Instant::now();
    for names in [1, 100, 10_000, 300_000] {
        let fence = fence(now);
        let held = InvalidationScope { vins: vins(0..names), ..InvalidationScope::default() };
        add(&fence, &held, now, now + 20 * SECOND);
        let is_held_off = |&vin: &Vin| covers(&fence, &key_of(vin), now);
        assert!(held.vins.iter().all(is_held_off), "{names}");
        assert!(!vins(900_000..910_000).iter().any(is_held_off), "{names}");
    }
}

#[test]
fn when_too_much_is_held_off_everything_is_until_what_found_no_room_is_over() {
    let now = Instant::now();
    let (fence, other) = (fence(now), key(0, 1, 1));
    add(&fence, &flood(), now, now + 20 * SECOND);
    assert!(!covers(&fence, &other, now), "all of these have room");
    // What has room already takes no more.
    add(&fence, &flood(), now, now + 25 * SECOND);
    assert!(!covers(&fence, &other, now));
    let one_more = InvalidationScope { vins: vins(0..1), ..InvalidationScope::default() };
    add(&fence, &one_more, now, now + 30 * SECOND);
    assert!(covers(&fence, &other, now + 29 * SECOND));
    assert!(!covers(&fence, &other, now + 30 * SECOND));
}

#[test]
fn a_partition_finds_room_however_many_names_are_held_off() {
    let now = Instant::now();
    let (fence, held, other) = (fence(now), key(0, 1, 1), key(1, 1, 1));
    add(&fence, &flood(), now, now + 20 * SECOND);
    let whole =
        InvalidationScope { partition: Some(held.partition), ..InvalidationScope::default() };
    add(&fence, &whole, now, now + 20 * SECOND);
    assert!(covers(&fence, &held, now));
    assert!(!covers(&fence, &other, now));
}

#[test]
fn what_is_over_makes_room_and_gives_its_memory_back() {
    let now = Instant::now();
    let (fence, other) = (fence(now), key(0, 1, 1));
    add(&fence, &flood(), now, now + 20 * SECOND);
    // Something is held off all the time.
    let few = InvalidationScope { vins: vins(0..100), ..InvalidationScope::default() };
    add(&fence, &few, now + 19 * SECOND, now + 39 * SECOND);
    assert!(covers(&fence, &other, now + 19 * SECOND), "there was no room");
    add(&fence, &few, now + 38 * SECOND, now + 58 * SECOND);
    assert!(!covers(&fence, &other, now + 39 * SECOND));
    assert_eq!(fence.ends.lock().tags.len(), 100);

    assert!(covers(&fence, &key_of(few.vins[0]), now + 57 * SECOND));
    assert!(!covers(&fence, &key_of(few.vins[0]), now + 58 * SECOND));
    assert_eq!(fence.ends.lock().tags.capacity(), 0);
    add(&fence, &few, now + 60 * SECOND, now + 80 * SECOND);
    assert!(covers(&fence, &key_of(few.vins[0]), now + 79 * SECOND));
}
