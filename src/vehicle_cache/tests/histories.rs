//! Random histories of reads, writes, failures, hang-ups, purges and clock steps, held against a
//! plain [`model`]: maps of what is held, of who asks for what, and of what is held off.
//!
//! `VINGATE_SEED` runs the same histories again.

use futures_util::FutureExt as _;
use proptest::{
    prelude::*,
    sample::{Index, select, subsequence},
    test_runner::{Config as ProptestConfig, RngSeed, TestRunner},
};

use self::model::{Expected, HOLD_OFF, Held, Model};
use super::{interleavings::seed, *};

mod model;

#[derive(Clone, Debug)]
enum Step {
    /// A request asks. Its calls are cut in two if `is_cut`.
    Ask {
        partition: usize,
        vehicles: Vec<Vehicle>,
        directives: &'static str,
        is_cut: bool,
    },
    /// A call is sent.
    Send(Index),
    /// Two calls that are not sent become one.
    Merge(Index, Index),
    /// The request that leads a call waits no more, and what nobody else waits for is dropped.
    Leave(Index),
    /// A call is over.
    End(Index, End),
    Write {
        scope: InvalidationScope,
        is_known: bool,
    },
    Purge(PurgeFilter),
    /// What partitions held when they were dropped is swept out.
    Sweep,
    /// So many seconds pass.
    Wait(u64),
}

#[derive(Clone, Copy, Debug)]
enum End {
    Filled { class: Class, may_store: bool },
    Failed,
    Abandoned,
}

/// A call under way, and who waits for it.
struct Call {
    nth: usize,
    partition: usize,
    lease: Option<Leases<u32>>,
    /// Of each lease, in order.
    items: Vec<Item>,
    is_sent: bool,
    waiting: Vec<Waiting>,
    directives: Directives,
}

#[derive(Clone)]
struct Item {
    vehicle: Vehicle,
    flight: Arc<Flight<u32>>,
    is_refresh: bool,
}

struct Waiting {
    vehicle: Vehicle,
    waiter: Waiter<u32>,
    is_leading: bool,
}

struct History {
    cache: TestCache,
    /// Whether the policy may let anything go.
    is_small: bool,
    partitions: [Partition; 2],
    model: Model,
    calls: Vec<Call>,
    called: usize,
}

const SMALL: u64 = 3000;

#[test]
fn the_cache_does_what_a_plain_model_does() {
    let cases = 2500;
    let config = ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(seed()),
        failure_persistence: None,
        ..<_>::default()
    };
    let history = (any::<bool>(), prop::collection::vec(step(), 1..60));
    TestRunner::new(config)
        .run(&history, |(is_small, steps)| {
            tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()?
                // The cache counts its seconds from the clock that is turned by hand.
                .block_on(async { History::new(is_small).run(steps).await });
            Ok(())
        })
        .unwrap();
}

fn vehicles() -> impl Iterator<Item = Vehicle> {
    (0..6).map(|n| vehicle(n / 2, n % 3))
}

fn step() -> impl Strategy<Value = Step> {
    let all: Vec<_> = vehicles().collect();
    let one = select(all.clone());
    let ask = (0..2usize, subsequence(all, 1..5).prop_shuffle(), select(DIRECTIVES), any::<bool>())
        .prop_map(|(partition, vehicles, directives, is_cut)| Step::Ask {
            partition,
            vehicles,
            directives,
            is_cut,
        });
    let class = select(&[Class::Finished, Class::Finished, Class::Pending, Class::Absent][..]);
    let end = prop_oneof![
        6 => (class, prop::bool::weighted(0.9))
            .prop_map(|(class, may_store)| End::Filled { class, may_store }),
        1 => Just(End::Failed),
        1 => Just(End::Abandoned),
    ];
    let scope = (one.clone(), 0..4u8).prop_map(|(vehicle, names)| InvalidationScope {
        vins: Vec::from_iter((names != 1).then_some(vehicle.vin)),
        plates: Vec::from_iter((names == 1 || names == 2).then_some(vehicle.plate)),
        partition: None,
    });
    let whole = (0..2u8)
        .prop_map(|n| InvalidationScope { partition: Some(partition(n)), ..<_>::default() });
    let scope = prop_oneof![4 => scope, 1 => whole];
    let filter = (one, 0..8u8, 0..2u8).prop_map(|(vehicle, parts, n)| PurgeFilter {
        vin: (parts & 1 > 0).then_some(vehicle.vin),
        plate: (parts & 2 > 0).then_some(vehicle.plate),
        partition: (parts & 4 > 0).then_some(partition(n)),
    });
    prop_oneof![
        8 => ask,
        2 => any::<Index>().prop_map(Step::Send),
        2 => any::<(Index, Index)>().prop_map(|(one, other)| Step::Merge(one, other)),
        1 => any::<Index>().prop_map(Step::Leave),
        6 => (any::<Index>(), end).prop_map(|(call, end)| Step::End(call, end)),
        2 => (scope, prop::bool::weighted(0.7))
            .prop_map(|(scope, is_known)| Step::Write { scope, is_known }),
        1 => filter.prop_map(Step::Purge),
        1 => Just(Step::Sweep),
        2 => select(&[1, 5, 10, 15, 20, 31, 200, 300, 900, 3600][..]).prop_map(Step::Wait),
    ]
}

