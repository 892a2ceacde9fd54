//! Whether a call may be made, asked once and in one place.
//!
//! Four things stand between a call and Sync: Sync's own `Retry-After`, the circuit breaker, the
//! number of calls at once, and a client's share of them. All four are behind one lock, so a call
//! is admitted or not at one moment, and what has changed meanwhile is seen when a call that has
//! waited is admitted.
//!
//! Calls that go at their client's pace ([`Kind::Streaming`]) have only a part of the permits, so
//! that a few clients who take their time do not keep everybody else from being served.

mod adaptive;
mod fair_queue;
mod line;
mod turns;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use foldhash::{HashMap, HashMapExt as _};
use parking_lot::Mutex;
use prometheus::IntGauge;
use tokio::{
    sync::oneshot,
    time::{Instant, timeout},
};

use self::{
    adaptive::Adaptive,
    fair_queue::{Full, Queue},
    line::Ticket,
    turns::Turns,
};
use super::{
    Account, BreakerConfig, ClientId, Config, Error, Kind, Metrics, Reservation,
    breaker::{Breaker, End, Generation},
    retry_after::{self, RetryAfterListener, RetryAfterTable},
};

pub(super) use self::adaptive::Timing;

/// Admits calls: a handle, cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Admission(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    /// How long a call waits at most.
    patience: Duration,
    in_flight: IntGauge,
    limit: IntGauge,
    breaker_state: IntGauge,
    listener: OnceLock<Arc<dyn RetryAfterListener>>,
}

/// Everything that is asked. Time is an argument.
#[derive(Debug)]
struct State {
    limits: Limits,
    /// Of the calls at once, those of this gateway.
    own: usize,
    /// Fewer calls at once than that, while they make Sync slow.
    adaptive: Option<Adaptive>,
    breaker: Breaker,
    retry_after: RetryAfterTable,
    /// Calls under way, how many of them are streaming, and how many have the head of their response.
    in_flight: usize,
    streaming: usize,
    answered: usize,
    /// Calls under way of each client that has some.
    by_client: HashMap<Option<ClientId>, usize>,
    /// Of each [`Kind`].
    queues: [Queue<Waiting>; Kind::ALL.len()],
    /// Of clients, in all queues.
    turns: Turns,
    tickets: Ticket,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    calls: usize,
    streaming: usize,
    /// Of one client, while others wait.
    of_client: usize,
}

/// A call that waits to be admitted.
#[derive(Debug)]
struct Waiting {
    reservation: Reservation,
    admitted: oneshot::Sender<Result<Admitted, Error>>,
}

/// A call that is admitted. What it holds is given back as it is dropped.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) slot: Slot,
    /// Of a streaming call.
    pub(super) streaming: Option<StreamingSlot>,
    pub(super) attempt: Attempt,
}

/// One of the calls at once.
#[derive(Debug)]
pub(super) struct Slot {
    admission: Admission,
    client: Option<ClientId>,
    is_answered: bool,
}

/// One of the streaming calls at once.
#[derive(Debug)]
pub(super) struct StreamingSlot(Admission);

/// What the breaker has to be told the end of. Dropped before that, the call was given up.
#[derive(Debug)]
pub(super) struct Attempt {
    admission: Admission,
    account: Option<Account>,
    generation: Option<Generation>,
    /// Calls that Sync works on since it was let in, with itself.
    under_way: usize,
}

/// Calls of a kind that wait for each permit, at most. With calls of a second, that is as many as
/// are admitted while they have patience; more would only be refused later.
const QUEUE: usize = 16;

/// The part of the permits that streaming calls may have: one in so many.
const STREAMING: usize = 2;

