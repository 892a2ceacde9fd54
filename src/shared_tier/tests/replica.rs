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
    pub(super) known: KnownWrites<R>,
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
    /// What was seen when it was made, if the others are asked for a value first.
    pub(super) seen: Option<u8>,
    /// Whether others find it, and it is stored.
    pub(super) is_shared: bool,
}

impl<R: Rules> Replica<R> {
    pub(super) fn new() -> Self {
        Self {
            follower: Follower::new(Times { lease: LEASE, write: WRITE }),
            known: KnownWrites::new(),
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
        entries
            .first()
            .iter()
            .for_each(|(first, _)| self.known.begin(*first));
        for (position, entry) in &entries {
            self.known.note(*position, entry.as_ref());
        }
        let sent_at = *NOW - u32::from(age) * TICK;
        let effects = self
            .follower
            .read(Read { sent_at, entries, is_all: true }, *NOW);
        // Pauses are not played, and times that lie further back would be states of their own.
        self.follower.heard_at = None;
        self.apply(effects);
        self.known.reach(self.follower.next());
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
                    self.known.forget(era);
                    self.holds.clear();
                }
                Effect::Hold(write, _) => {
                    self.holds.insert(write.number);
                    self.forget();
                }
                Effect::LetGo(write) => {
                    self.holds.remove(&write.number);
                }
                Effect::Drop(..) | Effect::DropAll => self.forget(),
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
        if let Some(call) = &mut self.call {
            call.is_shared = false;
        }
    }

    pub(super) fn call(&mut self, seen: Option<u8>) -> bool {
        let may_call = self.call.is_none();
        if may_call {
            let seen = seen.filter(|_| self.trust > 0);
            self.call = Some(Call { read: None, seen, is_shared: self.holds.is_empty() });
        }
        may_call
    }

    pub(super) fn find(&mut self, (stamp, version): (Stamp, u8)) -> bool {
        let call = self.call.as_mut();
        let call = call.filter(|call| call.read.is_none() && call.seen.is_some());
        let is_allowed = self.known.allow(stamp, partition(), &VEHICLE);
        let call = call.filter(|_| is_allowed);
        call.map(|call| call.read = Some(version)).is_some()
    }

    pub(super) fn read_upstream(&mut self, version: u8) -> bool {
        let call = self.call.as_mut().filter(|call| call.read.is_none());
        call.map(|call| call.read = Some(version)).is_some()
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
