//! Small programs of readers and writers, run in every order that their steps can have.
//!
//! The code under test is the cache itself, not a copy of its rules. What its threads share is
//! behind locks, so what happens under one is a step, and the tests' [`lock`] lets shuttle choose
//! whose step is next. Its depth-first scheduler runs every order: none is left to luck. (loom
//! would also reorder the reads and writes inside a step, which the locks rule out.) Without such
//! a lock are shared: the fence and the epochs, which are written before a lock is taken that
//! their readers hold; `has_leader`, `Evicted::any` and the gauges, which decide nothing but when
//! work is done; and `Notify`, each use of which is a step, too. The policy's locks are its own.
//!
//! The upstream is a version for each vehicle, which a write raises before it is answered. What
//! must hold, in every order:
//!
//! - nobody gets a version older than the last write that was answered before they asked, and
//!   with `no-cache` none older than the moment they asked;
//! - when all is over, nothing can be had from the cache but the last version, and nothing of a
//!   write whose outcome is unknown;
//! - everybody has a response (shuttle reports threads that wait for ever), nothing in flight and no slot is
//!   left, and tables, policy and gauges say the same.
//!
//! Small programs are run in all orders each time, large ones in all orders when asked for
//! (`--ignored`), huge ones in random orders, and random ones on threads of the machine. A random
//! test prints its seed when it fails; `VINGATE_SEED` runs it again.

use std::{hash::BuildHasher as _, sync::LazyLock};

use futures_util::FutureExt as _;
use parking_lot::Mutex;
use shuttle::{
    Config as ShuttleConfig, Runner,
    future::block_on,
    scheduler::{DfsScheduler, RandomScheduler, Schedule, Scheduler, Task, TaskId},
};

use self::{Call::*, Names::*, programs::*};
use super::*;
use crate::cache::{FEW_TAGS, Store};

mod programs;

