//! Everything around the protocol, for the [model](super::model).

use std::{hash::Hash, sync::LazyLock, time::Duration};

use tokio::time::Instant;

use super::replica::Replica;
use crate::{
    shared_tier::{
        log_entry::{LogEntry, WriteId},
        position::{Era, Position, Stamp},
        release::{LinkState, Reading, Receipt, Told},
        rules::Rules,
    },
    vehicle::{Plate, Vehicle, Vin},
    vehicle_cache::{Change, InvalidationScope, Partition},
};

/// Now, always: what lies in the past moves further away instead.
pub(super) static NOW: LazyLock<Instant> = LazyLock::new(|| Instant::now() + 1000 * LEASE);

pub(super) const TICK: Duration = Duration::from_secs(1);
pub(super) const LEASE: Duration = Duration::from_secs(2);
/// Ticks of a lease. Whatever is older is as good as any age.
const OLD: u8 = 2;
/// So long that it only ends when it is said to.
pub(super) const WRITE: Duration = Duration::from_secs(1000);

/// How much may happen.
#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) replicas: usize,
    pub(super) writes: u8,
    pub(super) cuts: u8,
    pub(super) takeovers: u8,
    /// Whether others share values.
    pub(super) values: bool,
}

/// All there is.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct World<R> {
    /// The version that Sync has.
    version: u8,
    /// The latest version whose response has left.
    seen: u8,
    era: u8,
    log: Vec<(u8, Entry)>,
    next_position: u8,
    /// Entries of the writer that are on their way.
    late: Vec<Entry>,
    writer: Writer,
    /// Whether the writer is connected, in the present era.
    is_linked: bool,
    replicas: Vec<Replica<R>>,
    /// What others may share: for each entry of each log, the oldest version that one can have
    /// read who had read the log up to there.
    shared: Option<Vec<(Stamp, u8)>>,
    writes: u8,
    cuts: u8,
    takeovers: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Entry {
    Beginning,
    Intent(u8),
    Done(u8),
}

/// How far a write is.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Writer {
    Idle,
    /// Where it is announced, if it is, and how long ago.
    Sent(Option<Heard>),
    HasTakenEffect(Option<Heard>),
    IsAnswered(Option<Heard>),
    Waits(Option<Heard>, Option<Heard>),
}

/// A receipt: its era, and its age in ticks.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Heard {
    era: u8,
    age: u8,
}

