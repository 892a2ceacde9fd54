//! Who waits for a permit: fair between clients, and bounded in number, bytes and time.
//!
//! Each client has a line, first come first served, and they take [turns](super::turns). Who has its
//! share of the calls at once already comes behind those who have not.
//!
//! Where there is no room, the last of the longest line has to go, so that a client that asks for
//! little is not refused for what others ask. A queue that empties soon was a burst, and may be long.
//! In one that does not, small calls wait no longer than one call takes: more of them would make all
//! of them late, and no more of them would be served. Large calls were asked for with time to spare.

use std::{cmp, time::Duration};

use tokio::time::Instant;

use super::{
    line::{Line, Ticket, Weight},
    turns::Turns,
};
use crate::upstream::{ClientId, Reservation};

/// A line for each client that has calls waiting, or has had more than others.
#[derive(Debug)]
pub(super) struct Queue<T> {
    lines: Vec<Line<T>>,
    len: usize,
    room: Room,
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

/// How fast those who wait are served: as a mean over some time, because calls that began together
/// end together.
#[derive(Clone, Copy, Debug, Default)]
struct Pace {
    since: Option<Instant>,
    /// Since then.
    served: u32,
    /// Between two of them, before that.
    gap: Option<Duration>,
}

/// There is no room for a call, and that will be so for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full {
    /// See [`Queue::rest`].
    pub(super) rest: Duration,
    /// How long that is not said.
    pub(super) hold: Duration,
}

type Client = Option<ClientId>;

/// Who goes first: who has not its share yet, who has had least, and who came first.
type First = (bool, u64, Ticket);

/// A queue that has not emptied for so long is no burst.
const BURST: Duration = Duration::from_millis(100);

/// A wait that nobody minds, however fast calls are.
const SHORT: Duration = Duration::from_millis(50);

/// Where so little time is between two calls, the gateway is at its end, and not Sync. To refuse a call
/// costs it as much as to make one: the more it refused, the fewer it would serve, and the more it
/// would have to refuse.
const FAST: Duration = Duration::from_micros(250);

/// What a refusal takes of a second. Sync takes some 1,000 calls in one, so that at three times as
/// many all that is too much is refused at once.
const REFUSAL: Duration = Duration::from_micros(333);

/// After so long the queue is another one, whatever it is now.
const LONGEST: Duration = Duration::from_secs(20);

impl<T> Queue<T> {
    /// An empty queue with room for `max` calls without a body.
    pub(super) fn new(max: usize) -> Self {
        let room = Room { max, taken: 0 };
        let pace = Pace::default();
        Self { lines: Vec::new(), len: 0, room, since: None, pace }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whose turn it is; that of other queues may be before it, if it is less.
    pub(super) fn first(&self, turns: &Turns, has_share: impl Fn(Client) -> bool) -> Option<First> {
        self.next(turns, has_share).map(|(first, _)| first)
    }

    /// Lets one more wait, where `permits` are given at once. Those who have to go for it are dropped.
    pub(super) fn push(
        &mut self,
        turns: &mut Turns,
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
        self.make_room(turns, client, weight, now)?;
        let nth = self.line_of(client);
        if self.is_empty() {
            self.since = Some(now);
            self.pace.begin(now);
        }
        turns.wait(client);
        self.lines[nth].push(ticket, weight, item);
        self.room.taken += weight.room;
        self.len += 1;
        Ok(())
    }

    /// The first of the line whose turn it is.
    pub(super) fn pop(
        &mut self,
        turns: &mut Turns,
        has_share: impl Fn(Client) -> bool,
        now: Instant,
    ) -> Option<T> {
        let (_, next) = self.next(turns, has_share)?;
        let line = &mut self.lines[next];
        let (weight, item) = line.pop()?;
        turns.serve(line.client, weight.vehicles);
        self.forget(weight);
        self.pace.note(now);
        self.drop_lines(turns);
        Some(item)
    }

    /// Takes out who waits no more; nothing happens if it is out already.
    pub(super) fn leave(&mut self, turns: &mut Turns, ticket: Ticket) {
        let mut lines = self.lines.iter_mut();
        let left = lines.find_map(|line| Some((line.client, line.remove(ticket)?)));
        if let Some((client, weight)) = left {
            turns.leave(client);
            self.forget(weight);
            self.drop_lines(turns);
        }
    }

    fn next(&self, turns: &Turns, has_share: impl Fn(Client) -> bool) -> Option<(First, usize)> {
        let lines = self.lines.iter().enumerate();
        let firsts = lines.filter_map(|(nth, line)| {
            let (client, ticket) = (line.client, line.first()?);
            Some(((has_share(client), turns.had(client), ticket), nth))
        });
        firsts.min()
    }

    fn line_of(&mut self, client: Client) -> usize {
        let known = self.lines.iter().position(|line| line.client == client);
        known.unwrap_or_else(|| {
            self.lines.push(Line::new(client));
            self.lines.len() - 1
        })
    }

    /// How many small calls of a line may wait.
    fn most_small(&self, nth: usize, permits: usize, now: Instant) -> usize {
        let is_burst = self.since.is_none_or(|since| now < since + BURST);
        let Some(gap) = self.pace.gap(now).filter(|&gap| !is_burst && gap > FAST) else {
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
        turns: &mut Turns,
        client: Client,
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
            turns.leave(line.client);
            self.forget(weight);
        }
        Ok(())
    }

    /// Until those who wait now are served.
    pub(super) fn rest(&self, now: Instant) -> Duration {
        let gap = self.pace.gap(now).unwrap_or_default();
        let waiting = u32::try_from(self.len).unwrap_or(u32::MAX);
        gap.saturating_mul(waiting).min(LONGEST)
    }

    fn full(&mut self, client: Client, now: Instant) -> Full {
        let nth = self.line_of(client);
        let hold = match client {
            Some(_) => self.lines[nth].refusals.hold(REFUSAL, now),
            // What clients share is refused for no one of them.
            None => Duration::ZERO,
        };
        Full { rest: self.rest(now), hold }
    }

    /// Drops the lines of clients that wait for nothing and have had no more than others.
    fn drop_lines(&mut self, turns: &Turns) {
        self.lines
            .retain(|line| !line.is_empty() || turns.had_more(line.client));
    }

    fn forget(&mut self, weight: Weight) {
        self.room.taken -= weight.room;
        self.len -= 1;
        if self.len == 0 {
            self.lines.clear();
            self.since = None;
        }
    }
}

impl Pace {
    fn begin(&mut self, now: Instant) {
        (self.since, self.served) = (Some(now), 0);
    }

    /// One is served.
    fn note(&mut self, now: Instant) {
        self.served += 1;
        if self.since.is_some_and(|since| now >= since + BURST) {
            self.gap = self.mean(now);
            self.begin(now);
        }
    }

    fn gap(&self, now: Instant) -> Option<Duration> {
        self.gap.or_else(|| self.mean(now))
    }

    fn mean(&self, now: Instant) -> Option<Duration> {
        (now - self.since?).checked_div(self.served)
    }
}

#[cfg(test)]
mod tests;