/// What one thread of a program does.
#[derive(Clone, Copy, Debug)]
enum Actor {
    /// Asks for vehicles as a batch does, `later` seconds after the start.
    Read { vehicles: &'static [usize], directives: &'static str, later: u64, call: Call },
    /// Changes vehicles in the upstream and drops them from the cache.
    Write { vehicles: &'static [usize], names: Names, is_known: bool },
    /// Changes vehicles in the upstream through another replica, which says so before.
    WriteElsewhere { vehicles: &'static [usize], names: Names },
    /// Sweeps out what partitions held when they were dropped.
    Sweep,
    /// Brings back what was held of vehicles before the start.
    Restore { vehicles: &'static [usize] },
}

/// What becomes of a reader's calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Call {
    Lands,
    /// Lands, and the upstream reads some time after it was sent, not at once.
    IsSentEarly,
    /// Brings what may not be stored.
    LandsUnstored,
    Fails,
    /// Nothing: it is given up, and so is the request.
    IsDropped,
}

/// How a write says what it has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Names {
    Vins,
    Plates,
    /// Among so many that every slot is looked at.
    Many,
    /// The whole partition.
    Whole,
    /// A purge of everything.
    Purge,
}

/// What the threads of a program share.
struct Scene {
    cache: TestCache,
    vehicles: [Vehicle; 2],
    world: Mutex<World>,
    restoring: Mutex<Option<Restoring<u32>>>,
}

#[derive(Clone, Default)]
struct World {
    /// What the upstream has now.
    versions: [u32; 2],
    /// What it has for certain: the version of the last write that was answered.
    answered: [u32; 2],
    /// Vehicles of which nothing may be held at the end.
    held_off: [bool; 2],
}

#[test]
fn no_order_of_steps_of_small_programs_breaks_a_promise() {
    explore_all(SMALL);
}

#[test]
#[ignore = "some hundred thousand orders take a minute"]
fn no_order_of_steps_of_large_programs_breaks_a_promise() {
    explore_all(LARGE);
}

#[test]
fn random_orders_of_huge_programs_break_no_promise() {
    let seed = seed();
    for program in HUGE {
        explore(program, RandomScheduler::new_from_seed(seed, 1500));
    }
}

#[test]
fn threads_of_the_machine_break_no_promise() {
    const READS: [&str; 4] = ["", "", "no-cache", "only-if-cached"];
    const CALLS: [Call; 6] = [Lands, Lands, Lands, IsSentEarly, LandsUnstored, Fails];
    let seed = seed();
    for room in [ROOM, 1] {
        let scene = &Scene::new(sharded(room * WEIGHT, 2), &[]);
        std::thread::scope(|threads| {
            for thread in 0..4 {
                threads.spawn(move || {
                    for nth in 0..2000u64 {
                        let random = foldhash::fast::FixedState::with_seed(seed)
                            .hash_one((thread, nth)) as usize;
                        let vehicles = [&[0][..], &[1], &[0, 1], &[1, 0]][random % 4];
                        scene.act(match random >> 2 & 15 {
                            0 => write(Vins, vehicles),
                            1 => write(Plates, vehicles),
                            2 => write(Whole, &[0, 1]),
                            3 => write(Purge, &[0, 1]),
                            4 => read_for(IsDropped, vehicles),
                            5 => Actor::Sweep,
                            6 => write(Many, vehicles),
                            7 => write_elsewhere(Vins, vehicles),
                            8 => write_elsewhere(Whole, &[0, 1]),
                            _ => Actor::Read {
                                vehicles,
                                directives: READS[random >> 6 & 3],
                                later: [0, 1000][random >> 8 & 1],
                                call: CALLS[(random >> 9) % 6],
                            },
                        });
                    }
                });
            }
        });
        scene.check();
    }
}

fn explore_all(programs: &[Program]) {
    let mut explored = 0;
    for program in programs {
        let orders = explore(program, MainFirst(DfsScheduler::new(None, false)));
        println!("{orders:>7} orders of {program:?}");
        assert!(orders > 1, "nothing was explored");
        explored += orders;
    }
    println!("{explored:>7} orders in all");
}

/// The seed of a random test: `VINGATE_SEED`, or another one each time. It is printed when the
/// test fails.
pub(super) fn seed() -> u64 {
    let given = std::env::var("VINGATE_SEED").ok();
    let seed = match given {
        Some(seed) => seed.parse().unwrap(),
        None => foldhash::fast::RandomState::default().hash_one(0),
    };
    println!("VINGATE_SEED={seed}");
    seed
}

/// Runs `program` in as many orders as `scheduler` wants, and gives their number.
fn explore(program: &Program, scheduler: impl Scheduler + 'static) -> usize {
    let &(held, room, shards, actors) = program;
    // What a full cache lets go of depends on what it has seen before. All else that a run leaves
    // behind is cleared away at its end.
    let new = move || sharded(room * WEIGHT, shards);
    let used = new();
    let cache = move || if room == ROOM { used.clone() } else { new() };
    let mut config = ShuttleConfig::new();
    config.stack_size = 1 << 19;
    lock::scheduled(|| {
        Runner::new(scheduler, config).run(move || {
            let scene = lock::at_once(|| Arc::new(Scene::new(cache(), held)));
            if actors
                .iter()
                .any(|actor| matches!(actor, Actor::Restore { .. }))
            {
                *scene.restoring.lock() = Some(scene.cache.restore());
            }
            let threads: Vec<_> = actors
                .iter()
                .map(|&actor| {
                    let scene = Arc::clone(&scene);
                    shuttle::thread::spawn(move || scene.act(actor))
                })
                .collect();
            threads
                .into_iter()
                .for_each(|thread| thread.join().unwrap());
            lock::at_once(|| scene.check());
        })
    })
}

/// Lets the thread that starts the others do so before any of them runs.
struct MainFirst<S>(S);

impl<S: Scheduler> Scheduler for MainFirst<S> {
    fn new_execution(&mut self) -> Option<Schedule> {
        self.0.new_execution()
    }

    fn next_task(
        &mut self,
        runnable: &[&Task],
        current: Option<TaskId>,
        is_yielding: bool,
    ) -> Option<TaskId> {
        match runnable {
            [first, ..] if first.id() == TaskId::from(0) => Some(first.id()),
            _ => self.0.next_task(runnable, current, is_yielding),
        }
    }

