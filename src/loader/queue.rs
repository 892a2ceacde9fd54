//! What waits to be fetched, and what goes into the next call. Pure: no clock, no lock, no task.

use std::{
    cmp,
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use tokio::{sync::Notify, time::Instant};

use super::{
    CallContext, Failure, Trigger, balanced,
    call_size::CallSize,
    gathering::{First, Terms},
    suspicions::Suspicions,
};
use crate::{trace::RequestTrace, upstream::ClientId, vehicle_cache::Leases};

/// What waits for calls of one account, in the order in which it came.
#[derive(Default)]
pub(super) struct Queue {
    entries: VecDeque<Entry>,
    /// Calls of small look-ups under way.
    small_calls: usize,
    /// How large calls may be; `None`: nothing is known against large ones.
    size: Option<CallSize>,
    /// What is known of requests that Sync refuses.
    pub(super) suspicions: Suspicions,
}

/// What one request waits for.
struct Entry {
    ticket: Arc<Ticket>,
    context: Arc<CallContext>,
    /// Somebody waits for these.
    awaited: Leases<Failure>,
    /// These are only to be refreshed.
    refreshes: Leases<Failure>,
    /// Calls under way that carry leases of this request.
    calls: usize,
    /// Of a small look-up, which may gather with others.
    small: Option<First>,
    /// Whether it shares no call.
    is_alone: bool,
    /// Of refreshes that travel with any call of the account: when they go by themselves.
    due: Option<Instant>,
}

/// A request in the queue: tells when there is something new for it.
#[derive(Debug, Default)]
pub(super) struct Ticket {
    pub(super) changed: Notify,
}

/// What is to be done for a request now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A call; of a small look-up, with what lets it go.
    Call(Option<Trigger>),
    /// Nothing before its ticket tells so: as many of its calls are under way as may be, or others
    /// have come before it.
    Wait,
    /// Nothing before that time, unless its ticket tells so.
    WaitUntil(Instant),
    /// Nothing more: all of it is in calls, or nobody wants it.
    Done,
}

/// What a call needs a permit for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Demand {
    /// Whose turn it takes.
    pub(super) client: Option<ClientId>,
    /// Those of the request that asks.
    pub(super) vehicles: usize,
}

/// Leases of one request in a call.
pub(super) struct Part {
    pub(super) ticket: Arc<Ticket>,
    pub(super) context: Arc<CallContext>,
    pub(super) leases: Leases<Failure>,
    /// Since when a small look-up has waited.
    pub(super) gathered_since: Option<Instant>,
    /// Whether these are refreshes of any requests, for which none of them waits.
    pub(super) is_refresh: bool,
    /// Whether they are fetched before their time.
    pub(super) rides: bool,
}

/// What goes into one call.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) parts: Vec<Part>,
    /// What let the small look-ups in it go, if there are any.
    pub(super) trigger: Option<Trigger>,
    /// For how many more vehicles of the account there is room.
    pub(super) room: usize,
}

impl Taken {
    /// Vehicles that are asked for.
    pub(super) fn len(&self) -> usize {
        self.parts.iter().map(|part| part.leases.len()).sum()
    }

    /// Whether somebody waits for one of them.
    pub(super) fn are_awaited(&self) -> bool {
        self.parts.iter().any(|part| part.leases.are_awaited())
    }

    /// Takes vehicles along that are fetched before their time.
    pub(super) fn add_riders(&mut self, leases: Leases<Failure>) {
        let Some(Part { context, .. }) = self.parts.first() else { return };
        let (client, trace) = (None, RequestTrace::default());
        let context = CallContext { client, trace, ..CallContext::clone(context) };
        self.room -= leases.len();
        self.parts.push(Part {
            ticket: Arc::default(),
            context: Arc::new(context),
            leases,
            gathered_since: None,
            is_refresh: true,
            rides: true,
        });
    }
}

impl Part {
    /// Keeps the first `count` leases, and gives the rest.
    pub(super) fn split_off(&mut self, count: usize) -> Self {
        let Self { ticket, context, leases, .. } = self;
        Self {
            ticket: Arc::clone(ticket),
            context: Arc::clone(context),
            leases: leases.split_off(count),
            ..*self
        }
    }
}

