//! Snapshots of a cache, and another cache that takes them.

mod replicated;

use std::{env, fs, process, sync::Arc};

use prometheus::Registry;
use tokio::time::Instant;

use super::*;
use crate::{
    vehicle::{Plate, Vehicle, Vin},
    vehicle_cache::{
        self, Class, Directives, Element, Key, Lifetimes, Lookup, Lookups, Moment, Partition,
        Replicas, Source, StaleWindows, Ttl, VehicleCache,
    },
};

type Cache = VehicleCache<()>;

const SECOND: Duration = Duration::from_secs(1);

/// A folder for one file, which is removed with its owner.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = env::temp_dir().join(format!("vingate-snapshot-{name}-{}", process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn config(&self) -> Config {
        Config { file: self.0.join("snapshot"), secret: Secret::new(vec![7; 32]) }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn cache(capacity: u64) -> Cache {
    cache_among(capacity, None)
}

fn cache_among(capacity: u64, others: Option<Arc<dyn Replicas>>) -> Cache {
    let life = 900 * SECOND;
    let ttl = Ttl { finished: life, pending: life, failed: life, absent: SECOND, jitter: 0.0 };
    let stale = StaleWindows { while_revalidate: Duration::ZERO, if_error: Duration::ZERO };
    let config = vehicle_cache::Config { enabled: true, capacity };
    let metrics = vehicle_cache::Metrics::register(&Registry::new()).unwrap();
    Cache::replicated(&config, Lifetimes { ttl, stale }, metrics, others)
}

fn partition() -> Partition {
    Partition::new(&[1; 32])
}

fn vehicle(n: u32) -> Vehicle {
    let vin = Vin::parse(&format!("3VWFE21C04M{n:06}")).unwrap();
    Vehicle { vin, plate: Plate::parse("MFF956M").unwrap() }
}

/// Fills `cache` with so many vehicles, whose elements have `length` bytes.
fn fill(cache: &Cache, vehicles: std::ops::Range<u32>, class: Class, length: usize, at: Moment) {
    let directives = Directives::default();
    let vehicles = vehicles.map(vehicle);
    let Lookups { leases, .. } = cache.lookup(Some(partition()), vehicles, &directives, at.instant);
    let element = || Element { bytes: vec![b'x'; length].into(), classes: class.into() };
    let elements = (0..leases.len()).map(|_| element()).collect();
    drop(leases.fill(elements, true, at));
}

/// How many of these are hits.
fn hits(cache: &Cache, vehicles: std::ops::Range<u32>) -> usize {
    let directives = Directives::default();
    let (vehicles, now) = (vehicles.map(vehicle), Instant::now());
    let Lookups { found, .. } = cache.lookup(Some(partition()), vehicles, &directives, now);
    found
        .iter()
        .filter(|it| matches!(it, Lookup::Hit(_)))
        .count()
}

fn restart(config: &Config, capacity: u64) -> Cache {
    let cache = cache(capacity);
    let restoring = cache.restore();
    take(config).expect("there is one").load(&cache, &restoring);
    cache
}

/// What another process finds that starts now.
fn take(config: &Config) -> Option<Found> {
    Snapshots::take(config.clone()).unwrap().1
}

/// Writes a snapshot, as a process that has started and ends now.
fn save(config: &Config, cache: &Cache) -> Result<Saved, SaveError> {
    Snapshots::take(config.clone()).unwrap().0.save(cache)
}

#[test]
fn nobody_serves_who_cannot_take_it_away() {
    let folder = Folder::new("missing");
    let config = folder.config();
    drop(folder);
    assert!(Snapshots::take(config).is_err());
}

#[test]
fn brings_back_what_is_of_use_with_the_age_that_it_has() {
    let folder = Folder::new("ages");
    let config = folder.config();
    let (old, now) = (cache(1 << 24), Moment::now());
    let before = Moment { instant: now.instant - 600 * SECOND, wall: now.wall - 600 * SECOND };
    fill(&old, 0..3, Class::Finished, 100, before);
    fill(&old, 3..5, Class::Absent, 0, before);
    fill(&old, 5..8, Class::Pending, 50, now);
    let saved = save(&config, &old).unwrap();
    assert_eq!((saved.entries, saved.left_out), (8, 0));
    let new = restart(&config, 1 << 24);
    assert_eq!(hits(&new, 0..8), 6, "but for what was over");
    let life = new.life_of(partition(), vehicle(0), now).held.unwrap();
    assert_eq!(life.source, Source::Snapshot);
    let off_by = life
        .stored_at
        .duration_since(before.wall)
        .unwrap_or_default();
    assert!(off_by < SECOND, "{off_by:?}");
    let lasts = life.fresh_until.duration_since(before.wall).unwrap();
    assert!(lasts.abs_diff(900 * SECOND) < SECOND, "{lasts:?}");
    assert!(!config.file.exists() && take(&config).is_none());
}