    fn next_u64(&mut self) -> u64 {
        self.0.next_u64()
    }
}

impl Scene {
    /// The first vehicle is of the first shard of `cache`, the second of the last. Those of `held`
    /// are held from the start.
    fn new(cache: TestCache, held: &[usize]) -> Self {
        let in_shard = |shard: usize| {
            let is_there = |&plate: &u8| cache.0.shard_of(key(0, plate, plate)) == shard;
            vehicle_of((100 * shard as u8..).find(is_there).unwrap())
        };
        let vehicles = [in_shard(0), in_shard(cache.0.last_shard())];
        let (world, restoring) = (Mutex::default(), Mutex::default());
        let scene = Self { cache, vehicles, world, restoring };
        for &vehicle in held {
            scene.read(&[vehicle], "", Instant::now(), Lands);
        }
        scene
    }

    fn act(&self, actor: Actor) {
        match actor {
            Actor::Read { vehicles, directives, later, call } => {
                self.read(vehicles, directives, Instant::now() + SECOND * later as u32, call);
            }
            Actor::Write { vehicles, names, is_known } => self.write(vehicles, names, is_known),
            Actor::WriteElsewhere { vehicles, names } => self.write_elsewhere(vehicles, names),
            Actor::Sweep => wait(self.cache.sweep()),
            Actor::Restore { vehicles } => self.restore(vehicles),
        }
    }

    fn restore(&self, vehicles: &[usize]) {
        let restoring = self.restoring.lock().take().expect("one restores");
        for &nth in vehicles {
            let bytes = World::default().versions[nth].to_be_bytes();
            let element = Element { bytes: bytes.into(), classes: Class::Finished.into() };
            let results = Results::new(element, 900 * SECOND, Moment::now());
            let key = Key { partition: partition(0), item: self.vehicles[nth] };
            restoring.insert(key, results, Instant::now());
        }
        restoring.settle();
    }

    fn read(&self, wanted: &[usize], directives: &str, now: Instant, call: Call) {
        let directives = directives_of(directives);
        let world = self.world.lock().clone();
        let floor = if directives.no_cache { world.versions } else { world.answered };
        let mut wanted = wanted.to_vec();
        while !wanted.is_empty() {
            let vehicles = wanted.iter().map(|&nth| self.vehicles[nth]);
            let vehicles: Vec<_> = vehicles.collect();
            let vehicles = vehicles.iter().copied();
            let lookups = self
                .cache
                .lookup(Some(partition(0)), vehicles, &directives, now);
            let Found { found, lead, refresh } = lookups.into();
            for lease in [lead, refresh].into_iter().flatten() {
                self.call(lease, now, call);
            }
            if call == IsDropped {
                return;
            }
            let mut again = Vec::new();
            for (mut place, nth) in found.into_iter().zip(wanted) {
                let outcome = match place {
                    Lookup::Joined(_) => wait(place.outcome()),
                    _ => lock::at_once(|| place.outcome().now_or_never().unwrap()),
                };
                let entry = match outcome {
                    Some(Outcome::Filled(entry)) => entry,
                    Some(Outcome::Abandoned) => {
                        again.push(nth);
                        continue;
                    }
                    Some(Outcome::Failed(_)) => {
                        let vehicle = self.vehicles[nth];
                        let stale =
                            self.cache
                                .stale_if_error(partition(0), vehicle, &directives, now);
                        let Some(entry) = stale else { continue };
                        entry
                    }
                    None => continue,
                };
                assert!(version(&entry) >= floor[nth], "older than what was written before");
            }
            wanted = again;
        }
    }

    fn call(&self, lease: Leases<u32>, now: Instant, call: Call) {
        if call == IsSentEarly {
            lease.mark_sent(None);
        }
        lock::switch();
        let versions = lock::at_once(|| {
            lease.mark_sent(None);
            self.world.lock().versions
        });
        let element_of = |vehicle| {
            let nth = self.vehicles.iter().position(|&it| it == vehicle).unwrap();
            Element { bytes: versions[nth].to_be_bytes().into(), classes: Class::Finished.into() }
        };
        let elements = lease.items().map(element_of).collect();
        match call {
            Lands | IsSentEarly => drop(lease.fill(elements, true, at(now))),
            LandsUnstored => drop(lease.fill(elements, false, at(now))),
            Fails => lease.fail(0),
            IsDropped => drop(lease),
        }
    }