const DIRECTIVES: &[&str] = &[
    "",
    "",
    "",
    "no-cache",
    "no-store",
    "only-if-cached",
    "max-age=15",
    "min-fresh=20",
    "max-stale",
    "max-stale=100",
    "no-cache, only-if-cached",
    "max-stale=1000, only-if-cached",
];

impl History {
    fn new(is_small: bool) -> Self {
        let cache = sharded(if is_small { SMALL } else { 1 << 20 }, 2);
        let partitions = [0, 1].map(partition);
        Self { cache, is_small, partitions, model: Model::default(), calls: Vec::new(), called: 0 }
    }

    async fn run(mut self, steps: Vec<Step>) {
        // One in some thousand caches drops these two partitions together.
        self.cache.0.advance_epoch(self.partitions[0]);
        if self.cache.0.epoch(self.partitions[1]) > 0 {
            return;
        }
        for step in steps {
            match step {
                Step::Ask { partition, vehicles, directives, is_cut } => {
                    self.ask(partition, &vehicles, directives_of(directives), is_cut);
                }
                Step::Send(_) | Step::Merge(..) | Step::Leave(_) | Step::End(..)
                    if self.calls.is_empty() => {}
                Step::Merge(one, other) => {
                    let count = self.calls.len();
                    self.merge(one.index(count), other.index(count));
                }
                Step::Leave(call) => self.leave(call.index(self.calls.len())),
                Step::Send(call) => {
                    let call = call.get_mut(&mut self.calls);
                    call.is_sent = true;
                    call.lease.as_ref().unwrap().mark_sent(None);
                }
                Step::End(call, end) => {
                    let call = self.calls.swap_remove(call.index(self.calls.len()));
                    self.end(call, end);
                }
                Step::Write { scope, is_known } => {
                    self.model.write(&scope, is_known);
                    let fence_for = (!is_known).then_some(Duration::from_secs(HOLD_OFF));
                    self.cache
                        .invalidate(scope, Cause::OtherWrite, fence_for)
                        .await;
                }
                Step::Purge(filter) => {
                    let (purged, expected) = (
                        self.cache.purge_vehicles(&filter, Cause::Purge).await,
                        self.model.purge(&filter),
                    );
                    assert!(purged == expected || self.is_small && purged < expected);
                }
                Step::Sweep => {
                    self.cache.sweep().await;
                    self.model.held.retain(|_, held| !held.is_dropped);
                }
                Step::Wait(seconds) => {
                    self.model.now += seconds;
                    tokio::time::advance(Duration::from_secs(seconds)).await;
                }
            }
            self.check();
        }
        for call in std::mem::take(&mut self.calls) {
            self.end(call, End::Abandoned);
        }
        self.check();
        self.cache.0.check();
        self.cache
            .purge_vehicles(&PurgeFilter::default(), Cause::Purge)
            .await;
        self.cache.0.check();
        assert_eq!(self.cache.metrics().gauges.bytes.get(), 0);
    }

