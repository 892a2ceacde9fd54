//! What is dropped in great numbers: by writes, by purges, and by sweeping behind them.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use futures_util::FutureExt as _;

use super::*;
use crate::cache::FEW_TAGS;

/// VINs that no other test has.
pub(super) fn vins(count: usize) -> impl Iterator<Item = Vin> {
    (0..count).map(|n| Vin::parse(&format!("1HGCM8263A{n:07}")).unwrap())
}

/// Holds so many vehicles.
fn fill_many(cache: &TestCache, count: usize) {
    let plate = vehicle(0, 0).plate;
    let vehicles: Vec<_> = vins(count).map(|vin| Vehicle { vin, plate }).collect();
    let lead = lookup(cache, &vehicles).lead.unwrap();
    lead.fill(vec![element("x"); count], true, Moment::now());
    assert_eq!(counted(cache), count as i64);
}

/// What the gauges say is held.
fn counted(cache: &TestCache) -> i64 {
    assert_eq!(cache.metrics().gauges.bytes.get() == 0, cache.metrics().gauges.entries.get() == 0);
    cache.metrics().gauges.entries.get()
}

fn whole(n: u8) -> InvalidationScope {
    InvalidationScope { partition: Some(partition(n)), ..InvalidationScope::default() }
}

/// Others have their turn so often while `code` runs.
async fn turns_of_others<T>(code: impl Future<Output = T>) -> (T, usize) {
    let turns = Arc::new(AtomicUsize::new(0));
    let others = tokio::spawn({
        let turns = Arc::clone(&turns);
        async move {
            loop {
                turns.fetch_add(1, Relaxed);
                tokio::task::yield_now().await;
            }
        }
    });
    let result = code.await;
    others.abort();
    (result, turns.load(Relaxed))
}

#[tokio::test(start_paused = true)]
async fn a_write_drops_what_it_names_and_nothing_else_however_much_it_names() {
    for names in [2, FEW_TAGS, FEW_TAGS + 1, 100_000] {
        let cache = cache();
        let lookup = |n: u8, vehicle| {
            lookup_in(&cache, Some(partition(n)), &[vehicle], &Directives::default())
        };
        let scope = InvalidationScope {
            vins: vins(names - 2).chain([vehicle(1, 1).vin]).collect(),
            plates: vec![vehicle(2, 2).plate],
            partition: None,
        };
        let others = |vehicle| (0..2).map(move |n| (n, vehicle));
        let held = [(1, 3), (3, 2), (4, 4)].map(|(vin, plate)| vehicle(vin, plate));
        let asked = [(1, 5), (5, 2), (6, 6)].map(|(vin, plate)| vehicle(vin, plate));
        for (n, vehicle) in held.into_iter().flat_map(others) {
            let lead = lookup(n, vehicle).lead.unwrap();
            lead.fill(vec![element("old")], true, Moment::now());
        }
        let asking: Vec<_> = asked
            .into_iter()
            .flat_map(others)
            .map(|(n, vehicle)| (n, vehicle, lookup(n, vehicle).lead.unwrap()))
            .collect();

        cache.invalidate(scope, Cause::OtherWrite, None).await;
        assert_eq!(counted(&cache), 2, "{names}");
        for (n, of) in held.into_iter().flat_map(others) {
            let is_held = matches!(lookup(n, of).found[..], [Lookup::Hit(_)]);
            assert_eq!(is_held, of == vehicle(4, 4), "{names}");
        }
        for (n, of, lead) in asking {
            let is_named = of != vehicle(6, 6);
            let is_joined = matches!(lookup(n, of).found[..], [Lookup::Joined(_)]);
            assert_eq!(is_joined, !is_named, "{names}");
            lead.fill(vec![element("old")], true, Moment::now());
            let is_held = matches!(lookup(n, of).found[..], [Lookup::Hit(_)]);
            assert_eq!(is_held, !is_named, "{names}");
        }
        cache.0.check();
    }
}