/// What is done, by which replica or how much.
pub(super) type Step = (&'static str, usize);

pub(super) fn at(position: u8) -> Position {
    Position { milliseconds: 1, sequence: position.into() }
}

fn stamp(era: u8, position: u8) -> Stamp {
    Stamp { era: Era::of(&[era]), position: at(position) }
}

/// The one vehicle that there is.
pub(super) fn vehicle() -> Vehicle {
    let vin = Vin::parse("3VWFE21C04M000001").unwrap();
    Vehicle { vin, plate: Plate::parse("ABC123").unwrap() }
}

pub(super) fn partition() -> Partition {
    Partition::new(&[1; 32])
}

/// What a write of it names.
fn scope() -> InvalidationScope {
    InvalidationScope { vins: vec![vehicle().vin], ..InvalidationScope::default() }
}

fn id(write: u8) -> WriteId {
    WriteId { replica: 1, number: write.into() }
}

impl<R: Rules + Clone + Eq + Hash> World<R> {
    pub(super) fn new(bounds: Bounds) -> Self {
        Self {
            version: 0,
            seen: 0,
            era: 0,
            log: vec![(0, Entry::Beginning)],
            next_position: 1,
            late: Vec::new(),
            writer: Writer::Idle,
            is_linked: true,
            replicas: (0..bounds.replicas).map(|_| Replica::new()).collect(),
            shared: bounds.values.then(|| vec![(stamp(0, 0), 0)]),
            writes: bounds.writes,
            cuts: bounds.cuts,
            takeovers: bounds.takeovers,
        }
    }

    /// What must not be.
    pub(super) fn violation(&self) -> Option<String> {
        self.replicas.iter().enumerate().find_map(|(nth, replica)| {
            let call = replica.call.as_ref();
            let given = call.and_then(|call| call.read.zip(call.seen));
            if let Some((old, seen)) = given.filter(|(given, seen)| given < seen) {
                return Some(format!("{nth} gives {old} to who has seen {seen}"));
            }
            if replica.trust == 0 {
                return None;
            }
            let shared = replica.call.as_ref().filter(|call| call.is_shared);
            let read = shared.and_then(|call| call.read);
            if let Some(old) = replica.held.filter(|&held| held < self.seen) {
                return Some(format!("{nth} serves {old} after {} was seen", self.seen));
            }
            if let Some(old) = read.filter(|&read| read < self.seen) {
                return Some(format!("{nth} lets join {old} after {} was seen", self.seen));
            }
            let last = self.log.last().map(|(position, _)| at(*position));
            let is_at_rest = self.writer == Writer::Idle
                && self.late.is_empty()
                && replica.is_connected
                && replica.follower.next() == last;
            let old = replica
                .held
                .filter(|&held| is_at_rest && held < self.version);
            old.map(|old| format!("{nth} keeps {old} at rest, the latest is {}", self.version))
        })
    }

    /// Every state that may come next, and what led to it.
    pub(super) fn next(&self) -> Vec<(Step, Self)> {
        let mut next = Vec::new();
        let mut step = |name: &'static str, nth: usize, change: &dyn Fn(&mut Self) -> bool| {
            let mut world = self.clone();
            if change(&mut world) {
                next.push(((name, nth), world));
            }
        };
        step("tick", 0, &Self::tick);
        step("announces", 0, &|world| world.begin(true));
        step("sends unannounced", 0, &|world| world.begin(false));
        step("takes effect", 0, &Self::take_effect);
        step("is answered", 0, &Self::answer);
        step("is logged", 0, &|world| world.finish(false));
        step("is to be logged", 0, &|world| world.finish(true));
        step("is logged late", 0, &Self::append_late);
        step("response leaves", 0, &Self::leave);
        step("writer loses its connection", 0, &|world| {
            std::mem::take(&mut world.is_linked) && world.cut()
        });
        step("writer connects", 0, &|world| !std::mem::replace(&mut world.is_linked, true));
        for lost in 0..=2 {
            step("another server without the last", lost, &|world| world.take_over(lost));
        }
        for (value, shared) in self.shared.iter().flatten().enumerate() {
            step("finds what another shares", value, &|world| world.replicas[0].find(*shared));
        }
        for nth in 0..self.replicas.len() {
            step("loses its connection", nth, &|world| {
                world.replicas[nth].disconnect() && world.cut()
            });
            step("connects", nth, &|world| world.replicas[nth].connect(world.era));
            step("asks for the log", nth, &|world| world.replicas[nth].ask(world.log.len()));
            step("reads the log", nth, &|world| world.replicas[nth].read(&world.log));
            step("gives up a hold", nth, &|world| {
                world.writer == Writer::Idle && world.replicas[nth].give_up()
            });
            step("calls", nth, &|world| {
                let seen = world.shared.as_ref().map(|_| world.seen);
                world.replicas[nth].call(seen)
            });
            step("is read for", nth, &|world| world.replicas[nth].read_upstream(world.version));
            step("stores", nth, &|world| world.replicas[nth].store());
        }
        next
    }

    fn tick(&mut self) -> bool {
        let before = self.clone();
        let grow = |age: &mut u8| *age = (*age + 1).min(OLD);
        match &mut self.writer {
            Writer::Idle => {}
            Writer::Sent(intent) | Writer::HasTakenEffect(intent) | Writer::IsAnswered(intent) => {
                intent.iter_mut().for_each(|heard| grow(&mut heard.age));
            }
            Writer::Waits(intent, done) => {
                let heard = intent.iter_mut().chain(done);
                heard.for_each(|heard| grow(&mut heard.age));
            }
        }
        for replica in &mut self.replicas {
            replica.trust = replica.trust.saturating_sub(1);
            replica.poll.iter_mut().for_each(|poll| grow(&mut poll.age));
        }
        *self != before
    }

    fn cut(&mut self) -> bool {
        self.cuts.checked_sub(1).is_some_and(|left| {
            self.cuts = left;
            true
        })
    }

    fn append(&mut self, entry: Entry) -> Heard {
        self.log.push((self.next_position, entry));
        // Whoever has read that a write is about to be made shares nothing.
        let has_shared = self
            .shared
            .as_mut()
            .filter(|_| !matches!(entry, Entry::Intent(_)));
        if let Some(shared) = has_shared {
            shared.push((stamp(self.era, self.next_position), self.version));
        }
        self.next_position += 1;
        Heard { era: self.era, age: 0 }
    }

    /// A write begins. One that cannot be announced is promised less, and not played here.
    fn begin(&mut self, is_announced: bool) -> bool {
        if self.writer != Writer::Idle
            || self.writes == 0
            || !self.is_linked
            || !self.late.is_empty()
        {
            return false;
        }
        self.writes -= 1;
        let intent = is_announced.then(|| self.append(Entry::Intent(self.version + 1)));
        self.writer = Writer::Sent(intent);
        true
    }

    fn take_effect(&mut self) -> bool {
        let Writer::Sent(intent) = self.writer else {
            return false;
        };
        self.version += 1;
        self.writer = Writer::HasTakenEffect(intent);
        true
    }

    fn answer(&mut self) -> bool {
        let Writer::HasTakenEffect(intent) = self.writer else {
            return false;
        };
        self.writer = Writer::IsAnswered(intent);
        true
    }

    /// The write is done, and the log says so; `late`: some time after nobody waits for that.
    fn finish(&mut self, is_late: bool) -> bool {
        let Writer::IsAnswered(intent) = self.writer else {
            return false;
        };
        let entry = Entry::Done(self.version);
        let is_announced = intent.is_some_and(|heard| heard.era == self.era);
        if !self.is_linked || is_late && !is_announced {
            return false;
        }
        let done = match is_late {
            false => Some(self.append(entry)),
            true => {
                self.late.push(entry);
                None
            }
        };
        self.writer = Writer::Waits(intent, done);
        true
    }

    fn append_late(&mut self) -> bool {
        self.is_linked
            && self.late.pop().is_some_and(|entry| {
                self.append(entry);
                true
            })
    }

    fn leave(&mut self) -> bool {
        let Writer::Waits(intent, done) = self.writer else {
            return false;
        };
        let receipt = |heard: Heard| Receipt {
            reading: Reading(heard.era.into()),
            at: *NOW - u32::from(heard.age) * TICK,
        };
        // It is decided when the wait begins, but no more is known then.
        let link = done.or(intent).map_or(self.era, |heard| heard.era);
        let told = Told { sent_at: *NOW, intent: intent.map(receipt), done: done.map(receipt) };
        let release = told.release::<R>(LinkState::Up(Reading(link.into())), LEASE);
        assert!(release.is_announced);
        if release.at > *NOW {
            return false;
        }
        self.seen = self.version;
        self.writer = Writer::Idle;
        true
    }

    fn take_over(&mut self, lost: usize) -> bool {
        if self.takeovers == 0 || self.log.len() <= lost {
            return false;
        }
        self.takeovers -= 1;
        self.era += 1;
        self.log.truncate(self.log.len() - lost);
        self.is_linked = false;
        for replica in &mut self.replicas {
            replica.is_connected = false;
            replica.poll = None;
        }
        true
    }
}

impl Entry {
    pub(super) fn to_log(self) -> LogEntry {
        match self {
            Self::Beginning => LogEntry::Beginning,
            Self::Intent(write) => LogEntry::Intent(id(write), scope()),
            Self::Done(write) => LogEntry::Done(Some(id(write)), Change::Of(scope())),
        }
    }
}
