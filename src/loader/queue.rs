//! What waits to be fetched, and what goes into the next call. Pure: no clock, no lock, no task.

use std::{collections::VecDeque, sync::Arc};

use tokio::sync::Notify;

use super::{CallContext, Failure, balanced};
use crate::vehicle_cache::Leases;

/// What waits for calls of one account, in the order in which it came.
#[derive(Default)]
pub(super) struct Queue {
    entries: VecDeque<Entry>,
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
}

/// A request in the queue: tells when there is something new for it.
#[derive(Debug, Default)]
pub(super) struct Ticket {
    pub(super) changed: Notify,
}

/// What is to be done for a request now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A call.
    Call,
    /// Nothing before one of its calls has ended: as many are under way as may be.
    Wait,
    /// Nothing more: all of it is in calls, or nobody wants it.
    Done,
}

/// Leases of one request in a call.
pub(super) struct Part {
    pub(super) ticket: Arc<Ticket>,
    pub(super) context: Arc<CallContext>,
    pub(super) leases: Leases<Failure>,
}

/// How large calls are, and how many of one request are made at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) chunk: usize,
    pub(super) max_parallel: usize,
}

// === impl Queue ===

impl Queue {
    /// Lets the leases of a request wait.
    pub(super) fn push(
        &mut self,
        mut leases: Leases<Failure>,
        context: Arc<CallContext>,
    ) -> Arc<Ticket> {
        let ticket = Arc::<Ticket>::default();
        let refreshes = leases.extract(|lease| lease.is_refresh());
        let entry =
            Entry { ticket: Arc::clone(&ticket), context, awaited: leases, refreshes, calls: 0 };
        self.entries.push_back(entry);
        ticket
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// What is to be done for a request.
    pub(super) fn next(&self, ticket: &Arc<Ticket>, limits: Limits) -> Next {
        match self.entries.iter().find(|entry| entry.is_of(ticket)) {
            None => Next::Done,
            Some(entry) if entry.calls >= limits.max_parallel => Next::Wait,
            Some(_) => Next::Call,
        }
    }

    /// Fills a call: with a balanced share of what the request waits for, and then with whatever
    /// others wait for and fits in whole. Of those who are only in part there, the rest would have
    /// to wait for another call all the same.
    pub(super) fn take(&mut self, ticket: &Arc<Ticket>, limits: Limits) -> Vec<Part> {
        let mut parts = Vec::new();
        let Some(nth) = self.entries.iter().position(|entry| entry.is_of(ticket)) else {
            return parts;
        };
        let entry = &mut self.entries[nth];
        entry.drop_unwanted();
        let size = balanced(entry.len(), limits.chunk).next().unwrap_or(0);
        parts.extend(entry.take(size));
        let is_shared = entry.context.is_shared();
        let mut room = limits.chunk - size;
        let others = self.entries.iter_mut().filter(|_| is_shared && size > 0);
        for entry in others.filter(|entry| !entry.is_of(ticket)) {
            if entry.calls < limits.max_parallel && entry.len() <= room {
                entry.drop_unwanted();
                room -= entry.len();
                parts.extend(entry.take(entry.len()));
            }
        }
        self.forget_empty();
        parts
    }

    /// A call with leases of this request has ended.
    pub(super) fn call_ended(&mut self, ticket: &Arc<Ticket>) {
        if let Some(entry) = self.entry(ticket) {
            entry.calls -= 1;
            ticket.changed.notify_one();
        }
    }

    /// The request waits no more: takes out what nobody else waits for either.
    pub(super) fn leave(&mut self, ticket: &Arc<Ticket>) {
        if let Some(entry) = self.entry(ticket) {
            entry.drop_unwanted();
            self.forget_empty();
        }
    }

    /// Takes out all that the request waits for.
    pub(super) fn remove(&mut self, ticket: &Arc<Ticket>) -> Option<Leases<Failure>> {
        let nth = self.entries.iter().position(|entry| entry.is_of(ticket))?;
        let Entry { mut awaited, refreshes, .. } = self.entries.remove(nth)?;
        awaited.append(refreshes);
        Some(awaited)
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
    }
}

// === impl Entry ===

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
        Some(Part { ticket, context, leases })
    }
}

#[cfg(test)]
mod tests;