impl Admission {
    pub(super) fn new(config: &Config, metrics: &Metrics) -> Self {
        let calls = config.max_in_flight;
        let limits = Limits {
            calls,
            streaming: (calls / STREAMING).max(1),
            of_client: ((calls as f64 * config.client_share).ceil() as usize).max(1),
        };
        let now = Instant::now();
        let adaptive = config.adaptive.then(|| Adaptive::new(calls, now));
        metrics.limit.set(calls as i64);
        Self(Arc::new(Inner {
            state: Mutex::new(State { adaptive, ..State::new(limits, config.breaker, now) }),
            patience: config.attempt_timeout,
            in_flight: metrics.in_flight.clone(),
            limit: metrics.limit.clone(),
            breaker_state: metrics.breaker_state.clone(),
            listener: OnceLock::new(),
        }))
    }

    /// Waits until the call may be made.
    pub(super) async fn enter(&self, reservation: Reservation) -> Result<Admitted, Error> {
        let entered = self.change(|state| state.enter(reservation, Instant::now()));
        let (ticket, admitted) = match entered {
            Entered::Admitted(entrance) => return Ok(self.admitted(reservation, entrance)),
            Entered::Refused(error) => return Err(error),
            Entered::Queued(ticket, admitted) => (ticket, admitted),
        };
        let _leaving = Leaving { admission: self, kind: reservation.kind, ticket };
        match timeout(self.0.patience, admitted).await {
            Ok(Ok(admitted)) => admitted,
            // Others had to go before, or its time is over.
            Ok(Err(_)) | Err(_) => {
                let rest =
                    self.0.state.lock().queues[reservation.kind as usize].rest(Instant::now());
                Err(Error::Full { rest, hold: Duration::ZERO })
            }
        }
    }

    /// Nothing, or why a call for this account would be refused now.
    pub(super) fn check(&self, account: Option<Account>) -> Result<(), Error> {
        self.0.state.lock().check(account, Instant::now())
    }

    /// From now on, `listener` hears of every `Retry-After`. There is one.
    pub(super) fn tell(&self, listener: Arc<dyn RetryAfterListener>) {
        // A second one would be a mistake of the program, and would hear of nothing.
        let _ = self.0.listener.set(listener);
    }

    /// Sync has told somebody else that it wants no call for `account` for so long.
    pub(super) fn note_retry_after(&self, account: Option<Account>, rest: Duration) {
        let now = Instant::now();
        let until = now + rest.min(retry_after::MAX);
        self.change(|state| state.retry_after.note(account, until, now));
    }

    /// So many gateways share the calls at once.
    pub(super) fn share_among(&self, replicas: u32) {
        self.change(|state| state.share_among(replicas as usize));
    }

    fn admitted(&self, reservation: Reservation, entrance: Entrance) -> Admitted {
        let Reservation { kind, account, client, .. } = reservation;
        let Entrance { generation, under_way } = entrance;
        self.0.in_flight.inc();
        Admitted {
            slot: Slot { admission: self.clone(), client, is_answered: false },
            streaming: (kind == Kind::Streaming).then(|| StreamingSlot(self.clone())),
            attempt: Attempt {
                admission: self.clone(),
                account,
                generation: Some(generation),
                under_way,
            },
        }
    }

    /// Changes the state, and admits whom that lets in.
    fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let mut admitted = Vec::new();
        let changed = {
            let state = &mut *self.0.state.lock();
            let (breaker, limit) = (state.breaker.name(), state.calls());
            let changed = change(state);
            if state.is_anybody_waiting() {
                let now = Instant::now();
                admitted.extend(std::iter::from_fn(|| state.next(now)));
            }
            // Under the lock, so that the last one to set it is right.
            if state.breaker.name() != breaker {
                self.0.breaker_state.set(state.breaker.name() as i64);
            }
            if state.calls() != limit {
                self.0.limit.set(state.calls() as i64);
            }
            changed
        };
        // Under no lock: whoever has left meanwhile gives back at once what is sent here.
        for (reservation, waiting, entered) in admitted {
            let entered = entered.map(|entrance| self.admitted(reservation, entrance));
            let _ = waiting.send(entered);
        }
        changed
    }
}

