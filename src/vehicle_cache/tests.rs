mod directives;
mod dropping;
mod histories;
mod interleavings;
mod large;
mod replicated;
use crate::cache::tests::lock;

use std::{sync::Arc, time::Duration};

use prometheus::Registry;
use tokio::time::Instant;

use super::*;
use crate::vehicle::{Plate, Vehicle, Vin};

/// The cache of these tests fails with a number.
pub(crate) type TestCache = VehicleCache<u32>;

/// What it is of.
pub(crate) type Contents = Vehicles<u32>;

const SECOND: Duration = Duration::from_secs(1);

pub(super) fn vehicle(vin: u8, plate: u8) -> Vehicle {
    Vehicle {
        vin: Vin::parse(&format!("3VWFE21C04M000{vin:03}")).unwrap(),
        plate: Plate::parse(&format!("ABC{plate:03}")).unwrap(),
    }
}

pub(crate) fn partition(n: u8) -> Partition {
    Partition::new(&[n + 1; 32])
}

pub(crate) fn key(partition_: u8, vin: u8, plate: u8) -> Key<Vehicle> {
    Key { partition: partition(partition_), item: vehicle(vin, plate) }
}

/// What a cache holds of a vehicle.
pub(crate) fn results() -> Results {
    Results::new(element("x"), SECOND, Moment::now())
}

pub(super) fn element(bytes: &str) -> Element {
    Element { bytes: bytes.as_bytes().into(), classes: Class::Finished.into() }
}

pub(crate) fn cache() -> TestCache {
    cache_of(64 << 20)
}

fn cache_of(capacity: u64) -> TestCache {
    sharded(capacity, 64)
}

fn sharded(capacity: u64, shards: usize) -> TestCache {
    let ttl = Ttl {
        finished: 900 * SECOND,
        pending: 10 * SECOND,
        failed: 10 * SECOND,
        absent: 30 * SECOND,
        jitter: 0.0,
    };
    let stale = StaleWindows { while_revalidate: 300 * SECOND, if_error: 3600 * SECOND };
    let metrics = Metrics::register(&Registry::new()).unwrap();
    let gauges = metrics.gauges.clone();
    let contents = Vehicles::new(true, Lifetimes { ttl, stale }, metrics, None);
    VehicleCache::sharded(contents, capacity, gauges, shards)
}

/// What a request finds, and its leases.
struct Found {
    found: Vec<Lookup<u32>>,
    lead: Option<Leases<u32>>,
    refresh: Option<Leases<u32>>,
}

impl From<Lookups<u32>> for Found {
    fn from(lookups: Lookups<u32>) -> Self {
        let Lookups { found, leases: mut lead } = lookups;
        let refresh = lead.extract(|lease| lease.is_refresh());
        let [lead, refresh] =
            [lead, refresh].map(|leases| Some(leases).filter(|leases| !leases.is_empty()));
        Self { found, lead, refresh }
    }
}

fn lookup(cache: &TestCache, vehicles: &[Vehicle]) -> Found {
    lookup_with(cache, vehicles, "")
}

fn lookup_with(cache: &TestCache, vehicles: &[Vehicle], directives: &str) -> Found {
    lookup_in(cache, Some(partition(0)), vehicles, &directives_of(directives))
}

fn lookup_in(
    cache: &TestCache,
    partition: Option<Partition>,
    vehicles: &[Vehicle],
    directives: &Directives,
) -> Found {
    let vehicles = vehicles.iter().copied();
    cache
        .lookup(partition, vehicles, directives, Instant::now())
        .into()
}

pub(crate) fn fill(cache: &TestCache, vehicle: Vehicle, bytes: &str) {
    let lead = lookup_with(cache, &[vehicle], "no-cache").lead.unwrap();
    lead.fill(vec![element(bytes)], true, Moment::now());
}

/// What a new request sees of a vehicle.
pub(crate) fn seen(cache: &TestCache, vehicle: Vehicle) -> Option<String> {
    match lookup_with(cache, &[vehicle], "only-if-cached")
        .found
        .remove(0)
    {
        Lookup::Hit(entry) => Some(String::from_utf8(entry.bytes().to_vec()).unwrap()),
        _ => None,
    }
}