#[tokio::test(start_paused = true)]
async fn a_write_of_very_many_and_unknown_outcome_stops_nobody_elses_storing() {
    let cache = cache();
    let scope = InvalidationScope { vins: vins(450_000).collect(), ..InvalidationScope::default() };
    cache
        .invalidate(scope.clone(), Cause::OtherWrite, Some(20 * SECOND))
        .await;
    for n in 0..100 {
        fill(&cache, vehicle(n, n), "x");
        assert!(seen(&cache, vehicle(n, n)).is_some(), "{n}");
    }
    for &vin in scope.vins.iter().step_by(1000) {
        let vehicle = Vehicle { vin, plate: vehicle(0, 0).plate };
        fill(&cache, vehicle, "x");
        assert_eq!(seen(&cache, vehicle), None);
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_partition_held_is_out_of_the_counts_two_seconds_after_it_was_dropped() {
    let cache = cache();
    let sweeping = tokio::spawn(cache.clone().keep_swept());
    for round in 0..5 {
        fill_many(&cache, 3000);
        cache.invalidate(whole(0), Cause::TaxIdentity, None).await;
        // What is filled since stays, and so do those who wait.
        fill(&cache, vehicle(1, 1), "new");
        let waiting = lookup(&cache, &[vehicle(2, 2)]);
        tokio::time::sleep(2 * SECOND).await;
        assert_eq!(counted(&cache), 1, "round {round}");
        assert_eq!(seen(&cache, vehicle(1, 1)).as_deref(), Some("new"));
        let joining = lookup(&cache, &[vehicle(2, 2)]);
        assert!(matches!(joining.found[..], [Lookup::Joined(_)]));
        waiting
            .lead
            .unwrap()
            .fill(vec![element("late")], true, Moment::now());
        assert_eq!(seen(&cache, vehicle(2, 2)).as_deref(), Some("late"));
        cache.0.check();
        cache
            .purge_vehicles(&PurgeFilter::default(), Cause::Purge)
            .await;
    }
    assert!(!sweeping.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_call_under_way_at_a_purge_stores_nothing_and_is_not_joined() {
    for filter in [
        PurgeFilter::default(),
        PurgeFilter { vin: Some(vehicle(1, 1).vin), ..PurgeFilter::default() },
        PurgeFilter { plate: Some(vehicle(1, 1).plate), ..PurgeFilter::default() },
        PurgeFilter { partition: Some(partition(0)), ..PurgeFilter::default() },
    ] {
        let cache = cache();
        let mut before = lookup(&cache, &[vehicle(1, 1)]);
        assert_eq!(cache.purge_vehicles(&filter, Cause::Purge).await, 0, "there is no entry yet");
        let after = lookup(&cache, &[vehicle(1, 1)]);
        assert!(matches!(after.found[..], [Lookup::Leading(_)]), "a later reader asks anew");
        before
            .lead
            .unwrap()
            .fill(vec![element("old")], true, Moment::now());
        let Some(Outcome::Filled(entry)) = before.found[0].outcome().await else {
            panic!("who asked before is told")
        };
        assert_eq!(entry.bytes(), b"old");
        assert_eq!(seen(&cache, vehicle(1, 1)), None, "{filter:?}");
        after
            .lead
            .unwrap()
            .fill(vec![element("new")], true, Moment::now());
        assert_eq!(seen(&cache, vehicle(1, 1)).as_deref(), Some("new"));
    }
}

#[tokio::test(start_paused = true)]
async fn a_purge_that_leaves_a_call_alone_lets_it_store() {
    let cache = cache();
    let others = PurgeFilter { vin: Some(vehicle(2, 2).vin), ..PurgeFilter::default() };
    let before = lookup(&cache, &[vehicle(1, 1)]);
    cache.purge_vehicles(&others, Cause::Purge).await;
    before
        .lead
        .unwrap()
        .fill(vec![element("kept")], true, Moment::now());
    assert_eq!(seen(&cache, vehicle(1, 1)).as_deref(), Some("kept"));
}

#[tokio::test(start_paused = true)]
async fn a_purge_and_a_sweep_of_many_let_others_have_their_turn_and_count_right() {
    const MANY: usize = 20_000;
    // So many are dropped between two turns of others.
    const AT_ONCE: usize = 32;
    let cache = cache();
    fill_many(&cache, MANY);
    let (purged, turns) =
        turns_of_others(cache.purge_vehicles(&PurgeFilter::default(), Cause::Purge)).await;
    assert_eq!(purged, MANY as u64);
    assert!(turns >= MANY / AT_ONCE, "{turns} turns");
    assert_eq!(counted(&cache), 0);

    fill_many(&cache, MANY);
    cache.invalidate(whole(0), Cause::TaxIdentity, None).await;
    let ((), turns) = turns_of_others(cache.sweep()).await;
    assert!(turns >= MANY / AT_ONCE, "{turns} turns");
    assert_eq!(counted(&cache), 0);
    cache.0.check();
}

#[tokio::test(start_paused = true)]
async fn a_purge_of_vehicles_is_done_at_once() {
    let cache = cache();
    let (vin, plate) = (Some(vehicle(1, 1).vin), Some(vehicle(1, 1).plate));
    for filter in [
        PurgeFilter { vin, ..PurgeFilter::default() },
        PurgeFilter { plate, ..PurgeFilter::default() },
        PurgeFilter { vin, plate, partition: Some(partition(0)) },
    ] {
        fill_many(&cache, 5000);
        fill(&cache, vehicle(1, 1), "x");
        assert_eq!(
            cache.purge_vehicles(&filter, Cause::Purge).now_or_never(),
            Some(1),
            "{filter:?}"
        );
        assert_eq!(counted(&cache), 5000);
        cache.0.check();
        cache
            .purge_vehicles(&PurgeFilter::default(), Cause::Purge)
            .await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_for_while_a_purge_goes_on_is_gone_at_its_end() {
    for partition in [None, Some(partition(0))] {
        let cache = cache();
        fill_many(&cache, 5000);
        let purging = tokio::spawn({
            let (cache, filter) = (cache.clone(), PurgeFilter { partition, ..<_>::default() });
            async move { cache.purge_vehicles(&filter, Cause::Purge).await }
        });
        let (mut asked, mut asking) = (0, Vec::new());
        while !purging.is_finished() {
            fill(&cache, vehicle(asked, 0), "old");
            asking.extend(lookup(&cache, &[vehicle(asked, 1)]).lead);
            asked += 1;
            tokio::task::yield_now().await;
        }
        assert!(asked > 20, "{asked} asked for meanwhile");
        let purged = purging.await.unwrap();
        // What was filled behind the purge is there, and left to the sweep.
        let left = counted(&cache);
        assert!(left > 0, "nothing was filled behind the purge");
        assert_eq!(5000 + i64::from(asked), purged as i64 + left);
        for lead in asking {
            lead.fill(vec![element("old")], true, Moment::now());
        }
        for n in 0..asked {
            assert_eq!(seen(&cache, vehicle(n, 0)), None);
            assert_eq!(seen(&cache, vehicle(n, 1)), None);
        }
        assert_eq!(counted(&cache), left, "what was sent before the end is not stored");
        cache.0.check();
        cache.sweep().await;
        assert_eq!(counted(&cache), 0);
        fill(&cache, vehicle(1, 1), "new");
        assert_eq!(seen(&cache, vehicle(1, 1)).as_deref(), Some("new"));
    }
}