/// A call that waits, until it does so no more.
struct Leaving<'a> {
    admission: &'a Admission,
    kind: Kind,
    ticket: Ticket,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.admission.0.state.lock().leave(self.kind, self.ticket);
    }
}

/// What comes of asking.
enum Entered {
    Admitted(Entrance),
    Queued(Ticket, oneshot::Receiver<Result<Admitted, Error>>),
    Refused(Error),
}

/// A call that is let in.
struct Entrance {
    generation: Generation,
    under_way: usize,
}

type Next = (Reservation, oneshot::Sender<Result<Admitted, Error>>, Result<Entrance, Error>);

impl State {
    fn new(limits: Limits, breaker: BreakerConfig, now: Instant) -> Self {
        Self {
            limits,
            own: limits.calls,
            adaptive: None,
            breaker: Breaker::new(breaker, now),
            retry_after: RetryAfterTable::default(),
            in_flight: 0,
            streaming: 0,
            answered: 0,
            by_client: HashMap::new(),
            queues: Kind::ALL.map(|kind| Queue::new(limits.of(kind).saturating_mul(QUEUE))),
            turns: Turns::default(),
            tickets: 0,
        }
    }

    fn check(&mut self, account: Option<Account>, now: Instant) -> Result<(), Error> {
        self.retry_after.check(account, now)?;
        self.breaker.check(now).map_err(|rest| Error::Open { rest })
    }

    fn enter(&mut self, reservation: Reservation, now: Instant) -> Entered {
        let Reservation { kind, account, .. } = reservation;
        if let Err(refused) = self.check(account, now) {
            return Entered::Refused(refused);
        }
        if let Some(adaptive) = &mut self.adaptive {
            adaptive.expire(now);
        }
        // Nobody overtakes who waits.
        if self.has_room(kind) && self.queues[kind as usize].is_empty() {
            return match self.admit(reservation, now) {
                Ok(entrance) => Entered::Admitted(entrance),
                Err(refused) => Entered::Refused(refused),
            };
        }
        let (admitted, receiver) = oneshot::channel();
        self.tickets += 1;
        let ticket = self.tickets;
        let waiting = Waiting { reservation, admitted };
        // As many as are admitted while Sync is fast. A lower limit lets more wait here instead of at
        // Sync, and refuses nobody.
        let permits = self.limits.of(kind) + (self.own - self.calls());
        let (queue, turns) = (&mut self.queues[kind as usize], &mut self.turns);
        match queue.push(turns, reservation, ticket, waiting, permits, now) {
            Ok(()) => Entered::Queued(ticket, receiver),
            Err(Full { rest, hold }) => Entered::Refused(Error::Full { rest, hold }),
        }
    }

    /// The next of those who wait, if there is room for it: admitted, or refused after all.
    fn next(&mut self, now: Instant) -> Option<Next> {
        let of_client = self.part(self.limits.of_client);
        let by_client = &self.by_client;
        let has_share = |client| by_client.get(&client).is_some_and(|&it| it >= of_client);
        let has_room = |kind: &Kind| self.has_room(*kind);
        let first = |kind| Some((self.queues[kind as usize].first(&self.turns, has_share)?, kind));
        let firsts = Kind::ALL.into_iter().filter(has_room).filter_map(first);
        let (_, kind) = firsts.min_by_key(|&(first, _)| first)?;
        let waiting = self.queues[kind as usize].pop(&mut self.turns, has_share, now)?;
        let Waiting { reservation, admitted } = waiting;
        // Asked once more: who has waited may have to wait longer.
        let entered = self
            .check(reservation.account, now)
            .and_then(|()| self.admit(reservation, now));
        Some((reservation, admitted, entered))
    }

    /// A call waits no more.
    fn leave(&mut self, kind: Kind, ticket: Ticket) {
        self.queues[kind as usize].leave(&mut self.turns, ticket);
    }

    fn is_anybody_waiting(&self) -> bool {
        self.queues.iter().any(|queue| !queue.is_empty())
    }