fn scope(vins: &[Vehicle], plates: &[Vehicle]) -> InvalidationScope {
    InvalidationScope {
        vins: vins.iter().map(|v| v.vin).collect(),
        plates: plates.iter().map(|v| v.plate).collect(),
        partition: None,
    }
}

#[tokio::test(start_paused = true)]
async fn leads_what_is_not_held_and_serves_it_afterwards() {
    let (cache, vehicles) = (cache(), [vehicle(1, 1), vehicle(2, 2)]);
    let Found { found, lead, refresh } = lookup(&cache, &vehicles);
    assert!(matches!(found[..], [Lookup::Leading(_), Lookup::Leading(_)]));
    assert!(refresh.is_none());
    let lead = lead.unwrap();
    assert!(lead.items().eq(vehicles));
    lead.fill(vec![element("one"), element("two")], true, Moment::now());

    for (mut place, bytes) in found.into_iter().zip(["one", "two"]) {
        let Some(Outcome::Filled(entry)) = place.outcome().await else { panic!("not landed") };
        assert_eq!(entry.bytes(), bytes.as_bytes());
    }
    assert_eq!(seen(&cache, vehicles[0]).as_deref(), Some("one"));
    assert_eq!(seen(&cache, vehicles[1]).as_deref(), Some("two"));
    assert_eq!(cache.metrics().gauges.entries.get(), 2);
}

#[tokio::test(start_paused = true)]
async fn joins_what_somebody_is_asking_for_and_leads_the_rest() {
    let cache = cache();
    let first = lookup(&cache, &[vehicle(1, 1), vehicle(2, 2)]);
    let mut second = lookup(&cache, &[vehicle(2, 2), vehicle(3, 3)]);
    assert!(matches!(second.found[..], [Lookup::Joined(_), Lookup::Leading(_)]));
    assert!(second.lead.as_ref().unwrap().items().eq([vehicle(3, 3)]));

    first
        .lead
        .unwrap()
        .fill(vec![element("one"), element("two")], true, Moment::now());
    let Some(Outcome::Filled(entry)) = second.found[0].outcome().await else {
        panic!("not landed")
    };
    assert_eq!(entry.bytes(), b"two");
}

#[tokio::test(start_paused = true)]
async fn never_joins_or_serves_across_partitions() {
    let (cache, vehicles) = (cache(), [vehicle(1, 1)]);
    let first = lookup(&cache, &vehicles);
    let foreign = || lookup_in(&cache, Some(partition(1)), &vehicles, &Directives::default());
    assert!(matches!(foreign().found[..], [Lookup::Leading(_)]), "not joined");
    first
        .lead
        .unwrap()
        .fill(vec![element("one")], true, Moment::now());
    assert!(matches!(foreign().found[..], [Lookup::Leading(_)]), "not served");
}