/// How large calls are, and how many of one request are made at once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Limits {
    pub(super) chunk: usize,
    pub(super) max_parallel: usize,
    pub(super) gather: Terms,
    /// How long refreshes wait for a call to travel with; zero: they go with their own request's.
    pub(super) refresh_wait: Duration,
}

/// A look-up is small if it has at most this part of the vehicles that fit into a call.
const SMALL: usize = 4;

impl Queue {
    /// Lets the leases of a request wait.
    pub(super) fn push(
        &mut self,
        mut leases: Leases<Failure>,
        context: Arc<CallContext>,
        limits: Limits,
        now: Instant,
    ) -> Arc<Ticket> {
        let ticket = Arc::<Ticket>::default();
        let is_small = leases.len() <= limits.chunk / SMALL;
        let is_alone = !context.is_shared() || self.suspicions.is_alone(context.client, now);
        let gathers = limits.gather.from > 0 && is_small && !is_alone;
        let small = gathers.then_some(First { since: now, has_waited: false });
        let refreshes = leases.extract(|lease| lease.is_refresh());
        let first = self.first().map(|first| self.entries[first].context.client);
        let is_of_others = gathers && first.is_some_and(|first| first != context.client);
        self.entries.push_back(Entry {
            ticket: Arc::clone(&ticket),
            context,
            awaited: leases,
            refreshes,
            calls: 0,
            small,
            is_alone,
            due: None,
        });
        if is_of_others || gathers && self.is_full(self.chunk(limits)) {
            self.tell_first();
        }
        ticket
    }