    fn has_room(&self, kind: Kind) -> bool {
        let streaming = self.part(self.limits.streaming);
        self.in_flight < self.own
            && self.at_work() < self.calls()
            && (kind == Kind::Buffered || self.streaming < streaming)
    }

    /// Calls that Sync works on. Others go at their client's pace, for hours if they are tunnels, and
    /// tell nothing of how many are too many.
    fn at_work(&self) -> usize {
        self.in_flight
            .saturating_sub(self.streaming + self.answered)
    }

    /// Calls at once now.
    fn calls(&self) -> usize {
        self.adaptive.as_ref().map_or(self.own, Adaptive::limit)
    }

    fn share_among(&mut self, replicas: usize) {
        let (all, least) = (self.limits.calls, adaptive::LEAST);
        self.own = all.div_ceil(replicas.max(1)).max(least).min(all);
        if let Some(adaptive) = &mut self.adaptive {
            adaptive.set_most(self.own);
        }
    }

    /// As much of the calls at once now as `limit` is of the most.
    fn part(&self, limit: usize) -> usize {
        limit
            .saturating_mul(self.calls())
            .div_ceil(self.limits.calls)
    }

    fn admit(&mut self, reservation: Reservation, now: Instant) -> Result<Entrance, Error> {
        let entered = self.breaker.enter(now);
        let generation = entered.map_err(|rest| Error::Open { rest })?;
        self.in_flight += 1;
        self.streaming += usize::from(reservation.kind == Kind::Streaming);
        *self.by_client.entry(reservation.client).or_default() += 1;
        Ok(Entrance { generation, under_way: self.at_work() })
    }

    fn release(&mut self, client: Option<ClientId>, is_answered: bool) {
        self.in_flight -= 1;
        self.answered -= usize::from(is_answered);
        if let Some(calls) = self.by_client.get_mut(&client) {
            *calls -= 1;
            if *calls == 0 {
                self.by_client.remove(&client);
            }
        }
    }
}

impl Limits {
    /// Calls at once of a kind.
    fn of(&self, kind: Kind) -> usize {
        match kind {
            Kind::Buffered => self.calls,
            Kind::Streaming => self.streaming,
        }
    }
}

impl Slot {
    /// Whose call it is.
    pub(super) fn client(&self) -> Option<ClientId> {
        self.client
    }

    /// The head of the response is here, and more is still to come.
    pub(super) fn answer(&mut self) {
        self.is_answered = true;
        self.admission.change(|state| state.answered += 1);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.admission.0.in_flight.dec();
        let (client, is_answered) = (self.client, self.is_answered);
        self.admission
            .change(|state| state.release(client, is_answered));
    }
}

impl Drop for StreamingSlot {
    fn drop(&mut self) {
        self.0.change(|state| state.streaming -= 1);
    }
}

impl Attempt {
    /// The attempt ended at `now`, and Sync wants no call of the account for `retry_after`. `timing`: of
    /// a call that tells how slow Sync is.
    pub(super) fn finish(
        mut self,
        end: End,
        retry_after: Option<Duration>,
        timing: Option<Timing>,
        now: Instant,
    ) {
        let (account, under_way) = (self.account, self.under_way);
        let generation = self.generation.take();
        self.admission.change(|state| {
            if let (Some(adaptive), Some(timing)) = (&mut state.adaptive, timing) {
                adaptive.note(timing, under_way, now);
            }
            if let Some(generation) = generation {
                state.breaker.leave(generation, end, now);
            }
            if let Some(retry_after) = retry_after {
                state.retry_after.note(account, now + retry_after, now);
            }
        });
        if let (Some(listener), Some(rest)) = (self.admission.0.listener.get(), retry_after) {
            listener.retry_after(account, rest);
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(generation) = self.generation.take() {
            let leave = |state: &mut State| {
                state
                    .breaker
                    .leave(generation, End::GivenUp, Instant::now());
            };
            self.admission.change(leave);
        }
    }
}

#[cfg(test)]
mod tests;
