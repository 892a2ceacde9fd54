//! What is told to other replicas, and what is done when they are not heard.

use std::collections::VecDeque;

use futures_util::future::BoxFuture;
use parking_lot::Mutex;

use super::*;
use crate::vehicle_cache::{Found, Guard, Search, Sought};

/// What other replicas are told.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Announced(InvalidationScope),
    Of { is_announced: bool, change: Change, fence_for: Option<Duration> },
    IsOver,
}

/// Notes what it is told; does not hear of writes if there is a `max_age`.
#[derive(Clone, Default)]
struct Recorder {
    told: Arc<Mutex<Vec<Told>>>,
    max_age: Option<Duration>,
    /// What the others have, if they are asked at all.
    found: Option<Vec<Option<Found>>>,
    /// What is known of what they do not have, each time it is asked.
    sought: Arc<Mutex<VecDeque<Vec<Sought>>>>,
    /// What they get.
    shared: Arc<Mutex<Vec<Vehicle>>>,
}

/// A search that comes to what it is told.
struct Script {
    found: Vec<Option<Found>>,
    sought: Arc<Mutex<VecDeque<Vec<Sought>>>>,
}

/// A write that was announced, or none.
struct Outcome {
    recorder: Recorder,
    is_announced: bool,
}

impl Replicas for Recorder {
    fn max_age(&self, _: Instant) -> Option<Duration> {
        self.max_age
    }

    fn search(&self, _: Partition, _: usize) -> Option<Box<dyn Search>> {
        let found = self.found.clone()?;
        let sought = Arc::clone(&self.sought);
        Some(Box::new(Script { found, sought }))
    }

    fn share(&self, _: Partition, fill: &mut dyn FnMut() -> Vec<(Vehicle, Arc<Entry>)>) {
        let stored = fill().into_iter().map(|(vehicle, _)| vehicle);
        self.shared.lock().extend(stored);
    }

    fn known(&self) -> Option<Stamp> {
        None
    }

    fn unwritten_since(&self, _: Stamp) -> Option<Unwritten> {
        None
    }

    fn announce(&self, scope: InvalidationScope) -> BoxFuture<'static, Arc<dyn Tell>> {
        self.told.lock().push(Told::Announced(scope));
        let outcome = Outcome { recorder: self.clone(), is_announced: true };
        Box::pin(async { Arc::new(outcome) as Arc<dyn Tell> })
    }
}

impl Search for Script {
    fn find(&mut self, _: Vec<Vehicle>) -> BoxFuture<'_, Vec<Option<Found>>> {
        Box::pin(std::future::ready(self.found.clone()))
    }

    fn lease(&mut self, vehicles: Vec<Vehicle>) -> BoxFuture<'_, Vec<Sought>> {
        let sought = self.sought.lock().pop_front().unwrap_or_default();
        assert!(sought.is_empty() || sought.len() == vehicles.len());
        Box::pin(std::future::ready(sought))
    }

    fn wait(&mut self, vehicles: Vec<Vehicle>) -> BoxFuture<'_, Vec<Sought>> {
        self.lease(vehicles)
    }
}

impl Tell for Recorder {
    fn tell(&self, change: Change, fence_for: Option<Duration>) -> BoxFuture<'static, ()> {
        self.told
            .lock()
            .push(Told::Of { is_announced: false, change, fence_for });
        Box::pin(std::future::ready(()))
    }
}

impl Tell for Outcome {
    fn tell(&self, change: Change, fence_for: Option<Duration>) -> BoxFuture<'static, ()> {
        let told = Told::Of { is_announced: self.is_announced, change, fence_for };
        self.recorder.told.lock().push(told);
        Box::pin(std::future::ready(()))
    }
}

impl Drop for Outcome {
    fn drop(&mut self) {
        self.recorder.told.lock().push(Told::IsOver);
    }
}

fn replicated(recorder: &Recorder) -> TestCache {
    let second = SECOND;
    let ttl =
        Ttl { finished: 60 * second, pending: second, failed: second, absent: second, jitter: 0.0 };
    let stale = StaleWindows { while_revalidate: 300 * second, if_error: 3600 * second };
    let metrics = Metrics::register(&Registry::new()).unwrap();
    let config = Config { enabled: true, capacity: 1 << 20 };
    let replicas = Arc::new(recorder.clone());
    TestCache::replicated(&config, Lifetimes { ttl, stale }, metrics, Some(replicas))
}

