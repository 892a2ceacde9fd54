//! What the upstream knows, and the least that everybody must see of it.

use std::{
    collections::{HashMap, HashSet},
    fmt::Write as _,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::sync::OwnedMutexGuard;
use vingate::{
    sandbox::Class,
    vehicle::{Plate, Vehicle, Vin},
};

use crate::process::Process;

/// What the accounts send upstream.
pub(super) const CREDENTIALS: [&str; 2] = ["SYNC_A", "SYNC_B"];

/// Groups of vehicles that share neither VINs nor plates. In each, one write at a time: with two
/// it could not be told which of them a version is of.
const ISLANDS: usize = 32;

/// VINs of an island, and plates: each VIN stands with two plates, each plate with two VINs.
const VINS: usize = 5;

/// The gateway, the upstream, and what was answered.
pub(super) struct World {
    pub(super) process: Process,
    pub(super) vehicles: Vec<Vehicle>,
    writing: [Arc<tokio::sync::Mutex<()>>; ISLANDS],
    /// The version of each vehicle that the last answered write has made.
    floors: Mutex<HashMap<Vehicle, u64>>,
    counts: [AtomicU64; Count::NAMES.len()],
}

/// What is counted.
#[derive(Clone, Copy)]
pub(super) enum Count {
    Requests,
    Vehicles,
    NotModified,
    Writes,
    Purges,
    Failures,
    HangUps,
}

/// The answer of a batch, each element as it came.
#[derive(Deserialize)]
struct Answered<'a> {
    #[serde(borrow, rename = "vehicleData")]
    elements: Vec<&'a RawValue>,
}

impl World {
    pub(super) async fn start(toml: &str) -> Self {
        let process = Process::start(toml).await;
        let named: Vec<_> = process
            .sandbox
            .vehicles(Class::Finished)
            .take(ISLANDS * VINS)
            .collect();
        let of_island = |island: &[Vehicle]| -> Vec<Vehicle> {
            let plates = island.iter().cycle().skip(1);
            let crossed = island.iter().zip(plates);
            let crossed = crossed.map(|(a, b)| Vehicle { vin: a.vin, plate: b.plate });
            island.iter().copied().chain(crossed).collect()
        };
        let vehicles = named.chunks(VINS).flat_map(of_island).collect();
        let (writing, counts) = Default::default();
        Self { process, vehicles, writing, floors: Mutex::default(), counts }
    }

    /// Keeps others from writing vehicles of the same island, unless one of them does.
    pub(super) fn write(&self, nth: usize) -> Option<OwnedMutexGuard<()>> {
        let island = Arc::clone(&self.writing[nth / (2 * VINS)]);
        island.try_lock_owned().ok()
    }

    /// Whether the vehicle at this place may be written. The upstream shows versions of these, and
    /// would refuse to put one of their VINs with the plate of another.
    pub(super) fn is_named(nth: usize) -> bool {
        nth % (2 * VINS) < VINS
    }

    /// The oldest versions that a read of these vehicles may show if it begins now.
    pub(super) fn floors(&self, asked: &[Vehicle]) -> Vec<u64> {
        let floors = self.floors.lock();
        let floor = |vehicle| floors.get(vehicle).copied().unwrap_or(1);
        asked.iter().map(floor).collect()
    }

    /// A write of this VIN, or of this plate, was answered.
    pub(super) fn written(&self, vin: Vin, plate: Option<Plate>) {
        for vehicle in &self.vehicles {
            if vehicle.vin == vin || Some(vehicle.plate) == plate {
                let version = self.version(vehicle);
                self.floors.lock().insert(*vehicle, version);
            }
        }
    }

    /// The version of a vehicle that the upstream would show now; 1 if it shows none.
    pub(super) fn version(&self, vehicle: &Vehicle) -> u64 {
        let element = self.element(vehicle, 0).unwrap_or_default();
        version(&element).unwrap_or(1)
    }

    fn element(&self, vehicle: &Vehicle, account: usize) -> Option<String> {
        let credential = HeaderValue::from_static(CREDENTIALS[account]);
        let fields = HeaderMap::from_iter([(AUTHORIZATION, credential)]);
        self.process.sandbox.element(vehicle, &fields)
    }

    /// Compares an answer with what the upstream gives this account: byte for byte that, but for
    /// a version that was current at some moment since the read began.
    pub(super) fn compare(&self, account: usize, asked: &[Vehicle], floors: &[u64], body: &[u8]) {
        let text = std::str::from_utf8(body).unwrap();
        let Answered { elements } = serde_json::from_str(text).unwrap();
        let texts: Vec<_> = elements.iter().map(|element| element.get()).collect();
        assert_eq!(text, format!(r#"{{"vehicleData":[{}]}}"#, texts.join(",")));
        let (mut texts, mut seen) = (texts.into_iter(), HashSet::new());
        for (vehicle, &floor) in asked.iter().zip(floors) {
            if !seen.insert(vehicle) {
                continue;
            }
            self.count(Count::Vehicles, 1);
            let Some(current) = self.element(vehicle, account) else {
                continue;
            };
            let found = texts.next().expect("no vehicle is missing");
            let (Some(shown), Some(newest)) = (version(found), version(&current)) else {
                assert_eq!(found, current);
                continue;
            };
            assert!(
                (floor..=newest).contains(&shown),
                "version {shown} of {floor} to {newest}: {found}"
            );
            let versioned = |version| format!("\"version\":{version},");
            assert_eq!(found.replace(&versioned(shown), &versioned(newest)), current);
        }
        assert_eq!(texts.next(), None, "nobody asked for it");
    }

    pub(super) fn count(&self, what: Count, more: u64) {
        self.counts[what as usize].fetch_add(more, Ordering::Relaxed);
    }

    pub(super) fn counted(&self, what: Count) -> u64 {
        self.counts[what as usize].load(Ordering::Relaxed)
    }

    /// What was counted, for people.
    pub(super) fn seen(&self) -> String {
        let mut text = String::new();
        for (name, count) in Count::NAMES.iter().zip(&self.counts) {
            let _ = write!(text, "{name} {}, ", count.load(Ordering::Relaxed));
        }
        let calls = self.process.sandbox.counters();
        let _ = write!(text, "{} batch calls for {} vehicles", calls.batches, calls.vehicles);
        text
    }
}

impl Count {
    const NAMES: [&str; 7] =
        ["requests", "vehicles compared", "304s", "writes", "purges", "failures", "hang-ups"];

    pub(super) fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }
}

fn version(element: &str) -> Option<u64> {
    let (_, rest) = element.split_once("\"version\":")?;
    rest.split_once(',')?.0.parse().ok()
}
