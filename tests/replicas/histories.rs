//! Random histories: vehicles are read and written through several replicas while the server
//! freezes, dies, is emptied, and connections to it are cut. Judged afterwards.
//!
//! A vehicle's version counts its writes. A read through a replica that hears of writes has to see
//! every write whose response had left before it, and none that began after it (what Lamport calls
//! a regular register; while a write is under way, one replica may show it before another does). A
//! read through a replica that does not hear may be older, but by no more than `when_lost`. What a
//! replica hears is taken from its metrics, often enough that no lapse is overlooked. A write that
//! could not be told, and one that was under way when the log was lost, is promised less: it counts
//! as under way until everybody hears of writes again.
//!
//! `HISTORY_OPERATIONS` and `HISTORY_FAULTS` say how much at least; some seconds' worth without
//! them. That a violation would be found shows `a_response_that_leaves_too_early_is_found`.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use futures_util::future::{join, join_all};
use parking_lot::Mutex;
use tokio::time::Instant;
use vingate::{
    sandbox::{Faults, Only},
    vehicle::Vehicle,
};

use crate::{
    coherence::{patch, vehicles, version},
    cutting_proxy::CuttingProxy,
    redis_server::{RedisServer, gateways_at, shared},
    support::{Dice, Gateway},
};

/// In microseconds. A build that is not optimized does not hear of writes in time otherwise.
const LEASE: u64 = if cfg!(debug_assertions) { 500_000 } else { 150_000 };
const WHEN_LOST: u64 = 500_000;

/// Clocks are read, and results sent, a little after what they say.
const SLACK: u64 = 50_000;

/// Operations on one vehicle at a time.
const AT_ONCE: usize = 2;

/// What was done between two moments, through which replica.
#[derive(Clone, Copy, Debug)]
struct Operation {
    start: u64,
    end: u64,
    through: usize,
    /// The version that was read; `None`: a write.
    read: Option<u64>,
}

/// What is known of a replica at a moment.
#[derive(Clone, Copy)]
struct Scrape {
    at: u64,
    /// Until when it hears of writes, for all that is known then; 0: it does not.
    valid_until: u64,
    unannounced: u64,
}

/// From a fault to where everybody hears of writes again.
#[derive(Clone, Copy)]
struct Trouble {
    start: u64,
    end: u64,
    loses_the_log: bool,
}

struct History {
    began_at: Instant,
    is_over: AtomicBool,
    /// Of each vehicle.
    done: Vec<Mutex<Vec<Operation>>>,
    /// Of each replica.
    scrapes: Vec<Mutex<Vec<Scrape>>>,
    troubles: Mutex<Vec<Trouble>>,
}

/// What came of it.
#[derive(Debug, Default)]
struct Judged {
    operations: usize,
    strict_reads: usize,
    other_reads: usize,
    writes: usize,
    /// Of those that are promised less.
    other_writes: usize,
    faults: usize,
    violations: Vec<String>,
}

impl History {
    fn new(vehicles: usize, replicas: usize) -> Self {
        Self {
            began_at: Instant::now(),
            is_over: AtomicBool::new(false),
            done: (0..vehicles).map(|_| Mutex::default()).collect(),
            scrapes: (0..replicas).map(|_| Mutex::default()).collect(),
            troubles: Mutex::default(),
        }
    }

    fn now(&self) -> u64 {
        self.began_at.elapsed().as_micros() as u64
    }

    fn operations(&self) -> usize {
        self.done.iter().map(|done| done.lock().len()).sum()
    }

    /// Reads and writes one vehicle again and again.
    async fn use_vehicle(&self, nth: usize, vehicle: &Vehicle, all: &[Gateway], mut dice: Dice) {
        while !self.is_over.load(Relaxed) {
            let through = dice.throw(all.len());
            let is_write = dice.throw(4) == 0;
            let start = self.now();
            let read = match is_write {
                true => {
                    patch(&all[through], vehicle).await.expect(204);
                    None
                }
                false => Some(version(&all[through], vehicle).await),
            };
            let operation = Operation { start, end: self.now(), through, read };
            self.done[nth].lock().push(operation);
            // What was written is read at once.
            let pause = if is_write { 0 } else { dice.throw(20) };
            tokio::time::sleep(Duration::from_millis(pause as u64)).await;
        }
    }