fn told(recorder: &Recorder) -> Vec<Told> {
    std::mem::take(&mut *recorder.told.lock())
}

fn of(is_announced: bool, scope: InvalidationScope) -> Told {
    Told::Of { is_announced, change: Change::Of(scope), fence_for: None }
}

#[tokio::test]
async fn tells_of_writes_before_and_after() {
    let recorder = Recorder::default();
    let cache = replicated(&recorder);
    let scope = scope(&[vehicle(1, 1)], &[]);
    cache
        .invalidate(scope.clone(), Cause::OtherWrite, None)
        .await;
    assert_eq!(told(&recorder), [of(false, scope.clone())]);

    let announcing = cache.announce(&|| Some(scope.clone())).unwrap();
    let write = announcing.await;
    assert_eq!(told(&recorder), [Told::Announced(scope.clone())]);
    fill(&cache, vehicle(1, 1), "a");
    write
        .invalidate(scope.clone(), Cause::VehicleStatus, None)
        .await;
    assert_eq!(seen(&cache, vehicle(1, 1)), None, "dropped here, too");
    drop(write);
    assert_eq!(told(&recorder), [of(true, scope), Told::IsOver]);
    assert!(cache.announce(&|| None).is_none(), "nobody knows what it will change");
    let alone = super::cache();
    assert!(alone.announce(&|| panic!("nobody needs to know")).is_none());
}

#[tokio::test]
async fn tells_of_purges_what_covers_them() {
    let recorder = Recorder::default();
    let cache = replicated(&recorder);
    let (vin, plate) = (Some(vehicle(1, 1).vin), Some(vehicle(1, 1).plate));
    let partition = Some(partition(0));
    let of_vin = scope(&[vehicle(1, 1)], &[]);
    for (filter, want) in [
        (PurgeFilter { partition, vin, plate }, Change::Of(of_vin)),
        (PurgeFilter { partition, vin: None, plate }, Change::Of(scope(&[], &[vehicle(1, 1)]))),
        (
            PurgeFilter { partition, vin: None, plate: None },
            Change::Of(InvalidationScope { partition, ..<_>::default() }),
        ),
        (PurgeFilter::default(), Change::Everything),
    ] {
        cache.purge_vehicles(&filter, Cause::Purge).await;
        let want = Told::Of { is_announced: false, change: want, fence_for: None };
        assert_eq!(told(&recorder), [want]);
    }
}

#[test]
fn what_is_held_is_neither_joined_nor_stored() {
    let (cache, vehicles) = (cache(), [vehicle(1, 1)]);
    let early = lookup(&cache, &vehicles).lead.unwrap();
    let holds = [(); 2].map(|()| cache.hold_vehicles(scope(&vehicles, &[]), Cause::Replica));
    let fill = |leases: Leases<u32>| leases.fill(vec![element("x")], true, Moment::now());
    assert!(fill(early).is_empty());
    for hold in holds {
        let (one, other) = (lookup(&cache, &vehicles), lookup(&cache, &vehicles));
        assert!(matches!(other.found[0], Lookup::Leading(_)), "it joins nobody");
        for found in [one, other] {
            assert!(fill(found.lead.unwrap()).is_empty());
        }
        assert!(
            lookup(&cache, &[vehicle(2, 2)])
                .lead
                .is_some_and(|lead| !fill(lead).is_empty())
        );
        fill_nothing(&cache, vehicle(2, 2));
        drop(hold);
    }
    assert!(!fill(lookup(&cache, &vehicles).lead.unwrap()).is_empty());
    let _hold = cache.hold_vehicles(partition(0).into(), Cause::Replica);
    assert_eq!(seen(&cache, vehicle(1, 1)), None, "dropped");
    assert!(fill(lookup(&cache, &vehicles).lead.unwrap()).is_empty());
}