#[test]
fn nothing_newer_is_replaced() {
    let folder = Folder::new("newer");
    let config = folder.config();
    let old = cache(1 << 24);
    fill(&old, 0..2, Class::Finished, 100, Moment::now());
    save(&config, &old).unwrap();
    let new = cache(1 << 24);
    let restoring = new.restore();
    fill(&new, 0..1, Class::Finished, 7, Moment::now());
    take(&config).unwrap().load(&new, &restoring);
    assert_eq!(new.get(partition(), vehicle(0)).unwrap().bytes().len(), 7);
    assert_eq!(new.get(partition(), vehicle(1)).unwrap().bytes().len(), 100);
}

#[test]
fn takes_no_more_than_the_cache_may_hold() {
    let folder = Folder::new("full");
    let config = folder.config();
    let old = cache(1 << 24);
    fill(&old, 0..1000, Class::Finished, 1000, Moment::now());
    save(&config, &old).unwrap();
    let new = restart(&config, 1 << 18);
    let held = hits(&new, 0..1000);
    assert!((100..250).contains(&held), "{held}");
}

#[test]
fn of_processes_that_overlap_only_the_last_leaves_one() {
    let folder = Folder::new("overlap");
    let config = folder.config();
    let held = cache(1 << 24);
    fill(&held, 0..2, Class::Finished, 100, Moment::now());
    let (first, _) = Snapshots::take(config.clone()).unwrap();
    let (second, _) = Snapshots::take(config.clone()).unwrap();
    assert!(matches!(first.save(&held), Err(SaveError::Overtaken)));
    second.save(&held).unwrap();
    assert_eq!(hits(&restart(&config, 1 << 24), 0..2), 2);

    // It started behind that look, and found nothing yet.
    let (third, _) = Snapshots::take(config.clone()).unwrap();
    third.save(&held).unwrap();
    Owner::new().take(&config.file).unwrap();
    assert_eq!(hits(&restart(&config, 1 << 24), 0..2), 0);
}

#[test]
fn what_is_no_file_is_left_alone() {
    let folder = Folder::new("kinds");
    let config = folder.config();
    let target = folder.0.join("target");
    fs::write(&target, "x").unwrap();
    std::os::unix::fs::symlink(&target, &config.file).unwrap();
    assert!(take(&config).is_none());
    assert!(config.file.is_symlink() && target.exists());
    fs::remove_file(&config.file).unwrap();
    fs::create_dir(&config.file).unwrap();
    assert!(take(&config).is_none());
    assert!(save(&config, &cache(1 << 20)).is_err());
}

#[test]
fn what_was_not_written_to_its_end_is_removed() {
    let folder = Folder::new("part");
    let config = folder.config();
    let part = folder.0.join("snapshot.part");
    fs::write(&part, "x").unwrap();
    assert!(take(&config).is_none());
    assert!(!part.exists());
}

/// Times are of a release build: `cargo test --release --lib snapshot -- --ignored --nocapture`.
#[test]
#[ignore = "takes 300,000 vehicles, and prints how long"]
fn measures_a_large_cache() {
    let folder = Folder::new("large");
    let config = folder.config();
    let old = cache(1 << 30);
    for start in (0..300_000).step_by(500) {
        fill(&old, start..start + 500, Class::Finished, 916, Moment::now());
    }
    let began_at = Instant::now();
    let saved = save(&config, &old).unwrap();
    println!("written in {:?}: {saved:?}", began_at.elapsed());
    let began_at = Instant::now();
    let new = restart(&config, 1 << 30);
    println!("loaded in {:?}", began_at.elapsed());
    assert_eq!(saved.entries, 300_000);
    assert_eq!(
        (0..300_000)
            .step_by(500)
            .map(|n| hits(&new, n..n + 500))
            .sum::<usize>(),
        300_000
    );
}