    /// Notes again and again what a replica says of itself.
    async fn watch(&self, nth: usize, gateway: &Gateway) {
        while !self.is_over.load(Relaxed) {
            let scrape = self.scrape(gateway).await;
            self.scrapes[nth].lock().push(scrape);
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn scrape(&self, gateway: &Gateway) -> Scrape {
        let at = self.now();
        let text = gateway
            .admin(http::Request::get("/metrics"), "")
            .await
            .text();
        let value = |series: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(series));
            line.unwrap().trim().parse().unwrap()
        };
        let age = (1e6 * value("vingate_shared_log_age_seconds ")) as u64;
        let is_valid = value("vingate_shared_valid ") == 1.0;
        let valid_until = if is_valid { (at + LEASE).saturating_sub(age) } else { 0 };
        let unannounced = value("vingate_shared_unannounced_writes_total ") as u64;
        Scrape { at, valid_until, unannounced }
    }

    /// Waits until every replica has been seen to hear of writes that began after `since`.
    async fn until_valid(&self, since: u64, all: &[Gateway]) {
        for gateway in all {
            while self.scrape(gateway).await.valid_until < since + LEASE {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        }
    }

    /// Makes trouble of some kind, and waits until it is over.
    async fn make_trouble(
        &self,
        redis: &mut RedisServer,
        ways: &[CuttingProxy],
        all: &[Gateway],
        dice: &mut Dice,
    ) {
        let (start, kind) = (self.now(), dice.throw(4));
        let pause = Duration::from_micros(dice.throw(5 * LEASE as usize / 2) as u64);
        match kind {
            0 => {
                redis.freeze();
                tokio::time::sleep(pause).await;
                redis.thaw();
            }
            1 => {
                redis.kill();
                tokio::time::sleep(pause).await;
                redis.restart().await;
            }
            2 => redis.ask(&["FLUSHALL"]),
            _ => {
                let way = &ways[dice.throw(ways.len())];
                way.cut();
                tokio::time::sleep(pause).await;
                way.mend();
            }
        }
        self.until_valid(self.now(), all).await;
        // What could not be told is told by then, and read.
        tokio::time::sleep(Duration::from_millis(100)).await;
        let trouble = Trouble { start, end: self.now(), loses_the_log: matches!(kind, 1 | 2) };
        self.troubles.lock().push(trouble);
    }

    /// Whether a replica is known to have heard of writes all the time.
    fn is_valid(scrapes: &[Scrape], start: u64, end: u64) -> bool {
        let first = scrapes.partition_point(|scrape| scrape.at <= start);
        let mut until = first
            .checked_sub(1)
            .map_or(0, |nth| scrapes[nth].valid_until);
        for scrape in &scrapes[first..] {
            if scrape.at > end {
                break;
            }
            if until < scrape.at || scrape.valid_until == 0 {
                return false;
            }
            until = scrape.valid_until;
        }
        until >= end
    }

    /// When a write counts as over, at the latest.
    fn end_of_write(&self, scrapes: &[Scrape], write: Operation, troubles: &[Trouble]) -> u64 {
        let overlapping = troubles
            .iter()
            .filter(|trouble| trouble.start <= write.end && write.start <= trouble.end);
        let before = scrapes.partition_point(|scrape| scrape.at <= write.start);
        let after = scrapes.partition_point(|scrape| scrape.at <= write.end);
        let count = |nth: Option<&Scrape>| nth.map_or(0, |scrape| scrape.unannounced);
        let was_told = count(before.checked_sub(1).map(|nth| &scrapes[nth]))
            == count(scrapes.get(after).or(scrapes.last()));
        let less = overlapping.filter(|trouble| !was_told || trouble.loses_the_log);
        let ends = less.map(|trouble| trouble.end + SLACK);
        // Where nothing was wrong but that it took long, it was told some milliseconds later.
        let late = if was_told { 0 } else { LEASE + SLACK };
        ends.fold(write.end + late, u64::max)
    }

    fn judge(self) -> Judged {
        let (operations, troubles) = (self.operations(), self.troubles.lock().clone());
        let mut judged = Judged { operations, faults: troubles.len(), ..Judged::default() };
        let scrapes: Vec<_> = self.scrapes.iter().map(|it| it.lock().clone()).collect();
        // What is held before a replica sees that the log was lost.
        let is_unseen = |read: &Operation| {
            let mut lost = troubles.iter().filter(|trouble| trouble.loses_the_log);
            lost.any(|it| it.start <= read.end && read.start <= it.start + LEASE)
        };
        for done in &self.done {
            let done = done.lock();
            let writes = done.iter().filter(|operation| operation.read.is_none());
            let writes: Vec<_> = writes
                .map(|write| {
                    let scrapes = &scrapes[write.through];
                    (write.start, self.end_of_write(scrapes, *write, &troubles))
                })
                .collect();
            let ends = done.iter().filter(|it| it.read.is_none()).map(|it| it.end);
            let others = writes.iter().zip(ends).filter(|((_, end), own)| end != own);
            judged.other_writes += others.count();
            judged.writes += writes.len();
            for read in done.iter() {
                let Some(version) = read.read else { continue };
                let scrapes = &scrapes[read.through];
                let is_strict = Self::is_valid(scrapes, read.start, read.end) && !is_unseen(read);
                judged.strict_reads += usize::from(is_strict);
                judged.other_reads += usize::from(!is_strict);
                let lag = if is_strict { 0 } else { WHEN_LOST + SLACK };
                let count = |is_counted: &dyn Fn(&(u64, u64)) -> bool| {
                    1 + writes.iter().filter(|write| is_counted(write)).count() as u64
                };
                let least = count(&|(_, end)| end + lag < read.start);
                let most = count(&|(start, _)| *start < read.end);
                if !(least..=most).contains(&version) {
                    let what = format!("{read:?}, strict {is_strict}: not {least} to {most}");
                    judged.violations.push(what);
                }
            }
        }
        judged
    }
}

/// Lets a history of so many vehicles happen, with so many operations and faults at least, whose
/// writes wait for others or do not.
async fn history(waits: bool, count: usize, operations: usize, faults: usize) -> Option<Judged> {
    const REPLICAS: usize = 3;
    let mut redis = RedisServer::start(&[]).await?;
    let (lease, when_lost) = (LEASE / 1000, WHEN_LOST / 1000);
    let write_wait = if waits { lease } else { 0 };
    let keys = format!(
        "lease = \"{lease}ms\"\nwrite_wait = \"{write_wait}ms\"\nwhen_lost = \"{when_lost}ms\""
    );
    let ways = join_all((0..REPLICAS).map(|_| CuttingProxy::start(redis.address))).await;
    let tables = ways
        .iter()
        .map(|way| shared(&format!("redis://{}", way.address), &keys));
    let all = gateways_at(&tables.collect::<Vec<_>>()).await;
    all[0].sandbox.set_faults(Faults {
        only: Only::Batch,
        hold: Duration::from_millis(5),
        jitter: Duration::from_millis(20),
        ..Faults::default()
    });
    let some = vehicles(&all[0], count);
    let history = History::new(some.len(), REPLICAS);
    history.until_valid(0, &all).await;
    let clients = (0..some.len() * AT_ONCE).map(|client| {
        let nth = client % some.len();
        history.use_vehicle(nth, &some[nth], &all, Dice::new(client as u64 + 1))
    });
    let watches = all
        .iter()
        .enumerate()
        .map(|(nth, gateway)| history.watch(nth, gateway));
    let troubles = async {
        let mut dice = Dice::new(7);
        while history.operations() < operations || history.troubles.lock().len() < faults {
            let calm = 2 * LEASE + dice.throw(300_000) as u64;
            tokio::time::sleep(Duration::from_micros(calm)).await;
            if faults > 0 {
                history
                    .make_trouble(&mut redis, &ways, &all, &mut dice)
                    .await;
            }
        }
        history.is_over.store(true, Relaxed);
    };
    join(join(join_all(clients), join_all(watches)), troubles).await;
    Some(history.judge())
}

fn wanted(name: &str, default: usize) -> usize {
    let set = std::env::var(name).ok();
    set.map_or(default, |set| set.parse().unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_read_misses_a_write_that_was_over() {
    let operations = wanted("HISTORY_OPERATIONS", 200);
    let faults = wanted("HISTORY_FAULTS", 3);
    let Some(judged) = history(true, 12, operations, faults).await else { return };
    println!("{judged:?}");
    assert!(judged.violations.is_empty(), "{judged:#?}");
    assert!(judged.faults >= faults && judged.strict_reads > judged.operations / 10, "{judged:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_response_that_leaves_too_early_is_found() {
    // It depends on who reads when.
    for _ in 0..5 {
        let Some(judged) = history(false, 4, 400, 0).await else { return };
        if !judged.violations.is_empty() {
            return;
        }
    }
    panic!("nothing was found");
}
