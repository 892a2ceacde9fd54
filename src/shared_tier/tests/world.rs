//! Everything around the protocol, for the [model](super::model).

use std::{hash::Hash, mem, sync::LazyLock, time::Duration};

use tokio::time::Instant;

use super::{
    logged::{Entry, at, stamp},
    replica::Replica,
    signs::SignBoard,
};
use crate::shared_tier::{
    position::{Era, Stamp},
    release::{LinkState, Reading, Receipt, Told},
    rules::Rules,
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
    /// Whether replicas sign, and the writer waits for that.
    pub(super) signs: bool,
    /// How often the server is emptied, and how often a sign is removed.
    pub(super) wipes: u8,
    pub(super) removals: u8,
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
    /// Until the last write is over.
    signs: Option<SignBoard<R>>,
    /// Whether a call takes no time: fewer states.
    is_quick: bool,
    writes: u8,
    cuts: u8,
    takeovers: u8,
    wipes: u8,
    removals: u8,
}

/// How far a write is.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Writer {
    Idle,
    /// Where it is announced, if it is, and how long ago.
    Sent(Option<Heard>),
    /// It has taken effect. When the writer hears of that makes no difference to anybody else.
    IsAnswered(Option<Heard>),
    /// For as many ticks at most, or until others are known to have read this.
    Waits(Receipt, u8),
}

/// A receipt: its era, where it stands, and its age in ticks.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Heard {
    era: u8,
    position: u8,
    age: u8,
}

/// What a step does, if it can be taken.
pub(super) type Change<'a, R> = dyn Fn(&mut World<R>) -> bool + 'a;

