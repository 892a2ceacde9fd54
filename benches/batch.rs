//! What a batch of 500 vehicles costs beside its look-ups: reading what is asked, taking an
//! answer of the upstream apart, and putting the caller's answer together.
//!
//! `asked` reads the body of a request, compact as programs write it; `elements` takes the
//! upstream's answer of some 500 KiB apart; `splice` writes the same bytes from held entries.
//!
//! ```text
//! cargo bench --bench batch
//! ```

mod fleet;

use std::{hint::black_box, pin::Pin, sync::Arc, time::Duration};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use http_body::Body as _;
use prometheus::Registry;
use tokio::time::Instant;
use vingate::{
    batch::{BatchRequest, Splice},
    loader::Elements,
    vehicle_cache::{
        Config, Directives, Entry, Lifetimes, Lookup, Metrics, Moment, Partition, StaleWindows,
        Ttl, VehicleCache,
    },
};

/// Vehicles of a full request.
const BATCH: usize = 500;

fn batch(c: &mut Criterion) {
    let (asked, response) = (request(), response());
    let vehicles = BatchRequest::parse(&asked, BATCH)
        .expect("the fleet is valid")
        .distinct;
    let entries = entries(&response, &asked);

    let mut group = c.benchmark_group("batch");
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("asked", |b| b.iter(|| BatchRequest::parse(black_box(&asked), BATCH)));
    group.bench_function("elements", |b| {
        b.iter(|| Elements::parse(black_box(&response), vehicles.iter().copied()));
    });
    group.bench_function("splice", |b| b.iter(|| splice(black_box(&entries))));
    group.finish();
}

/// The body of a request.
fn request() -> Vec<u8> {
    let entry = |row: &fleet::Row| format!(r#"{{"vin":"{}","plate":"{}"}}"#, row.vin, row.plate);
    let entries: Vec<_> = fleet::fleet(BATCH).iter().map(entry).collect();
    format!(r#"{{"vehicles":[{}]}}"#, entries.join(",")).into_bytes()
}

/// An answer of the upstream: two finished results a vehicle.
fn response() -> Vec<u8> {
    let result = |row: &fleet::Row, id: usize| {
        format!(
            concat!(
                r#"{{"_id":"{id}-{vin}-{plate}","plate":"{plate}","vin":"{vin}","resourceId":{id},"#,
                r#""status":{{"statusId":0,"key":"WithTicketsDebts","description":"Has debts","#,
                r#""descriptionSpanish":"Con adeudos","priority":1}},"result":[{{"folio":"F{id}","#,
                r#""amount":1234.50,"concept":"{text}"}}],"#,
                r#""creationDateTime":"2026-11-20T10:00:00Z","finishedDateTime":"2026-11-20T10:01:00Z"}}"#,
            ),
            id = id,
            vin = row.vin,
            plate = row.plate,
            text = "x".repeat(100),
        )
    };
    let element = |row: &fleet::Row| {
        let (one, two) = (result(row, 1), result(row, 2));
        format!(r#"{{"vin":"{}","plate":"{}","info":[{one},{two}]}}"#, row.vin, row.plate)
    };
    let elements: Vec<_> = fleet::fleet(BATCH).iter().map(element).collect();
    format!(r#"{{"vehicleData":[{}]}}"#, elements.join(",")).into_bytes()
}

/// The entries of an answer, as a cache holds them.
fn entries(response: &[u8], asked: &[u8]) -> Vec<Arc<Entry>> {
    let vehicles = BatchRequest::parse(asked, BATCH)
        .expect("the fleet is valid")
        .distinct;
    let elements =
        Elements::parse(response, vehicles.iter().copied()).expect("it is as documented");
    let day = Duration::from_secs(24 * 60 * 60);
    let cache = VehicleCache::<()>::of_vehicles(
        &Config { enabled: true, capacity: 64 << 20 },
        Lifetimes {
            ttl: Ttl { finished: day, pending: day, failed: day, absent: day, jitter: 0.1 },
            stale: StaleWindows { while_revalidate: day, if_error: day },
        },
        Metrics::register(&Registry::new()).expect("a new registry knows no names"),
    );
    let (partition, now) = (Some(Partition::new(&[7; 32])), Instant::now());
    let lookup = || cache.lookup(partition, vehicles.iter().copied(), &Directives::default(), now);
    drop(
        lookup()
            .leases
            .fill(elements.of_vehicles, true, Moment::now()),
    );
    let entry = |lookup| match lookup {
        Lookup::Hit(entry) => Some(entry),
        _ => None,
    };
    let entries: Vec<_> = lookup().found.into_iter().filter_map(entry).collect();
    assert_eq!(entries.len(), BATCH, "everything is held");
    entries
}

/// Takes every frame of an answer, as a connection does.
fn splice(entries: &[Arc<Entry>]) -> usize {
    let mut body = Splice::new(entries.iter().cloned());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let mut bytes = 0;
    while let std::task::Poll::Ready(Some(Ok(frame))) = Pin::new(&mut body).poll_frame(&mut context)
    {
        bytes += frame.data_ref().map_or(0, |data| data.len());
    }
    bytes
}

criterion_group!(benches, batch);
criterion_main!(benches);
