//! Claims so large that what is fresh is looked up shard by shard, and the rest in order of
//! mention.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_large_claim_gives_each_vehicle_its_own_place() {
    let cache = cache();
    let vehicles: Vec<_> = (0..250)
        .flat_map(|vin| [1, 2, 3, 4].map(|plate| vehicle(vin, plate)))
        .collect();
    let bytes = |nth: usize| format!("of {nth}");
    for (nth, &vehicle) in vehicles.iter().enumerate().filter(|(nth, _)| nth % 3 == 0) {
        fill(&cache, vehicle, &bytes(nth));
    }
    tokio::time::advance(1000 * SECOND).await;
    for (nth, &vehicle) in vehicles.iter().enumerate().filter(|(nth, _)| nth % 3 == 1) {
        fill(&cache, vehicle, &bytes(nth));
    }

    let Found { found, lead, refresh } = lookup(&cache, &vehicles);
    for (nth, place) in found.iter().enumerate() {
        let found = match (nth % 3, place) {
            (0, Lookup::Stale(entry)) | (1, Lookup::Hit(entry)) => {
                entry.bytes() == bytes(nth).as_bytes()
            }
            (2, Lookup::Leading(_)) => true,
            _ => false,
        };
        assert!(found, "{nth}");
    }
    let every_third = |from| vehicles.iter().copied().skip(from).step_by(3);
    assert!(lead.unwrap().items().eq(every_third(2)));
    assert!(refresh.unwrap().items().eq(every_third(0)));
}

#[tokio::test(start_paused = true)]
async fn a_large_claim_serves_nothing_of_a_partition_that_was_dropped() {
    let cache = cache();
    let vehicles: Vec<_> = (0..45).map(|n| vehicle(n, n)).collect();
    let lead = lookup(&cache, &vehicles).lead.unwrap();
    lead.fill(vec![element("old"); 45], true, Moment::now());
    let whole = InvalidationScope { partition: Some(partition(0)), ..InvalidationScope::default() };
    cache.invalidate(whole, Cause::TaxIdentity, None).await;
    assert_eq!(cache.metrics().gauges.entries.get(), 45, "not swept yet");

    let Found { found, lead, refresh } = lookup(&cache, &vehicles);
    assert!(
        found
            .iter()
            .all(|place| matches!(place, Lookup::Leading(_)))
    );
    assert!(lead.unwrap().items().eq(vehicles));
    assert!(refresh.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_large_claim_serves_what_its_directives_permit() {
    let cache = cache();
    let vehicles: Vec<_> = (0..45).map(|n| vehicle(n, n)).collect();
    let lead = lookup(&cache, &vehicles).lead.unwrap();
    lead.fill(vec![element("x"); 45], true, Moment::now());
    tokio::time::advance(100 * SECOND).await;
    for (directives, is_served) in [
        ("", true),
        ("max-age=100", true),
        ("max-age=99", false),
        ("min-fresh=800", true),
        ("min-fresh=801", false),
        ("no-cache", false),
        ("no-store", false),
    ] {
        let Found { found, lead, .. } = lookup_with(&cache, &vehicles, directives);
        for place in &found {
            let found = matches!(place, Lookup::Hit(_));
            assert_eq!(found, is_served, "{directives}");
            assert_eq!(matches!(place, Lookup::Leading(_)), !is_served, "{directives}");
        }
        let led = lead.map_or(0, |lead| lead.items().len());
        assert_eq!(led, if is_served { 0 } else { 45 }, "{directives}");
    }
}
