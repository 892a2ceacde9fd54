//! What it costs to look vehicles up: one pass a request.
//!
//! `hit1` and `hit500` ask for vehicles that are held and were asked for a moment ago; `spread500`
//! draws its 500 from 20,000 held ones, another 500 each time, so that memory is in the figure;
//! `threads500` is `hit500` while another thread does the same; `miss500` asks for vehicles that
//! are not held and gives up, which abandons their leases.
//!
//! ```text
//! cargo bench --bench cache
//! ```

mod fleet;

use std::{
    hint::black_box,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::Duration,
};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use prometheus::Registry;
use tokio::time::Instant;
use vingate::{
    vehicle::{Plate, Vehicle, Vin},
    vehicle_cache::{
        Class, Config, Directives, Element, Lifetimes, Lookup, Metrics, Moment, Partition,
        StaleWindows, Ttl, VehicleCache,
    },
};

/// Vehicles of a full request.
const BATCH: usize = 500;

/// Vehicles held.
const HELD: usize = 20_000;

/// Bytes of an element, as Sync's are on average.
const ELEMENT: usize = 1024;

fn lookup(c: &mut Criterion) {
    let vehicles = vehicles(HELD + BATCH);
    let (held, unheld) = vehicles.split_at(HELD);
    let cache = filled(held);
    let hot = &held[..BATCH];
    assert_eq!(fresh(&cache, held), HELD, "everything is held");
    assert_eq!(fresh(&cache, unheld), 0);

    let mut group = c.benchmark_group("cache/lookup");
    group.throughput(Throughput::Elements(1));
    group.bench_function("hit1", |b| b.iter(|| fresh(&cache, black_box(&hot[..1]))));

    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("hit500", |b| b.iter(|| fresh(&cache, black_box(hot))));
    group.bench_function("spread500", |b| {
        let mut batches = held.chunks_exact(BATCH).cycle();
        b.iter(|| batches.next().map(|batch| fresh(&cache, black_box(batch))));
    });
    group.bench_function("miss500", |b| b.iter(|| fresh(&cache, black_box(unheld))));
    group.bench_function("threads500", |b| {
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(Relaxed) {
                    fresh(&cache, black_box(hot));
                }
            });
            b.iter(|| fresh(&cache, black_box(hot)));
            done.store(true, Relaxed);
        });
    });
    group.finish();
}

/// Looks `vehicles` up and counts those that are held and fresh. What it would have to fetch it
/// drops.
fn fresh(cache: &VehicleCache<()>, vehicles: &[Vehicle]) -> usize {
    let asked = vehicles.iter().copied();
    let lookups = cache.lookup(Some(partition()), asked, &Directives::default(), Instant::now());
    let is_fresh = |lookup: &&Lookup<()>| matches!(lookup, Lookup::Hit(_));
    lookups.found.iter().filter(is_fresh).count()
}

/// A cache of the default size that holds `vehicles` for longer than any run.
fn filled(vehicles: &[Vehicle]) -> VehicleCache<()> {
    let day = Duration::from_secs(24 * 60 * 60);
    let cache = VehicleCache::of_vehicles(
        &Config { enabled: true, capacity: 512 << 20 },
        Lifetimes {
            ttl: Ttl { finished: day, pending: day, failed: day, absent: day, jitter: 0.1 },
            stale: StaleWindows { while_revalidate: day, if_error: day },
        },
        Metrics::register(&Registry::new()).expect("a new registry knows no names"),
    );
    for chunk in vehicles.chunks(BATCH) {
        let now = Instant::now();
        let asked = chunk.iter().copied();
        let lookups = cache.lookup(Some(partition()), asked, &Directives::default(), now);
        let element = || Element { bytes: [b'x'; ELEMENT].into(), classes: Class::Finished.into() };
        let elements = chunk.iter().map(|_| element()).collect();
        drop(lookups.leases.fill(elements, true, Moment::now()));
    }
    cache
}

fn vehicles(count: usize) -> Vec<Vehicle> {
    let parsed = fleet::fleet(count).into_iter().map(|row| {
        let vin = Vin::parse(&row.vin).expect("the fleet has valid VINs");
        let plate = Plate::parse(&row.plate).expect("the fleet has valid plates");
        Vehicle { vin, plate }
    });
    parsed.collect()
}

fn partition() -> Partition {
    Partition::new(&[7; 32])
}

criterion_group!(benches, lookup);
criterion_main!(benches);