#[tokio::test(start_paused = true)]
async fn a_failure_reaches_every_waiter_and_leaves_nothing() {
    let (cache, vehicles) = (cache(), [vehicle(1, 1)]);
    let mut first = lookup(&cache, &vehicles);
    let mut second = lookup(&cache, &vehicles);
    first.lead.unwrap().fail(7);
    for place in [&mut first.found[0], &mut second.found[0]] {
        assert!(matches!(place.outcome().await, Some(Outcome::Failed(7))));
    }
    assert!(matches!(lookup(&cache, &vehicles).found[..], [Lookup::Leading(_)]));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_lease_lets_another_lead() {
    let (cache, vehicles) = (cache(), [vehicle(1, 1)]);
    let first = lookup(&cache, &vehicles);
    let mut second = lookup(&cache, &vehicles);
    drop(first.lead);
    assert!(matches!(second.found[0].outcome().await, Some(Outcome::Abandoned)));
    assert!(matches!(lookup(&cache, &vehicles).found[..], [Lookup::Leading(_)]));
}

#[tokio::test(start_paused = true)]
async fn parts_of_a_lease_land_and_fail_on_their_own() {
    let (cache, vehicles) = (cache(), [vehicle(1, 1), vehicle(2, 2), vehicle(3, 3)]);
    let Found { mut found, lead, .. } = lookup(&cache, &vehicles);
    let mut one = lead.unwrap();
    let two = one.split_off(2);
    assert!(two.items().eq([vehicle(3, 3)]));
    two.fail(1);
    one.fill(vec![element("one"), element("two")], true, Moment::now());
    assert!(matches!(found[1].outcome().await, Some(Outcome::Filled(_))));
    assert!(matches!(found[2].outcome().await, Some(Outcome::Failed(1))));
    assert_eq!(seen(&cache, vehicles[0]).as_deref(), Some("one"));
    assert_eq!(seen(&cache, vehicles[2]), None);
}

#[tokio::test(start_paused = true)]
async fn vehicles_that_a_response_or_a_division_leaves_out_are_abandoned() {
    let (cache, vehicles) = (cache(), [vehicle(1, 1), vehicle(2, 2), vehicle(3, 3)]);
    let Found { mut found, lead, .. } = lookup(&cache, &vehicles);
    let mut two = lead.unwrap();
    drop(two.split_off(2));
    two.fill(vec![element("one")], true, Moment::now());
    assert!(matches!(found[0].outcome().await, Some(Outcome::Filled(_))));
    for (place, vehicle) in found.iter_mut().zip(vehicles).skip(1) {
        assert!(matches!(place.outcome().await, Some(Outcome::Abandoned)));
        assert!(matches!(lookup(&cache, &[vehicle]).found[..], [Lookup::Leading(_)]));
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_drops_its_vehicles_in_every_partition() {
    let cache = cache();
    for (vin, plate) in [(1, 1), (1, 2), (2, 1), (3, 3)] {
        fill(&cache, vehicle(vin, plate), "x");
    }
    cache
        .invalidate(scope(&[vehicle(1, 9)], &[]), Cause::VehicleStatus, None)
        .await;
    let held = |vin, plate| seen(&cache, vehicle(vin, plate)).is_some();
    assert_eq!([held(1, 1), held(1, 2), held(2, 1), held(3, 3)], [false, false, true, true]);

    cache
        .invalidate(scope(&[], &[vehicle(9, 1)]), Cause::VehicleUpsert, None)
        .await;
    assert_eq!([held(2, 1), held(3, 3)], [false, true]);
    assert_eq!(cache.metrics().gauges.entries.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_call_composed_before_a_write_stores_nothing_and_is_not_joined() {
    let (cache, vehicles) = (cache(), [vehicle(1, 1)]);
    let mut before = lookup(&cache, &vehicles);
    cache
        .invalidate(scope(&vehicles, &[]), Cause::VehicleStatus, None)
        .await;
    let after = lookup(&cache, &vehicles);
    assert!(matches!(after.found[..], [Lookup::Leading(_)]), "a later reader asks anew");

    before
        .lead
        .unwrap()
        .fill(vec![element("old")], true, Moment::now());
    assert!(matches!(before.found[0].outcome().await, Some(Outcome::Filled(_))));
    assert_eq!(seen(&cache, vehicles[0]), None);
    after
        .lead
        .unwrap()
        .fill(vec![element("new")], true, Moment::now());
    assert_eq!(seen(&cache, vehicles[0]).as_deref(), Some("new"));
}

#[tokio::test(start_paused = true)]
async fn dropping_a_partition_leaves_the_others_alone() {
    let (cache, vehicles) = (cache(), [vehicle(1, 1)]);
    fill(&cache, vehicles[0], "x");
    let before = lookup(&cache, &[vehicle(2, 2)]);
    let drop_partition =
        |n| InvalidationScope { partition: Some(partition(n)), ..InvalidationScope::default() };
    cache
        .invalidate(drop_partition(1), Cause::TaxIdentity, None)
        .await;
    // One in some thousand shares a place with the other, and is dropped with it.
    let shares_a_place = cache.0.epoch(partition(0)) > 0;
    assert!(shares_a_place || seen(&cache, vehicles[0]).is_some());

    cache
        .invalidate(drop_partition(0), Cause::TaxIdentity, None)
        .await;
    assert_eq!(seen(&cache, vehicles[0]), None);
    assert!(matches!(lookup(&cache, &[vehicle(2, 2)]).found[..], [Lookup::Leading(_)]));
    before
        .lead
        .unwrap()
        .fill(vec![element("old")], true, Moment::now());
    assert_eq!(seen(&cache, vehicle(2, 2)), None);
}

#[tokio::test(start_paused = true)]
async fn stores_nothing_while_a_writes_outcome_is_unknown() {
    let cache = cache();
    let held_off = [
        scope(&[vehicle(1, 9)], &[]),
        scope(&[], &[vehicle(9, 1)]),
        InvalidationScope { partition: Some(partition(0)), ..InvalidationScope::default() },
    ];
    for scope in held_off {
        cache
            .invalidate(scope, Cause::OtherWrite, Some(20 * SECOND))
            .await;
        tokio::time::advance(19 * SECOND).await;
        fill(&cache, vehicle(1, 1), "early");
        assert_eq!(seen(&cache, vehicle(1, 1)), None);
        tokio::time::advance(2 * SECOND).await;
        fill(&cache, vehicle(1, 1), "late");
        assert_eq!(seen(&cache, vehicle(1, 1)).as_deref(), Some("late"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_response_that_may_not_be_stored_still_reaches_its_waiters() {
    let (cache, vehicles) = (cache(), [vehicle(1, 1)]);
    let first = lookup(&cache, &vehicles);
    let mut second = lookup(&cache, &vehicles);
    first
        .lead
        .unwrap()
        .fill(vec![element("one")], false, Moment::now());
    assert!(matches!(second.found[0].outcome().await, Some(Outcome::Filled(_))));
    assert_eq!(seen(&cache, vehicles[0]), None);
}

#[tokio::test(start_paused = true)]
async fn no_cache_joins_only_what_is_not_sent() {
    let (cache, vehicles) = (cache(), [vehicle(1, 1)]);
    let first = lookup(&cache, &vehicles);
    assert!(matches!(lookup_with(&cache, &vehicles, "no-cache").found[..], [Lookup::Joined(_)]));
    let lead = first.lead.unwrap();
    lead.mark_sent(None);
    let newer = lookup_with(&cache, &vehicles, "no-cache");
    assert!(matches!(newer.found[..], [Lookup::Leading(_)]));
    newer
        .lead
        .unwrap()
        .fill(vec![element("newer")], true, Moment::now());
    lead.fill(vec![element("older")], true, Moment::now());
    assert_eq!(seen(&cache, vehicles[0]).as_deref(), Some("newer"));
}

#[tokio::test(start_paused = true)]
async fn no_store_neither_reads_nor_joins_nor_stores() {
    let (cache, vehicles) = (cache(), [vehicle(1, 1)]);
    let other = lookup(&cache, &vehicles);
    let private = lookup_with(&cache, &vehicles, "no-store");
    assert!(matches!(private.found[..], [Lookup::Leading(_)]));
    private
        .lead
        .unwrap()
        .fill(vec![element("x")], true, Moment::now());
    assert_eq!(seen(&cache, vehicles[0]), None);
    other
        .lead
        .unwrap()
        .fill(vec![element("y")], true, Moment::now());
    assert!(matches!(lookup_with(&cache, &vehicles, "no-store").found[..], [Lookup::Leading(_)]));
}

#[tokio::test(start_paused = true)]
async fn without_a_credential_nothing_is_shared() {
    let (cache, vehicles) = (cache(), [vehicle(1, 1)]);
    let anonymous = || lookup_in(&cache, None, &vehicles, &Directives::default());
    let first = anonymous();
    assert!(matches!(anonymous().found[..], [Lookup::Leading(_)]));
    first
        .lead
        .unwrap()
        .fill(vec![element("x")], true, Moment::now());
    assert!(matches!(anonymous().found[..], [Lookup::Leading(_)]));
    assert_eq!(cache.metrics().gauges.entries.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn serves_stale_and_lets_one_request_refresh_behind() {
    let (cache, vehicles) = (cache(), [vehicle(1, 1)]);
    fill(&cache, vehicles[0], "old");
    tokio::time::advance(901 * SECOND).await;
    let first = lookup(&cache, &vehicles);
    assert!(matches!(first.found[..], [Lookup::Stale(_)]));
    assert!(first.lead.is_none());
    for _ in 0..1000 {
        let other = lookup(&cache, &vehicles);
        assert!(matches!(other.found[..], [Lookup::Stale(_)]));
        assert!(other.refresh.is_none());
    }
    first
        .refresh
        .unwrap()
        .fill(vec![element("new")], true, Moment::now());
    assert_eq!(seen(&cache, vehicles[0]).as_deref(), Some("new"));
    tokio::time::advance(1201 * SECOND).await;
    assert!(matches!(lookup(&cache, &vehicles).found[..], [Lookup::Leading(_)]));
}

#[tokio::test(start_paused = true)]
async fn keeps_a_stale_entry_for_a_refresh_that_fails() {
    let (cache, vehicles) = (cache(), [vehicle(1, 1)]);
    fill(&cache, vehicles[0], "old");
    tokio::time::advance(1500 * SECOND).await;
    lookup(&cache, &vehicles).lead.unwrap().fail(1);
    let stale = |directives: &Directives| {
        cache
            .stale_if_error(partition(0), vehicles[0], directives, Instant::now())
            .is_some()
    };
    assert!(stale(&Directives::default()));
    assert!(!stale(&Directives { no_cache: true, ..Directives::default() }));
    assert!(!stale(&Directives { max_age: Some(SECOND), ..Directives::default() }));
    tokio::time::advance(3001 * SECOND).await;
    assert!(!stale(&Directives::default()));
}

#[tokio::test(start_paused = true)]
async fn purges_what_matches_every_part_of_a_selection() {
    let cache = cache();
    let fill_all = || {
        for (vin, plate) in [(1, 1), (1, 2), (2, 1)] {
            fill(&cache, vehicle(vin, plate), "x");
        }
    };
    let (vin, plate) = (Some(vehicle(1, 1).vin), Some(vehicle(1, 1).plate));
    let nothing = PurgeFilter::default();
    for (filter, purged) in [
        (nothing, 3),
        (PurgeFilter { vin, ..nothing }, 2),
        (PurgeFilter { plate, ..nothing }, 2),
        (PurgeFilter { vin, plate, ..nothing }, 1),
        (PurgeFilter { partition: Some(partition(0)), vin, ..nothing }, 2),
        (PurgeFilter { partition: Some(partition(1)), ..nothing }, 0),
    ] {
        fill_all();
        assert_eq!(cache.purge_vehicles(&filter, Cause::Purge).await, purged, "{filter:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn holds_no_more_than_its_capacity() {
    let cache = cache_of(1 << 20);
    for n in 0..200u8 {
        let vehicles: Vec<_> = (0..100).map(|plate| vehicle(n, plate)).collect();
        let lead = lookup(&cache, &vehicles).lead.unwrap();
        lead.fill(vec![element(&"x".repeat(500)); 100], true, Moment::now());
        assert!(cache.metrics().gauges.bytes.get() <= (1 << 20) * 11 / 10);
    }
    let held = cache.metrics().gauges.entries.get();
    assert!(held > 500, "{held} entries of about 1 KiB in 1 MiB");
    let mut counted = 0;
    for n in 0..200u8 {
        counted += (0..100)
            .filter(|&plate| seen(&cache, vehicle(n, plate)).is_some())
            .count();
    }
    assert_eq!(counted as i64, held, "what is counted is what is held");
    assert_eq!(
        cache
            .purge_vehicles(&PurgeFilter::default(), Cause::Purge)
            .await,
        held as u64
    );
    assert_eq!(cache.metrics().gauges.bytes.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_full_cache_takes_in_what_is_asked_for_again_and_again() {
    let cache = cache_of(100_000);
    let ask = |vehicle: Vehicle| {
        if let Some(lead) = lookup(&cache, &[vehicle]).lead {
            lead.fill(vec![element(&"x".repeat(500))], true, Moment::now());
        }
    };
    (0..250).for_each(|n| ask(vehicle(n, 1)));
    for _ in 0..20 {
        (0..20).for_each(|n| ask(vehicle(n, 2)));
    }
    let is_held = |&n: &u8| seen(&cache, vehicle(n, 2)).is_some();
    let held = (0..20).filter(is_held).count();
    assert!(held > 15, "{held} of 20");
}

fn directives_of(field: &str) -> Directives {
    let mut fields = http::HeaderMap::new();
    fields.insert(http::header::CACHE_CONTROL, field.parse().unwrap());
    Directives::of(&fields)
}