    fn ask(&mut self, partition: usize, vehicles: &[Vehicle], directives: Directives, cut: bool) {
        let in_partition = Some(self.partitions[partition]);
        let Found { found, lead, refresh } =
            lookup_in(&self.cache, in_partition, vehicles, &directives);
        let (mut led, mut refreshed, mut own) = (Vec::new(), Vec::new(), Vec::new());
        for (&vehicle, place) in vehicles.iter().zip(found) {
            let is_sent = |nth| {
                self.calls
                    .iter()
                    .any(|call| call.nth == nth && call.is_sent)
            };
            let expect = || self.model.expect(partition, vehicle, &directives, is_sent);
            let (mut expected, mut refreshes) = expect();
            let is_served = matches!(place, Lookup::Hit(_) | Lookup::Stale(_));
            if self.is_small
                && !is_served
                && matches!(expected, Expected::Fresh(_) | Expected::Stale(_))
            {
                // The policy let it go.
                self.model.held.remove(&(partition, vehicle));
                let is_sent = |nth| {
                    self.calls
                        .iter()
                        .any(|call| call.nth == nth && call.is_sent)
                };
                (expected, refreshes) = self.model.expect(partition, vehicle, &directives, is_sent);
            }
            if refreshes {
                refreshed.push(vehicle);
            }
            let text = |entry: &Entry| String::from_utf8(entry.bytes().to_vec()).unwrap();
            let found = match place {
                Lookup::Hit(entry) => Expected::Fresh(text(&entry)),
                Lookup::Stale(entry) => Expected::Stale(text(&entry)),
                Lookup::NotCached => Expected::NotCached,
                Lookup::Leading(waiter) => {
                    led.push(vehicle);
                    own.push(Waiting { vehicle, waiter, is_leading: true });
                    Expected::Leading
                }
                Lookup::Joined(mut waiter) => {
                    assert!(waiter.outcome().now_or_never().is_none(), "joined what is over");
                    let joins = |call: &&mut Call| call.lease.as_ref().unwrap().are_for(&waiter);
                    let call = self.calls.iter_mut().find(joins).unwrap();
                    let nth = call.nth;
                    call.waiting
                        .push(Waiting { vehicle, waiter, is_leading: false });
                    Expected::Joined(nth)
                }
            };
            assert_eq!(found, expected);
        }
        let leases = [(lead, led, own, false), (refresh, refreshed, Vec::new(), true)];
        for (lease, expected, mut waiters, is_refresh) in leases {
            let Some(mut lease) = lease else {
                assert!(expected.is_empty());
                continue;
            };
            assert!(lease.items().eq(expected.iter().copied()));
            let flight = Arc::clone(lease.flight().unwrap());
            let rest = lease.split_off(if cut { 1 } else { expected.len() });
            for lease in [lease, rest] {
                if lease.is_empty() {
                    continue;
                }
                let nth = self.called;
                self.called += 1;
                for vehicle in lease.items().filter(|_| !directives.no_store) {
                    let may_store = self.model.may_store(partition, vehicle);
                    self.model
                        .asking
                        .insert((partition, vehicle), (nth, may_store));
                }
                let waiting = waiters.drain(..lease.len().min(waiters.len())).collect();
                let item = |vehicle| Item { vehicle, flight: Arc::clone(&flight), is_refresh };
                let items = lease.items().map(item).collect();
                let (lease, directives) = (Some(lease), directives.clone());
                self.calls.push(Call {
                    nth,
                    partition,
                    lease,
                    items,
                    is_sent: false,
                    waiting,
                    directives,
                });
            }
        }
    }

    /// One call carries what two would have.
    fn merge(&mut self, one: usize, other: usize) {
        let of = |nth: usize| {
            let call = &self.calls[nth];
            (call.partition, call.is_sent, call.directives.no_store)
        };
        // After a write two calls may be for one vehicle; who waits for which is not told apart here.
        let has_shared = self.calls[one].items.iter().any(|item| {
            self.calls[other]
                .items
                .iter()
                .any(|other| other.vehicle == item.vehicle)
        });
        if one == other || of(one) != of(other) || of(one).2 || has_shared {
            return;
        }
        let taken = self.calls.swap_remove(other);
        // The last one has taken its place.
        let one = if one == self.calls.len() { other } else { one };
        let call = &mut self.calls[one];
        call.lease.as_mut().unwrap().append(taken.lease.unwrap());
        call.items.extend(taken.items);
        call.waiting.extend(taken.waiting);
        for (nth, _) in self.model.asking.values_mut() {
            if *nth == taken.nth {
                *nth = call.nth;
            }
        }
    }

