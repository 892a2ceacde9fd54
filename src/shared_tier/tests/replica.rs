//! A replica in the [world](super::world) that is played.

use std::collections::BTreeSet;

use super::{
    logged::{Entry, VEHICLE, at, partition},
    world::{LEASE, NOW, TICK, WRITE},
};
use crate::shared_tier::{
    follower::{Effect, Follower, Read, Times},
    known_writes::KnownWrites,
    position::{Era, Stamp},
    rules::Rules,
};

/// What it does is what its [`Follower`] says.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Replica<R> {
    pub(super) follower: Follower<R>,
    /// If others share values.
    known: Option<KnownWrites<R>>,
    pub(super) is_connected: bool,
    pub(super) poll: Option<Poll>,
    /// Ticks for which it trusts what it holds.
    pub(super) trust: u8,
    pub(super) holds: BTreeSet<u64>,
    pub(super) held: Option<u8>,
    pub(super) call: Option<Call>,
}

/// A read of the log that is under way. What it brings was there when it was sent: more would only
/// tell more.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Poll {
    pub(super) age: u8,
    pub(super) found: usize,
}

/// A call to Sync.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Call {
    /// What it has read, once it has.
    pub(super) read: Option<u8>,
    /// What was seen when it was made, if the others are asked for a value first; once it has
    /// read, if that was more.
    pub(super) seen: Option<u8>,
    /// Whether others find it, and it is stored.
    pub(super) is_shared: bool,
}

impl<R: Rules> Replica<R> {
    pub(super) fn new(finds_values: bool) -> Self {
        Self {
            follower: Follower::new(Times { lease: LEASE, write: WRITE }),
            known: finds_values.then(KnownWrites::new),
            is_connected: false,
            poll: None,
            trust: 0,
            holds: BTreeSet::new(),
            held: None,
            call: None,
        }
    }

    pub(super) fn disconnect(&mut self) -> bool {
        self.poll = None;
        std::mem::take(&mut self.is_connected)
    }

    pub(super) fn connect(&mut self, era: u8) -> bool {
        if self.is_connected {
            return false;
        }
        self.is_connected = true;
        let effects = self.follower.connected(Era::of(&[era]));
        self.apply(effects);
        true
    }

    pub(super) fn ask(&mut self, found: usize) -> bool {
        let may_ask = self.is_connected && self.poll.is_none();
        if may_ask {
            self.poll = Some(Poll { age: 0, found });
        }
        may_ask
    }

    pub(super) fn read(&mut self, log: &[(u8, Entry)]) -> bool {
        let Some(Poll { age, found }) = self.poll.take() else {
            return false;
        };
        let first = self.follower.next();
        let entries = log[..found].iter();
        let entries = entries
            .filter(|(position, _)| first.is_none_or(|first| at(*position) >= first))
            .map(|&(position, entry)| (at(position), Some(entry.to_log())));
        let entries: Vec<_> = entries.collect();
        if let (Some(known), Some((first, _))) = (&mut self.known, entries.first()) {
            known.begin(*first);
            let read = entries.iter();
            read.for_each(|(position, entry)| known.note(*position, entry.as_ref()));
        }
        let sent_at = *NOW - u32::from(age) * TICK;
        let effects = self
            .follower
            .read(Read { sent_at, entries, is_all: true }, *NOW);
        // Pauses are not played, and times that lie further back would be states of their own.
        self.follower.heard_at = None;
        self.apply(effects);
        let reached = self.follower.next();
        self.known.iter_mut().for_each(|known| known.reach(reached));
        true
    }

    pub(super) fn give_up(&mut self) -> bool {
        let effects = self.follower.expire(*NOW + 2 * WRITE);
        let has_some = !effects.is_empty();
        self.apply(effects);
        has_some
    }

    pub(super) fn apply(&mut self, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Doubt => self.trust = 0,
                Effect::BeginAnew(era) => {
                    self.known.iter_mut().for_each(|known| known.forget(era));
                    self.holds.clear();
                }
                Effect::Hold(write, _) => {
                    self.holds.insert(write.number);
                    self.forget();
                }
                Effect::LetGo(write) => {
                    self.holds.remove(&write.number);
                }
                Effect::Drop(..) | Effect::DropAll | Effect::Forget => self.forget(),
                Effect::Begin | Effect::Pause(_) => unreachable!("no log here has that"),
                Effect::Trust(until) => {
                    let left = until.saturating_duration_since(*NOW);
                    self.trust = self.trust.max(left.as_secs() as u8);
                }
            }
        }
    }

    pub(super) fn forget(&mut self) {
        self.held = None;
        self.call.iter_mut().for_each(|call| call.is_shared = false);
        self.forget_call();
    }

    /// A call whose result is neither kept nor given to who might mind is as good as none.
    fn forget_call(&mut self) {
        self.call
            .take_if(|call| !call.is_shared && call.seen.is_none());
    }

    pub(super) fn call(&mut self, seen: Option<u8>) -> bool {
        if self.call.is_some() {
            return false;
        }
        let seen = seen.filter(|_| self.trust > 0);
        self.call = Some(Call { read: None, seen, is_shared: self.holds.is_empty() });
        self.forget_call();
        self.call.is_some()
    }

    pub(super) fn find(&mut self, (stamp, version): (Stamp, u8)) -> bool {
        let (call, known) = (self.call.as_ref(), self.known.as_ref());
        call.is_some_and(|call| call.seen.is_some())
            && known.is_some_and(|known| known.allow(stamp, partition(), &VEHICLE))
            && self.receive(version)
    }

    /// The call has read this.
    pub(super) fn receive(&mut self, version: u8) -> bool {
        let Some(call) = self.call.as_mut().filter(|call| call.read.is_none()) else {
            return false;
        };
        call.read = Some(version);
        // Who does not mind now never will.
        call.seen.take_if(|seen| version >= *seen);
        self.forget_call();
        true
    }

    pub(super) fn store(&mut self) -> bool {
        let Some(Call { read: Some(read), is_shared, .. }) = self.call else {
            return false;
        };
        if is_shared {
            self.held = Some(read);
        }
        self.call = None;
        true
    }
}