/// What is done, by which replica or how much.
pub(super) type Step = (&'static str, usize);

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
            replicas: (0..bounds.replicas)
                .map(|_| Replica::new(bounds.values))
                .collect(),
            shared: bounds.values.then(|| vec![(stamp(0, 0), 0)]),
            signs: bounds.signs.then(|| SignBoard::new(bounds.replicas)),
            is_quick: bounds.signs,
            writes: bounds.writes,
            cuts: bounds.cuts,
            takeovers: bounds.takeovers,
            wipes: bounds.wipes,
            removals: bounds.removals,
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
        let (mut next, mut world) = (Vec::new(), self.clone());
        self.try_steps(&mut |name, nth, change| {
            // What cannot be done leaves the world as it is, for the next to be tried.
            if change(&mut world) {
                next.push(((name, nth), mem::replace(&mut world, self.clone())));
            }
        });
        next
    }

    /// Tries everything that may be done, or may not.
    pub(super) fn try_steps(&self, step: &mut dyn FnMut(&'static str, usize, &Change<'_, R>)) {
        step("tick", 0, &|world| {
            world.tick();
            world != self
        });
        step("announces", 0, &|world| world.begin(true));
        step("sends unannounced", 0, &|world| world.begin(false));
        step("takes effect", 0, &Self::take_effect);
        step("is logged", 0, &|world| world.finish(false));
        step("is to be logged", 0, &|world| world.finish(true));
        step("is logged late", 0, &Self::append_late);
        step("response leaves", 0, &Self::leave);
        step("writer loses its connection", 0, &Self::disconnect_writer);
        step("writer connects", 0, &Self::connect_writer);
        for lost in 0..=2 {
            step("another server without the last", lost, &|world| world.take_over(lost));
            step("another server without signs, or the last", lost, &|world| {
                let takes_over = world.signs.is_some() && world.take_over(lost);
                let signs = world.signs.iter_mut().filter(|_| takes_over);
                signs.for_each(SignBoard::lose);
                takes_over
            });
        }
        if self.signs.is_some() {
            self.try_signs(step);
        }
        for (value, shared) in self.shared.iter().flatten().enumerate() {
            step("finds what another shares", value, &|world| world.replicas[0].find(*shared));
        }
        for nth in 0..self.replicas.len() {
            step("loses its connection", nth, &|world| {
                world.replicas[nth].is_connected && world.cut() && world.replicas[nth].disconnect()
            });
            step("connects", nth, &|world| world.replicas[nth].connect(world.era));
            step("asks for the log", nth, &|world| world.ask(nth));
            step("reads the log", nth, &|world| world.replicas[nth].read(&world.log));
            step("gives up a hold", nth, &|world| {
                world.writer == Writer::Idle && world.replicas[nth].give_up()
            });
            step("calls", nth, &|world| {
                let seen = world.shared.as_ref().map(|_| world.seen);
                !world.is_quick && world.replicas[nth].call(seen)
            });
            step("is read for", nth, &|world| world.replicas[nth].receive(world.version));
            step("stores", nth, &|world| world.replicas[nth].store());
            step("calls at once", nth, &|world| {
                world.is_quick
                    && world.replicas[nth].call(None)
                    && world.replicas[nth].receive(world.version)
                    && world.replicas[nth].store()
            });
        }
    }

    /// What is done with signs.
    fn try_signs(&self, step: &mut dyn FnMut(&'static str, usize, &Change<'_, R>)) {
        let on = |change: fn(&mut SignBoard<R>) -> bool| {
            move |world: &mut Self| world.signs.as_mut().is_some_and(change)
        };
        step("writer asks for signs", 0, &|world| {
            let asks = |board: &mut SignBoard<R>| board.ask() && board.come();
            let may_ask = world.is_linked && world.writer != Writer::Idle;
            may_ask && world.signs.as_mut().is_some_and(asks)
        });
        step("another sets the mark", 0, &on(SignBoard::mark));
        step("is emptied", 0, &Self::wipe);
        step("the sign is removed", 0, &on(SignBoard::remove));
        for nth in 0..self.replicas.len() {
            step("is found silent", nth, &|world| world.find_silent(nth));
        }
    }

    fn disconnect_writer(&mut self) -> bool {
        let is_lost = self.is_linked && self.cut();
        if is_lost {
            self.is_linked = false;
            self.signs.iter_mut().for_each(SignBoard::cut);
        }
        is_lost
    }

    fn connect_writer(&mut self) -> bool {
        if self.is_linked || self.is_over() {
            return false;
        }
        self.is_linked = true;
        let era = Era::of(&[self.era]);
        let signs = self.signs.iter_mut();
        signs.for_each(|signs| signs.connected(era));
        true
    }

    /// A replica signs, and asks for the log.
    fn ask(&mut self, nth: usize) -> bool {
        let found = self.log.len();
        let asks = self.replicas[nth].ask(found);
        let applied = self.replicas[nth].follower.applied();
        if let (true, Some(signs), Some(applied)) = (asks, &mut self.signs, applied) {
            signs.sign(nth, applied);
        }
        asks
    }

    /// Somebody has seen the same sign for so long that its replica trusts nothing.
    fn find_silent(&mut self, nth: usize) -> bool {
        let is_silent = self.replicas[nth].trust == 0 && self.replicas[nth].poll.is_none();
        let may_remove = is_silent && self.removals > 0;
        let signs = self.signs.as_mut().filter(|_| may_remove);
        let begins = signs.is_some_and(|signs| signs.begin_removal(nth));
        self.removals -= u8::from(begins);
        begins
    }

    /// The server is emptied. A write that is under way then is promised less, and not played here.
    fn wipe(&mut self) -> bool {
        if self.wipes == 0
            || self.signs.is_none()
            || self.writer != Writer::Idle
            || !self.late.is_empty()
        {
            return false;
        }
        self.wipes -= 1;
        self.log.clear();
        self.append(Entry::Beginning);
        self.signs.iter_mut().for_each(SignBoard::wipe);
        // What was asked for before and found before was read before.
        let polls = self
            .replicas
            .iter_mut()
            .filter_map(|replica| replica.poll.as_mut());
        polls.for_each(|poll| poll.found = 1);
        true
    }

    fn tick(&mut self) {
        let grow = |age: &mut u8| *age = (*age + 1).min(OLD);
        match &mut self.writer {
            Writer::Idle => {}
            Writer::Sent(intent) | Writer::IsAnswered(intent) => {
                intent.iter_mut().for_each(|heard| grow(&mut heard.age));
            }
            Writer::Waits(_, left) => *left = left.saturating_sub(1),
        }
        for replica in &mut self.replicas {
            replica.trust = replica.trust.saturating_sub(1);
            replica.poll.iter_mut().for_each(|poll| grow(&mut poll.age));
        }
        self.signs.iter_mut().for_each(SignBoard::tick);
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
        let position = self.next_position;
        self.next_position += 1;
        let signs = self.signs.iter_mut();
        signs.for_each(|signs| signs.known.logged(at(position)));
        Heard { era: self.era, position, age: 0 }
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
        self.wait(intent, done);
        true
    }

    /// It is decided now how long the response waits, and for what.
    fn wait(&mut self, intent: Option<Heard>, done: Option<Heard>) {
        let receipt = |heard: Heard| Receipt {
            reading: Reading(heard.era.into()),
            position: at(heard.position),
            at: *NOW - u32::from(heard.age) * TICK,
        };
        let told = Told { sent_at: *NOW, intent: intent.map(receipt), done: done.map(receipt) };
        let release = told.release::<R>(LinkState::Up(Reading(self.era.into())), LEASE);
        let told = release.told.expect("others were told");
        let left = release.at.saturating_duration_since(*NOW);
        // When that was heard matters no more.
        self.writer = Writer::Waits(Receipt { at: *NOW, ..told }, left.as_secs() as u8);
    }

    fn append_late(&mut self) -> bool {
        let entry = if self.is_linked { self.late.pop() } else { None };
        let is_appended = entry.map(|entry| self.append(entry)).is_some();
        self.end();
        is_appended
    }

    fn leave(&mut self) -> bool {
        let Writer::Waits(told, left) = self.writer else {
            return false;
        };
        let reached = self
            .signs
            .as_ref()
            .and_then(|signs| signs.known.reached(*NOW));
        let link = match self.is_linked {
            true => LinkState::Up(Reading(self.era.into())),
            false => LinkState::Down(*NOW),
        };
        if left > 0 && !told.is_acknowledged(link, reached) {
            return false;
        }
        self.seen = self.version;
        self.writer = Writer::Idle;
        self.end();
        true
    }

    /// After the last write, what becomes of its writer makes no difference to others.
    fn end(&mut self) {
        if self.writes > 0 || self.writer != Writer::Idle {
            return;
        }
        self.signs = None;
        (self.wipes, self.removals) = (0, 0);
        if self.is_over() {
            self.is_linked = false;
            self.next_position = 0;
        }
    }

    fn is_over(&self) -> bool {
        self.writes == 0 && self.writer == Writer::Idle && self.late.is_empty()
    }

    fn take_over(&mut self, lost: usize) -> bool {
        if self.takeovers == 0 || self.log.len() <= lost {
            return false;
        }
        self.takeovers -= 1;
        self.era += 1;
        self.log.truncate(self.log.len() - lost);
        self.is_linked = false;
        self.signs.iter_mut().for_each(SignBoard::cut);
        for replica in &mut self.replicas {
            replica.is_connected = false;
            replica.poll = None;
        }
        true
    }
}
