//! Who waits for a permit: fair between clients, and bounded in number, bytes and time.
//!
//! Each client has a line, first come first served. The line that has had least goes next, and what
//! it has had is counted in vehicles: start-time fair queueing (Goyal, Vin and Cheng 1996), which
//! does without the rounds of deficit round robin. A client that comes anew begins where the
//! others are, and one that has had more keeps that for as long as it matters.
//!
//! Where there is no room, the last of the longest line has to go, so that a client that asks for
//! little is not refused for what others ask. A queue that empties soon was a burst, and may be long.
//! In one that does not, small calls wait no longer than one call takes: more of them would make all
//! of them late, and no more of them would be served. Large calls were asked for with time to spare.

use std::{cmp, time::Duration};

use tokio::time::Instant;

use super::line::{Line, Ticket, Weight};
use crate::upstream::{ClientId, Reservation};

/// A line for each client that has calls waiting, or has had more than others.
#[derive(Debug)]
pub(super) struct Queue<T> {
    lines: Vec<Line<T>>,
    len: usize,
    room: Room,
    /// What the line had had that was served last.
    served: u64,
    /// Since when somebody has waited, without a break.
    since: Option<Instant>,
    pace: Pace,
}

/// What may wait, and does.
#[derive(Clone, Copy, Debug)]
struct Room {
    max: usize,
    taken: usize,
}

/// How fast those who wait are served.
#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    last: Option<Instant>,
    /// Between two of them.
    gap: Option<Duration>,
}

/// There is no room for a call, and that will be so for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full {
    /// Until those who wait now are served.
    pub(super) rest: Duration,
    /// How long that is not said.
    pub(super) hold: Duration,
}

/// A queue that has not emptied for so long is no burst.
const BURST: Duration = Duration::from_millis(100);

/// A wait that nobody minds, however fast calls are.
const SHORT: Duration = Duration::from_millis(50);

/// What a refusal takes of a second. Sync takes some 1,000 calls in one, so that at three times as
/// many all that is too much is refused at once.
const REFUSAL: Duration = Duration::from_micros(333);

/// After so long the queue is another one, whatever it is now.
const LONGEST: Duration = Duration::from_secs(20);

/// The part of the latest gap in the mean of them: one in so many.
const SMOOTH: u32 = 8;

