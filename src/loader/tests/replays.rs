//! What many requests come to: a Sync that takes its time, on a clock that waits for nobody.

mod days;
mod rates;

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use super::*;
use crate::vehicle_cache::{Class, Lookup};

/// Numbers as if by chance, the same in each run: SplitMix64.
struct Chance(u64);

/// What Sync has seen.
#[derive(Default)]
struct Seen {
    calls: AtomicUsize,
    vehicles: AtomicUsize,
    /// Vehicles that stood twice in a call.
    twice: AtomicUsize,
}

/// How long a call takes: a median, with a logarithmic deviation of a quarter, and a tenth of a
/// millisecond for each vehicle.
#[derive(Clone, Copy)]
struct Latency(Duration);

impl Chance {
    fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    /// From 0 to 1.
    fn part(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    fn gauss(&mut self) -> f64 {
        (-2.0 * (1.0 - self.part()).ln()).sqrt() * (std::f64::consts::TAU * self.part()).cos()
    }

    /// Until the next of so many in a second.
    fn gap(&mut self, rate: f64) -> Duration {
        Duration::from_secs_f64(-(1.0 - self.part()).ln() / rate)
    }
}

impl Latency {
    fn of(self, vehicles: usize, chance: &mut Chance) -> Duration {
        let each = Duration::from_micros(100);
        self.0.mul_f64((0.25 * chance.gauss()).exp()) + each * vehicles as u32
    }
}

/// A loader over a Sync that takes time, and knows of each vehicle what its results are like.
fn simulated(
    sizes: Sizes,
    lifetimes: vehicle_cache::Lifetimes,
    latency: Latency,
    seed: u64,
    class_of: fn(u32) -> Class,
) -> (Loader, Arc<Seen>) {
    let seen = Arc::<Seen>::default();
    let (noted, chance) = (Arc::clone(&seen), PlainMutex::new(Chance(seed)));
    let fake = Fake::new(move |mut call: Request<Body>| {
        noted.calls.fetch_add(1, Relaxed);
        let noted = Arc::clone(&noted);
        let drawn = chance.lock().bits();
        async move {
            let bytes = call.body_mut().buffer(1 << 20, SECOND).await.unwrap();
            let text = std::str::from_utf8(&bytes).unwrap();
            let vins = text.split("3VWFE21C04M").skip(1);
            let mut numbers: Vec<u32> = vins.map(|vin| vin[..6].parse().unwrap()).collect();
            let count = numbers.len();
            noted.vehicles.fetch_add(count, Relaxed);
            tokio::time::sleep(latency.of(count, &mut Chance(drawn))).await;
            let elements: Vec<_> = numbers.iter().map(|&n| element(n, class_of(n))).collect();
            numbers.sort_unstable();
            numbers.dedup();
            noted.twice.fetch_add(count - numbers.len(), Relaxed);
            let body = format!(r#"{{"vehicleData":[{}]}}"#, elements.join(","));
            Ok(Response::new(Body::full(body.into_bytes())))
        }
    });
    (loader_over(fake, sizes, lifetimes, 1 << 26), seen)
}

fn element(n: u32, class: Class) -> String {
    let info = match class {
        Class::Finished => r#"{"status":1,"finishedDateTime":"x"}"#,
        Class::Pending => r#"{"status":-1}"#,
        Class::Failed => r#"{"finishedDateTime":"x"}"#,
        Class::Absent => "",
    };
    format!(r#"{{"vin":"3VWFE21C04M{n:06}","plate":"ABC123","info":[{info}]}}"#)
}

/// A request for these comes now. Gives a wait until all of it is there, unless it is at once.
/// `apart`: what is only to be refreshed shares no call with the rest.
fn come(
    loader: &Loader,
    vehicles: impl Iterator<Item = Vehicle>,
    apart: bool,
) -> Option<impl Future<Output = ()> + Send + 'static> {
    let (partition, directives) = (Partition::new(&MINE), Directives::default());
    let Lookups { found, mut leases } =
        loader
            .cache()
            .lookup(Some(partition), vehicles, &directives, Instant::now());
    let refreshes = leases.extract(|lease| apart && lease.is_refresh());
    let context = CallContext {
        partition: Some(partition),
        account: Some(Account(MINE)),
        client: None,
        is_account: true,
        directives,
        trace: RequestTrace::default(),
        headers: HeaderMap::new(),
    };
    if !refreshes.is_empty() {
        let (loader, context) = (loader.clone(), context.clone());
        tokio::spawn(async move {
            // The call that leaves at once would take them along.
            tokio::time::sleep(Duration::from_millis(1)).await;
            let _loading = loader.load(refreshes, context);
            // Whoever leaves takes along what only its flight waits for.
            tokio::time::sleep(60 * SECOND).await;
        });
    }
    let loading = (!leases.is_empty()).then(|| loader.load(leases, context));
    let mut awaited = Vec::new();
    for lookup in found {
        match lookup {
            Lookup::Joined(_) | Lookup::Leading(_) => awaited.push(lookup),
            Lookup::Hit(_) | Lookup::Stale(_) | Lookup::NotCached => {}
        }
    }
    if awaited
        .iter()
        .any(|lookup| matches!(lookup, Lookup::Joined(_)))
    {
        loader.joined(partition);
    }
    (!awaited.is_empty()).then_some(async move {
        for mut lookup in awaited {
            let outcome = lookup.outcome().await;
            assert!(matches!(outcome, Some(Outcome::Filled(_))), "nothing came");
        }
        drop(loading);
    })
}