    fn write(&self, vehicles: &[usize], names: Names, is_known: bool) {
        let written = {
            let world = &mut *self.world.lock();
            for &nth in vehicles {
                world.versions[nth] += 1;
                world.held_off[nth] |= !is_known;
            }
            world.versions
        };
        let scope = self.scope(vehicles, names);
        let fence_for = (!is_known).then_some(9000 * SECOND);
        if names == Purge {
            wait(
                self.cache
                    .purge_vehicles(&PurgeFilter::default(), Cause::Purge),
            );
        } else {
            wait(self.cache.invalidate(scope, Cause::OtherWrite, fence_for));
        }
        self.answer(vehicles, written);
    }

    /// The response leaves while what was written is held here, and before it is known here that
    /// the write is done.
    fn write_elsewhere(&self, vehicles: &[usize], names: Names) {
        let scope = self.scope(vehicles, names);
        let hold = self.cache.hold_vehicles(scope.clone(), Cause::Replica);
        let written = {
            let world = &mut *self.world.lock();
            vehicles.iter().for_each(|&nth| world.versions[nth] += 1);
            world.versions
        };
        self.answer(vehicles, written);
        lock::switch();
        wait(self.cache.invalidate_here(scope, Cause::Replica, None));
        drop(hold);
    }

    fn answer(&self, vehicles: &[usize], written: [u32; 2]) {
        let world = &mut *self.world.lock();
        for &nth in vehicles {
            world.answered[nth] = world.answered[nth].max(written[nth]);
        }
    }

    fn scope(&self, vehicles: &[usize], names: Names) -> InvalidationScope {
        let named = vehicles.iter().map(|&nth| self.vehicles[nth]);
        match names {
            Vins => InvalidationScope { vins: named.map(|it| it.vin).collect(), ..<_>::default() },
            Many => InvalidationScope {
                vins: named.map(|it| it.vin).chain(others()).collect(),
                ..<_>::default()
            },
            Plates => {
                InvalidationScope { plates: named.map(|it| it.plate).collect(), ..<_>::default() }
            }
            Whole => InvalidationScope { partition: Some(partition(0)), ..<_>::default() },
            Purge => InvalidationScope::default(),
        }
    }

    /// What must hold when all is over.
    fn check(&self) {
        let store: &Store<_> = &self.cache.0;
        store.check();
        let world = self.world.lock();
        assert_eq!(world.versions, world.answered);
        store.for_each(|vehicle, results| {
            let nth = self.vehicles.iter().position(|it| it == vehicle);
            let nth = nth.expect("a vehicle of this scene");
            assert_eq!(version(results), world.versions[nth], "stored after a write");
            assert!(!world.held_off[nth], "stored although a write's outcome is unknown");
        });
        let filter = PurgeFilter { partition: Some(partition(0)), ..<_>::default() };
        wait(self.cache.purge_vehicles(&filter, Cause::Purge));
        store.check();
        assert_eq!(self.cache.metrics().gauges.bytes.get(), 0);
        let is_held = |item| {
            let key = Key { partition: partition(0), item };
            store.is_fenced(&key, Instant::now() + 9001 * SECOND)
        };
        assert!(!self.vehicles.into_iter().any(is_held), "nothing is held off for ever");
    }
}

/// Waits as a thread does, of shuttle or of the machine.
fn wait<T>(outcome: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);

    impl std::task::Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    if lock::is_scheduled() {
        return block_on(outcome);
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut outcome = std::pin::pin!(outcome);
    loop {
        match outcome
            .as_mut()
            .poll(&mut std::task::Context::from_waker(&waker))
        {
            std::task::Poll::Ready(outcome) => return outcome,
            std::task::Poll::Pending => {
                let asleep_at = Instant::now();
                std::thread::park_timeout(60 * SECOND);
                assert!(asleep_at.elapsed() < 60 * SECOND, "nobody says what became of a call");
            }
        }
    }
}

/// VINs that nobody asks for, more than a write may name one by one.
fn others() -> impl Iterator<Item = Vin> {
    static OTHERS: LazyLock<Vec<Vin>> = LazyLock::new(|| dropping::vins(FEW_TAGS).collect());
    OTHERS.iter().copied()
}

fn at(instant: Instant) -> Moment {
    Moment { instant, ..Moment::now() }
}

fn version(results: &Results) -> u32 {
    u32::from_be_bytes(results.bytes().try_into().unwrap())
}

fn vehicle_of(n: u8) -> Vehicle {
    vehicle(n, n)
}