    /// The request that leads the first vehicle of a call waits no more.
    fn leave(&mut self, nth: usize) {
        let leaving = Arc::clone(&self.calls[nth].items[0].flight);
        leaving.leader_left();
        for call in &mut self.calls {
            let Call { items, waiting, nth, partition, .. } = call;
            let of_leaving = |vehicle| {
                let is_of = |item: &&Item| {
                    item.vehicle == vehicle
                        && !item.is_refresh
                        && Arc::ptr_eq(&item.flight, &leaving)
                };
                items.iter().any(|item| is_of(&item))
            };
            waiting.retain(|waiting| !(waiting.is_leading && of_leaving(waiting.vehicle)));
            let lease = call.lease.as_mut().unwrap();
            lease.drop_unwanted();
            let mut kept = Vec::new();
            for item in items.drain(..) {
                let is_joined = waiting
                    .iter()
                    .any(|waiting| waiting.vehicle == item.vehicle);
                let is_left = Arc::ptr_eq(&item.flight, &leaving);
                if item.is_refresh || is_joined || !is_left {
                    kept.push(item);
                } else if self
                    .model
                    .asking
                    .get(&(*partition, item.vehicle))
                    .is_some_and(|it| it.0 == *nth)
                {
                    self.model.asking.remove(&(*partition, item.vehicle));
                }
            }
            assert!(lease.items().eq(kept.iter().map(|item| item.vehicle)), "others are dropped");
            *items = kept;
        }
        self.calls.retain(|call| !call.items.is_empty());
    }

    fn end(&mut self, mut call: Call, end: End) {
        let lease = call.lease.take().unwrap();
        let vehicles: Vec<_> = lease.items().collect();
        let bytes = |nth| format!("call {} place {nth} {}", call.nth, "x".repeat(500));
        for Waiting { waiter, .. } in &mut call.waiting {
            assert!(waiter.outcome().now_or_never().is_none(), "over too early");
        }
        match end {
            End::Filled { class, may_store } => {
                let element_of =
                    |nth| Element { bytes: bytes(nth).into_bytes().into(), classes: class.into() };
                let elements = (0..vehicles.len()).map(element_of).collect();
                lease.fill(elements, may_store, Moment::now());
            }
            End::Failed => lease.fail(call.nth as u32),
            End::Abandoned => drop(lease),
        }
        for (nth, &vehicle) in vehicles.iter().enumerate() {
            let key = (call.partition, vehicle);
            for Waiting { waiter, .. } in call
                .waiting
                .iter_mut()
                .filter(|waiting| waiting.vehicle == vehicle)
            {
                match (waiter.outcome().now_or_never(), end) {
                    (Some(Outcome::Filled(entry)), End::Filled { .. }) => {
                        assert_eq!(entry.bytes(), bytes(nth).as_bytes());
                    }
                    (Some(Outcome::Failed(failure)), End::Failed) => {
                        assert_eq!(failure, call.nth as u32);
                    }
                    (Some(Outcome::Abandoned), End::Abandoned) => {}
                    _ => panic!("a waiter is told something else"),
                }
            }
            let own = |asking: &&(usize, bool)| asking.0 == call.nth;
            if let Some(&(_, may)) = self.model.asking.get(&key).filter(own) {
                self.model.asking.remove(&key);
                if let End::Filled { class, may_store: true } = end
                    && may
                {
                    let (bytes, filled_at) = (bytes(nth), self.model.now);
                    let held = Held { bytes, class, filled_at, is_dropped: false };
                    self.model.held.insert(key, held);
                }
            }
            let stale = self.cache.stale_if_error(
                self.partitions[call.partition],
                vehicle,
                &call.directives,
                Instant::now(),
            );
            let stale = stale.map(|entry| String::from_utf8(entry.bytes().to_vec()).unwrap());
            let expected = self.model.stale_if_error(key, &call.directives);
            assert!(stale == expected || self.is_small && stale.is_none());
        }
    }

    fn check(&self) {
        let held = self.cache.metrics().gauges.entries.get();
        let expected = self.model.held.len() as i64;
        assert!(held == expected || self.is_small && held < expected, "{held} of {expected} held");
        if self.is_small {
            assert!(self.cache.metrics().gauges.bytes.get() <= SMALL as i64);
        }
    }
}