/// Empties a vehicle's place again.
fn fill_nothing(cache: &TestCache, vehicle: Vehicle) {
    drop(cache.invalidate_here(scope(&[vehicle], &[]), Cause::Purge, None));
}

#[tokio::test(start_paused = true)]
async fn in_doubt_nothing_older_is_served_and_nothing_sent_is_joined() {
    for max_age in [Some(10 * SECOND), Some(Duration::ZERO)] {
        let cache = replicated(&Recorder { max_age, ..Recorder::default() });
        let one = vehicle(1, 1);
        fill(&cache, one, "a");
        let at = |seconds: u32| {
            let directives = directives_of("");
            let now = Instant::now() + seconds * SECOND;
            let lookups = cache.lookup(Some(partition(0)), [one].into_iter(), &directives, now);
            let is_hit = matches!(lookups.found[0], Lookup::Hit(_));
            let is_joined = matches!(lookups.found[0], Lookup::Joined(_));
            lookups.leases.mark_sent(None);
            (is_hit, is_joined, lookups)
        };
        let is_zero = max_age == Some(Duration::ZERO);
        assert_eq!(at(10).0, !is_zero);
        let (is_hit, _, _calling) = at(11);
        let (_, is_joined, _) = at(11);
        assert!(!is_hit && is_joined != is_zero);
        let now = Instant::now() + 100 * SECOND;
        let stale = cache.stale_if_error(partition(0), one, &directives_of(""), now);
        assert!(stale.is_some(), "Sync fails, and that is all there is");

        let life = cache.life_of(partition(0), one, Moment::now());
        let held = life.held.unwrap();
        assert_eq!((life.is_shared, life.doubt), (true, max_age));
        for until in [held.fresh_until, held.stale_until] {
            assert_eq!(until.duration_since(held.stored_at).ok(), max_age);
        }
        let until = held.stale_if_error_until;
        assert_eq!(until.duration_since(held.stored_at).ok(), Some(3660 * SECOND));
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_log_drops_what_is_held_and_nobody_is_blamed_for_it() {
    let cache = replicated(&Recorder::default());
    let one = vehicle(1, 1);
    let life = || cache.life_of(partition(0), one, Moment::now());
    cache.forget_vehicles(Cause::Lost);
    assert_eq!(life().dropped, None, "nothing was held");
    fill(&cache, one, "a");
    cache.forget_vehicles(Cause::Lost);
    assert!(life().held.is_none());
    assert_eq!(life().dropped.map(|drop| drop.cause), Some(Cause::Lost));
    assert_eq!(cache.metrics().invalidations(Cause::Lost).get(), 1);
}

/// What another replica has had for so long, and would have for a minute.
fn found(age: Duration) -> Option<Found> {
    let results = Results::new(element("theirs"), 60 * SECOND, Moment::now());
    let mut bytes = Vec::new();
    Record::write(&results, 0, &mut bytes);
    Some(Found { record: Record::parse(&bytes).unwrap(), age })
}

#[tokio::test]
async fn what_others_have_is_taken_if_it_is_wanted_and_the_rest_is_fetched() {
    let recorder = Recorder {
        found: Some(vec![found(SECOND), None, found(59 * SECOND), found(61 * SECOND)]),
        ..Recorder::default()
    };
    let cache = replicated(&recorder);
    let vehicles = [1, 2, 3, 4].map(|nth| vehicle(nth, 0));
    let asked_at = Instant::now();
    let any = Directives::default();
    let ask = |directives: &Directives| {
        let lookups = cache.lookup(Some(partition(0)), vehicles.into_iter(), directives, asked_at);
        (lookups.found, lookups.leases)
    };
    let (leading, leases) = ask(&any);
    let (mut joined, none) = ask(&any);
    assert!(none.is_empty());
    let asking = cache.ask_replicas(partition(0), leases, &any);
    let mut asking = asking.unwrap_or_else(|_| panic!("they are asked"));
    let mut rest = asking.next().await.unwrap();
    assert_eq!(rest.items().collect::<Vec<_>>(), [vehicles[3]], "stale");
    rest.append(asking.next().await.unwrap());
    assert_eq!(rest.items().collect::<Vec<_>>(), [vehicles[3], vehicles[1]], "absent");
    assert!(asking.next().await.is_none());
    assert!(recorder.shared.lock().is_empty(), "they have it already");
    let filled = leading.into_iter().step_by(2).chain([joined.remove(0)]);
    for mut lookup in filled {
        let Some(super::Outcome::Filled(entry)) = lookup.outcome().await else {
            panic!("it is there")
        };
        assert_eq!((entry.bytes(), entry.source()), (&b"theirs"[..], Source::Shared));
        assert!(cache.is_wanted(&entry, &any, asked_at));
        let no_cache = Directives { no_cache: true, ..any.clone() };
        let young = Directives { max_age: Some(Duration::ZERO), ..any.clone() };
        let keeping = Directives { min_fresh: Some(60 * SECOND), ..any.clone() };
        for directives in [no_cache, young, keeping] {
            assert!(!cache.is_wanted(&entry, &directives, asked_at), "{directives:?}");
        }
    }
    let called = vec![element("called"), element("called")];
    cache.fill_from_call(Some(partition(0)), rest, called, true, |_, _| {});
    assert_eq!(*recorder.shared.lock(), [vehicles[3], vehicles[1]]);
    let fetched_at = |vehicle| {
        cache
            .life_of(partition(0), vehicle, Moment::now())
            .fetched_at
    };
    assert!(fetched_at(vehicles[1]).is_some());
    let Some(super::Outcome::Filled(entry)) = joined[0].outcome().await else {
        panic!("it is there")
    };
    let no_cache = Directives { no_cache: true, ..any.clone() };
    assert!(cache.is_wanted(&entry, &no_cache, asked_at), "it was asked for after that");
    let (_, leases) = ask(&no_cache);
    assert!(cache.ask_replicas(partition(0), leases, &no_cache).is_err(), "not asked");
}

/// Says when it is dropped.
struct Flag(Arc<Mutex<bool>>);

impl Drop for Flag {
    fn drop(&mut self) {
        *self.0.lock() = true;
    }
}

#[tokio::test]
async fn what_another_asks_for_is_waited_for_and_what_is_asked_here_is_claimed_to_its_end() {
    let has_ended = Arc::new(Mutex::new(false));
    let guard: Guard = Box::new(Flag(Arc::clone(&has_ended)));
    let rounds = [
        vec![Sought::Missing(Some(guard)), Sought::Awaited, Sought::Awaited],
        vec![Sought::Awaited, Sought::Awaited],
        vec![Sought::Found(found(SECOND).unwrap()), Sought::Awaited],
        vec![Sought::Missing(None)],
    ];
    let recorder = Recorder {
        found: Some(vec![None; 3]),
        sought: Arc::new(Mutex::new(rounds.into())),
        ..Recorder::default()
    };
    let cache = replicated(&recorder);
    let vehicles = [1, 2, 3].map(|nth| vehicle(nth, 0));
    let any = Directives::default();
    let lookups = cache.lookup(Some(partition(0)), vehicles.into_iter(), &any, Instant::now());
    let [mut first, mut second, _third] =
        <[_; 3]>::try_from(lookups.found).unwrap_or_else(|_| panic!("three"));
    let asking = cache.ask_replicas(partition(0), lookups.leases, &any);
    let mut asking = asking.unwrap_or_else(|_| panic!("they are asked"));
    let rest = asking.next().await.unwrap();
    assert_eq!(rest.items().collect::<Vec<_>>(), [vehicles[0]]);
    assert!(!*has_ended.lock());
    cache.fill_from_call(Some(partition(0)), rest, vec![element("called")], true, |_, _| {});
    assert!(*has_ended.lock());
    assert!(matches!(first.outcome().await, Some(super::Outcome::Filled(_))));
    let rest = asking.next().await.unwrap();
    assert_eq!(rest.items().collect::<Vec<_>>(), [vehicles[2]], "given up");
    let Some(super::Outcome::Filled(entry)) = second.outcome().await else { panic!("it is there") };
    assert_eq!(entry.source(), Source::Shared);
    drop(rest);
    assert!(asking.next().await.is_none());
}