impl<T> Queue<T> {
    /// An empty queue with room for `max` calls without a body.
    pub(super) fn new(max: usize) -> Self {
        let room = Room { max, taken: 0 };
        let pace = Pace::default();
        Self { lines: Vec::new(), len: 0, room, served: 0, since: None, pace }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The ticket of whose turn it is.
    pub(super) fn first(&self) -> Option<Ticket> {
        self.lines[self.next(|_| true)?].first()
    }

    /// Lets one more wait, where `permits` are given at once. Those who have to go for it are dropped.
    pub(super) fn push(
        &mut self,
        reservation: Reservation,
        ticket: Ticket,
        item: T,
        permits: usize,
        now: Instant,
    ) -> Result<(), Full> {
        let (client, weight) = (reservation.client, Weight::of(&reservation));
        let nth = self.line_of(client);
        // A call that clients share counts for all of them, and there are few.
        let is_one_of_many = weight.is_small && client.is_some();
        if is_one_of_many && self.lines[nth].small >= self.most_small(nth, permits, now) {
            return Err(self.full(client, now));
        }
        self.make_room(client, weight, now)?;
        let nth = self.line_of(client);
        if self.is_empty() {
            (self.since, self.pace.last) = (Some(now), Some(now));
        }
        self.lines[nth].push(ticket, weight, item);
        self.room.taken += weight.room;
        self.len += 1;
        Ok(())
    }

    /// The first of the line whose turn it is. Clients that have their share already are passed
    /// over, unless all have.
    pub(super) fn pop(
        &mut self,
        is_below_share: impl Fn(Option<ClientId>) -> bool,
        now: Instant,
    ) -> Option<T> {
        let next = self.next(is_below_share).or_else(|| self.next(|_| true));
        let line = &mut self.lines[next?];
        let before = line.served;
        let (weight, item) = line.pop()?;
        self.served = cmp::max(self.served, before);
        self.forget(weight);
        self.pace.note(now);
        self.drop_lines();
        Some(item)
    }

    /// Takes out who waits no more; nothing happens if it is out already.
    pub(super) fn leave(&mut self, ticket: Ticket) {
        if let Some(weight) = self.lines.iter_mut().find_map(|line| line.remove(ticket)) {
            self.forget(weight);
            self.drop_lines();
        }
    }

    /// The line that has had least of those that wait and are meant.
    fn next(&self, is_meant: impl Fn(Option<ClientId>) -> bool) -> Option<usize> {
        let lines = self.lines.iter().enumerate();
        let turn = |(nth, line): (usize, &Line<T>)| {
            let ticket = line.first()?;
            is_meant(line.client).then_some(((line.served, ticket), nth))
        };
        let (_, nth) = lines.filter_map(turn).min()?;
        Some(nth)
    }

    fn line_of(&mut self, client: Option<ClientId>) -> usize {
        let known = self.lines.iter().position(|line| line.client == client);
        let nth = known.unwrap_or_else(|| {
            self.lines.push(Line::new(client));
            self.lines.len() - 1
        });
        // Nothing is saved up while nothing is wanted.
        let line = &mut self.lines[nth];
        line.served = cmp::max(line.served, self.served);
        nth
    }

    /// How many small calls of a line may wait.
    fn most_small(&self, nth: usize, permits: usize, now: Instant) -> usize {
        let is_burst = self.since.is_none_or(|since| now < since + BURST);
        let Some(gap) = self.pace.gap.filter(|_| !is_burst) else {
            return usize::MAX;
        };
        let others = self.lines.iter().enumerate();
        let others = others.filter(|&(other, line)| other != nth && !line.is_empty());
        let short = (SHORT.as_nanos() / cmp::max(gap.as_nanos(), 1)) as usize;
        cmp::max(permits, short).div_ceil(others.count() + 1)
    }

    /// Makes room for one more of a line at the cost of longer ones, the last first.
    fn make_room(
        &mut self,
        client: Option<ClientId>,
        weight: Weight,
        now: Instant,
    ) -> Result<(), Full> {
        while self.room.taken + weight.room > self.room.max {
            // What goes may take lines along, so it is looked for each time.
            let nth = self.line_of(client);
            let wanted = self.lines[nth].room + weight.room;
            let longest = self.lines.iter_mut().max_by_key(|line| line.room);
            let Some(line) = longest.filter(|line| line.room > wanted) else {
                return Err(self.full(client, now));
            };
            let Some(weight) = line.drop_last() else { break };
            self.forget(weight);
        }
        Ok(())
    }

    fn full(&mut self, client: Option<ClientId>, now: Instant) -> Full {
        let gap = self.pace.gap.unwrap_or_default();
        let rest = gap.saturating_mul(u32::try_from(self.len).unwrap_or(u32::MAX));
        let nth = self.line_of(client);
        let hold = match client {
            Some(_) => self.lines[nth].refusals.hold(REFUSAL, now),
            // What clients share is refused for no one of them.
            None => Duration::ZERO,
        };
        Full { rest: rest.min(LONGEST), hold }
    }

    /// Drops the lines of clients that wait for nothing and have had no more than others.
    fn drop_lines(&mut self) {
        let served = self.served;
        self.lines
            .retain(|line| !line.is_empty() || line.served > served);
    }

    fn forget(&mut self, weight: Weight) {
        self.room.taken -= weight.room;
        self.len -= 1;
        if self.len == 0 {
            // Nobody had to wait for what another has had.
            self.lines.clear();
            (self.served, self.since) = (0, None);
        }
    }
}

impl Pace {
    fn note(&mut self, now: Instant) {
        let latest = self.last.replace(now).map(|last| now - last);
        let Some(latest) = latest else { return };
        self.gap = Some(match self.gap {
            Some(gap) => gap - gap / SMOOTH + latest / SMOOTH,
            None => latest,
        });
    }
}

#[cfg(test)]
mod tests;