    /// Lets refreshes wait for a call to travel with. Gives a ticket if nobody makes calls for
    /// such ones yet: somebody has to.
    pub(super) fn push_refreshes(
        &mut self,
        mut leases: Leases<Failure>,
        context: &CallContext,
        limits: Limits,
        now: Instant,
    ) -> Option<(Arc<Ticket>, Arc<CallContext>)> {
        let chunk = self.chunk(limits);
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.due.is_some()) {
            entry.refreshes.append(leases);
            if entry.len() >= chunk {
                entry.ticket.changed.notify_one();
            }
            return None;
        }
        let ticket = Arc::<Ticket>::default();
        // They may be of many, and count as no client's own.
        let context = Arc::new(CallContext { client: None, ..context.clone() });
        let awaited = leases.extract(|_| false);
        self.entries.push_back(Entry {
            ticket: Arc::clone(&ticket),
            context: Arc::clone(&context),
            awaited,
            refreshes: leases,
            calls: 0,
            small: None,
            is_alone: false,
            due: Some(now + limits.refresh_wait),
        });
        Some((ticket, context))
    }

    /// Somebody has joined: refreshes that are waited for go at once.
    pub(super) fn hurry(&mut self, now: Instant) {
        let refreshes = self.entries.iter_mut().find(|entry| entry.due.is_some());
        if let Some(entry) = refreshes.filter(|entry| entry.refreshes.are_joined()) {
            entry.due = Some(now);
            entry.ticket.changed.notify_one();
        }
    }

    /// Whether there is nothing to know of it.
    pub(super) fn is_empty(&self, now: impl FnOnce() -> Instant) -> bool {
        self.is_idle() && self.size.is_none() && self.suspicions.are_over(now())
    }

    /// Whether nothing waits, and nothing has to be known of what is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.entries.is_empty() && self.small_calls == 0
    }

    /// What is to be done for a request. Of small look-ups, the first asks for all.
    pub(super) fn next(&mut self, ticket: &Arc<Ticket>, limits: Limits, now: Instant) -> Next {
        let Some(nth) = self.entries.iter().position(|entry| entry.is_of(ticket)) else {
            return Next::Done;
        };
        let (entry, chunk) = (&self.entries[nth], self.chunk(limits));
        if entry.calls >= limits.max_parallel {
            return Next::Wait;
        }
        if let Some(due) = entry.due.filter(|_| entry.len() < chunk) {
            return if now < due { Next::WaitUntil(due) } else { Next::Call(None) };
        }
        let Some(small) = entry.small else {
            return Next::Call(None);
        };
        if self.first() != Some(nth) {
            return Next::Wait;
        }
        let is_full = self.is_full(chunk);
        match limits
            .gather
            .departure(small, is_full, self.small_calls, now)
        {
            Ok(trigger) => Next::Call(Some(trigger)),
            Err(due) => {
                self.entries[nth].small = Some(First { has_waited: true, ..small });
                Next::WaitUntil(due)
            }
        }
    }

    /// What the next call of a request needs a permit for.
    pub(super) fn demand(&self, ticket: &Arc<Ticket>, limits: Limits) -> Option<Demand> {
        let entry = self.entries.iter().find(|entry| entry.is_of(ticket))?;
        let goes = |it: &&Entry| it.is_of(ticket) || entry.small.is_some() && it.small.is_some();
        let contexts = self.entries.iter().filter(goes).map(|it| &*it.context);
        Some(Demand {
            client: CallContext::only_client(contexts),
            vehicles: balanced(entry.len(), self.chunk(limits)).next()?,
        })
    }

    /// Fills a call: with a balanced share of what the request waits for, and then with whatever
    /// others wait for and fits in whole. Of those who are only in part there, the rest would have
    /// to wait for another call all the same. No client has more than half of a call while others
    /// wait. What room is left then is for refreshes. `trigger` is what lets a small look-up go.
    pub(super) fn take(
        &mut self,
        ticket: &Arc<Ticket>,
        trigger: Option<Trigger>,
        limits: Limits,
    ) -> Taken {
        let mut parts = Vec::new();
        let Some(nth) = self.entries.iter().position(|entry| entry.is_of(ticket)) else {
            return Taken::default();
        };
        let chunk = self.chunk(limits);
        let entry = &mut self.entries[nth];
        entry.drop_unwanted();
        let size = balanced(entry.len(), chunk).next().unwrap_or(0);
        parts.extend(entry.take(size));
        let takes_others = !entry.is_alone && size > 0;
        let mut room = if takes_others { chunk - size } else { 0 };
        let client = entry.context.client;
        let mut of_clients = HashMap::from([(client, size)]);
        let others = |entry: &&mut Entry| !entry.is_of(ticket);
        let is_one_clients = self.entries.iter().all(|it| it.context.client == client);
        let first_share = if is_one_clients { chunk } else { chunk / 2 };
        for share in [first_share, chunk] {
            for entry in self.entries.iter_mut().filter(others) {
                let is_open = !entry.is_alone && entry.due.is_none();
                let may_take = is_open && entry.calls < limits.max_parallel;
                let of_client = of_clients.entry(entry.context.client).or_default();
                if may_take && entry.len() <= room && *of_client + entry.len() <= share {
                    entry.drop_unwanted();
                    room -= entry.len();
                    *of_client += entry.len();
                    parts.extend(entry.take(entry.len()));
                }
            }
        }
        let refreshes = self.entries.iter_mut().filter(others);
        for entry in refreshes.filter(|entry| entry.due.is_some()) {
            let count = cmp::min(entry.len(), room);
            room -= count;
            parts.extend(entry.take(count));
        }
        self.forget_empty();
        if parts.is_empty() {
            return Taken::default();
        }
        self.small_calls += usize::from(trigger.is_some());
        let takes_along = parts.iter().any(|part| part.gathered_since.is_some());
        let trigger = trigger.or(takes_along.then_some(Trigger::Along));
        Taken { parts, trigger, room }
    }

    /// A call of so many vehicles came back in time.
    pub(super) fn fits(&mut self, vehicles: usize, chunk: usize) {
        self.size = self
            .size
            .and_then(|size| size.after_success(vehicles, chunk));
    }

    /// A call of so many vehicles did not.
    pub(super) fn is_too_large(&mut self, vehicles: usize, chunk: usize) {
        let size = self.size.unwrap_or_else(|| CallSize::new(chunk));
        self.size = Some(size.after_failure(vehicles));
    }

    /// How many vehicles a call may have.
    fn chunk(&self, limits: Limits) -> usize {
        let size = self.size.map_or(limits.chunk, CallSize::get);
        cmp::min(size, limits.chunk)
    }

    /// A call with leases of these requests has ended, which left because of `trigger`.
    pub(super) fn call_ended(&mut self, tickets: &[Arc<Ticket>], trigger: Option<Trigger>) {
        for ticket in tickets {
            if let Some(entry) = self.entry(ticket) {
                entry.calls -= 1;
                ticket.changed.notify_one();
            }
        }
        if trigger.is_some_and(|trigger| trigger != Trigger::Along) {
            self.small_calls -= 1;
            self.tell_first();
        }
    }

    /// The request waits no more: takes out what nobody else waits for either.
    pub(super) fn leave(&mut self, ticket: &Arc<Ticket>) {
        if let Some(entry) = self.entry(ticket) {
            entry.drop_unwanted();
            self.forget_empty();
        }
    }

    /// Takes out all that would have gone with a request: it gets no call. With a small look-up,
    /// that is all that has gathered.
    pub(super) fn refuse(&mut self, ticket: &Arc<Ticket>) -> Option<Leases<Failure>> {
        let is_small = self.entry(ticket)?.small.is_some();
        let mut refused = None::<Leases<Failure>>;
        self.entries.retain_mut(|entry| {
            let goes = entry.is_of(ticket) || is_small && entry.small.is_some();
            if goes && let Some(Part { leases, .. }) = entry.take(entry.len()) {
                match &mut refused {
                    Some(refused) => refused.append(leases),
                    None => refused = Some(leases),
                }
            }
            if goes {
                entry.ticket.changed.notify_one();
            }
            !goes
        });
        refused
    }

    /// The first of the small look-ups.
    fn first(&self) -> Option<usize> {
        self.entries.iter().position(|entry| entry.small.is_some())
    }

    /// Lets the first of the small look-ups ask what is to be done.
    fn tell_first(&self) {
        if let Some(nth) = self.first() {
            self.entries[nth].ticket.changed.notify_one();
        }
    }

    /// Whether the small look-ups fill a call.
    fn is_full(&self, chunk: usize) -> bool {
        let mut room = chunk;
        let small = self.entries.iter().filter(|entry| entry.small.is_some());
        for entry in small {
            match room.checked_sub(entry.len()) {
                Some(0) | None => return true,
                Some(rest) => room = rest,
            }
        }
        false
    }

    fn entry(&mut self, ticket: &Arc<Ticket>) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.is_of(ticket))
    }

    fn forget_empty(&mut self) {
        self.entries.retain(|entry| {
            let is_empty = entry.len() == 0;
            if is_empty {
                entry.ticket.changed.notify_one();
            }
            !is_empty
        });
        self.tell_first();
    }
}

impl Entry {
    fn is_of(&self, ticket: &Arc<Ticket>) -> bool {
        Arc::ptr_eq(&self.ticket, ticket)
    }

    fn len(&self) -> usize {
        self.awaited.len() + self.refreshes.len()
    }

    fn drop_unwanted(&mut self) {
        self.awaited.drop_unwanted();
    }

    /// Takes the first `count`; those that somebody waits for come first.
    fn take(&mut self, count: usize) -> Option<Part> {
        let rest = self.awaited.split_off(count);
        let mut leases = std::mem::replace(&mut self.awaited, rest);
        let rest = self.refreshes.split_off(count - leases.len());
        leases.append(std::mem::replace(&mut self.refreshes, rest));
        if leases.is_empty() {
            return None;
        }
        self.calls += 1;
        let (ticket, context) = (Arc::clone(&self.ticket), Arc::clone(&self.context));
        let gathered_since = self.small.map(|first| first.since);
        let is_refresh = self.due.is_some();
        Some(Part { ticket, context, leases, gathered_since, is_refresh, rides: false })
    }
}

#[cfg(test)]
mod tests;
