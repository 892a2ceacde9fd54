//! What is held stays within its bounds, however many vehicles come by.

use http::{HeaderMap, header::AUTHORIZATION};
use vingate::{sandbox::Class, vehicle::Vehicle};

use crate::{
    connection::{Connection, asking_for, batch},
    process::Process,
    support::ALL,
};

const MIB: u64 = 1 << 20;

/// Vehicles of a request: as many as one may have by default.
const BATCH: usize = 10_000;

/// Of so many vehicles, evenly spread over all that came, it is asked whether they are held. What
/// stays is the policy's choice, and it need not be the latest.
const SAMPLE: usize = 500;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes"]
async fn two_million_vehicles_pass_through_bounded_memory() {
    let resident = pass(2_000_000, 256 * MIB).await;
    assert!(resident <= 256 * MIB / 10 * 11 + 64 * MIB, "{} MiB are resident", resident / MIB);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_vehicles_pass_through_a_small_cache() {
    pass(12_000, 4 * MIB).await;
}

/// Lets so many vehicles pass through a cache of so many bytes. Gives the resident memory after
/// that.
async fn pass(count: usize, capacity: u64) -> u64 {
    // Nothing is to go because of its age.
    let config = format!("[cache]\ncapacity = \"{capacity}B\"\n[cache.ttl]\nfinished = \"10h\"\n");
    let process = Process::start(&config).await;
    let mut connection = process.connect().await;
    let before = process.resident();
    let mut vehicles = process.sandbox.vehicles(Class::Finished).take(count);
    let (mut sample, mut bytes, mut most) = (Vec::new(), 0, 0.0_f64);
    for _ in 0..count.div_ceil(BATCH) {
        let some: Vec<_> = vehicles.by_ref().take(BATCH).collect();
        let response = connection.batch(&asking_for(&some)).await.expect(200);
        bytes += response.body.len();
        sample.extend(some.into_iter().step_by(count / SAMPLE));
        most = most.max(process.metric("vingate_cache_bytes").await);
    }
    let counters = process.sandbox.counters();
    assert_eq!((counters.vehicles, counters.most_requested), (count as u64, 1));

    process.until_idle().await;
    let (after, peak) = (process.resident(), process.peak());
    let held = process.metric("vingate_cache_bytes").await;
    let entries = process.metric("vingate_cache_entries").await;
    println!(
        "{count} vehicles of {} bytes: {} MiB resident before, {} after, {} at most; {entries} \
         entries of {:.1} MiB, {:.1} at most; resident has grown by {:.2} times that",
        bytes / count,
        before / MIB,
        after / MIB,
        peak / MIB,
        held / MIB as f64,
        most / MIB as f64,
        after.saturating_sub(before) as f64 / held,
    );
    let full = capacity as f64;
    assert!(most <= 1.1 * full, "{most} bytes were held");
    assert!(held >= 0.9 * full, "only {held} bytes are held");

    let hits = hits(&process, &mut connection, &sample).await;
    let expected = entries / count as f64 * sample.len() as f64;
    println!("{hits} of {} are held, {expected:.0} were to be expected", sample.len());
    assert!(hits as f64 > expected / 2.0, "{hits} hits");
    after
}

/// How many of these are held, each just as the upstream gives it.
async fn hits(process: &Process, connection: &mut Connection, vehicles: &[Vehicle]) -> usize {
    let fields = HeaderMap::from_iter([(AUTHORIZATION, ALL.parse().unwrap())]);
    let mut hits = 0;
    for vehicle in vehicles {
        let request = batch().header("cache-control", "only-if-cached");
        let response = connection.send(request, asking_for(&[*vehicle])).await;
        if response.status == 504 {
            continue;
        }
        let element = process.sandbox.element(vehicle, &fields).unwrap();
        let right = format!(r#"{{"vehicleData":[{element}]}}"#);
        assert!(response.expect(200).body == right, "not what the upstream gives");
        hits += 1;
    }
    hits
}
