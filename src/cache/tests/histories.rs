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
    lease: Option<Lease<u32>>,
    is_sent: bool,
    waiting: Vec<(Vehicle, Seat<u32>)>,
    directives: Directives,
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

// === impl History ===

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
                Step::Send(_) | Step::End(..) if self.calls.is_empty() => {}
                Step::Send(call) => {
                    let call = call.get_mut(&mut self.calls);
                    call.is_sent = true;
                    drop(call.lease.as_ref().unwrap().sending());
                }
                Step::End(call, end) => {
                    let call = self.calls.swap_remove(call.index(self.calls.len()));
                    self.end(call, end);
                }
                Step::Write { scope, is_known } => {
                    self.model.write(&scope, is_known);
                    let fence_for = (!is_known).then_some(Duration::from_secs(HOLD_OFF));
                    self.cache.invalidate(&scope, Cause::OtherWrite, fence_for);
                }
                Step::Purge(filter) => {
                    let (purged, expected) =
                        (self.cache.purge(&filter).await, self.model.purge(&filter));
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
        self.cache.purge(&PurgeFilter::default()).await;
        self.cache.0.check();
        assert_eq!(self.cache.metrics().bytes.get(), 0);
    }

    fn ask(&mut self, partition: usize, vehicles: &[Vehicle], directives: Directives, cut: bool) {
        let Claim { places, lead, refresh } = self.cache.claim(
            Some(self.partitions[partition]),
            vehicles.iter().copied(),
            &directives,
            Instant::now(),
        );
        let (mut led, mut refreshed, mut own) = (Vec::new(), Vec::new(), Vec::new());
        for (&vehicle, place) in vehicles.iter().zip(places) {
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
                Lookup::Leading(seat) => {
                    led.push(vehicle);
                    own.push((vehicle, seat));
                    Expected::Leading
                }
                Lookup::Joined(seat) => {
                    assert!(seat.outcome().now_or_never().is_none(), "joined what is over");
                    let joins = |call: &&mut Call| {
                        let flight = call.lease.as_ref().unwrap().flight();
                        Arc::ptr_eq(flight, seat.flight())
                            && call
                                .lease
                                .as_ref()
                                .unwrap()
                                .vehicles()
                                .any(|it| it == vehicle)
                    };
                    let call = self.calls.iter_mut().find(joins).unwrap();
                    let nth = call.nth;
                    call.waiting.push((vehicle, seat));
                    Expected::Joined(nth)
                }
            };
            assert_eq!(found, expected);
        }
        for (lease, expected, mut seats) in [(lead, led, own), (refresh, refreshed, Vec::new())] {
            let Some(lease) = lease else {
                assert!(expected.is_empty());
                continue;
            };
            assert!(lease.vehicles().eq(expected.iter().copied()));
            let sizes = if cut { vec![1, expected.len() - 1] } else { vec![expected.len()] };
            for lease in lease.split(sizes.into_iter()) {
                let nth = self.called;
                self.called += 1;
                for vehicle in lease.vehicles().filter(|_| !directives.no_store) {
                    let may_store = self.model.may_store(partition, vehicle);
                    self.model
                        .asking
                        .insert((partition, vehicle), (nth, may_store));
                }
                let waiting = seats
                    .drain(..lease.vehicles().len().min(seats.len()))
                    .collect();
                let (lease, directives) = (Some(lease), directives.clone());
                self.calls.push(Call {
                    nth,
                    partition,
                    lease,
                    is_sent: false,
                    waiting,
                    directives,
                });
            }
        }
    }

    fn end(&mut self, mut call: Call, end: End) {
        let lease = call.lease.take().unwrap();
        let vehicles: Vec<_> = lease.vehicles().collect();
        let bytes = |nth| format!("call {} place {nth} {}", call.nth, "x".repeat(500));
        for (_, seat) in &call.waiting {
            assert!(seat.outcome().now_or_never().is_none(), "over too early");
        }
        match end {
            End::Filled { class, may_store } => {
                let element_of =
                    |nth| Element { bytes: bytes(nth).into_bytes().into(), classes: class.into() };
                let elements = (0..vehicles.len()).map(element_of).collect();
                lease.fill(elements, may_store, Instant::now());
            }
            End::Failed => lease.fail(call.nth as u32),
            End::Abandoned => drop(lease),
        }
        for (nth, &vehicle) in vehicles.iter().enumerate() {
            let key = (call.partition, vehicle);
            for (_, seat) in call.waiting.iter().filter(|(of, _)| *of == vehicle) {
                match (seat.outcome().now_or_never(), end) {
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
        let held = self.cache.metrics().entries.get();
        let expected = self.model.held.len() as i64;
        assert!(held == expected || self.is_small && held < expected, "{held} of {expected} held");
        if self.is_small {
            assert!(self.cache.metrics().bytes.get() <= SMALL as i64);
        }
    }
}
