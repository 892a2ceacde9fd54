//! Flights: what one request leads, for everybody who wants the same.
//!
//! A request that misses items which nobody else is asking for leads them: they become its
//! flight. Whoever misses one of them meanwhile joins, and waits for its outcome. The duty to
//! bring that outcome about is a [`Lease`](super::Leases), which is apart from the request: a
//! client that hangs up takes its waiters along, and nothing else.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use super::{Contents, Entry, Mutex, Notify};
use crate::trace::SpanContext;

/// The items that one request leads, and what became of each.
pub struct Flight<C: Contents> {
    /// The partition's epoch when the request came.
    pub(super) epoch: u32,
    /// Whether nobody can join: the request shares nothing.
    pub(super) is_private: bool,
    /// Whether the request that leads it still waits.
    has_leader: AtomicBool,
    items: Mutex<Vec<State<C>>>,
    finished: Notify,
}

/// What became of one item.
pub enum Outcome<C: Contents> {
    /// The upstream's response has it.
    Filled(Arc<Entry<C::Value>>),
    /// The call failed.
    Failed(C::Failure),
    /// Nobody asks for it any more: whoever still wants it looks it up again.
    Abandoned,
}

/// Waits for one item of a flight. Dropped, it waits no more.
pub struct Waiter<C: Contents> {
    flight: Arc<Flight<C>>,
    index: u32,
    /// Whether it is counted among those who have joined, and has to be taken off.
    is_counted: bool,
}

/// Where others find the flight that an item is in.
pub(super) struct InFlight<C: Contents> {
    pub(super) flight: Arc<Flight<C>>,
    pub(super) index: u32,
    /// Whether what comes may be stored, as far as is known when the lease is given out.
    pub(super) may_store: bool,
}

struct State<C: Contents> {
    is_sent: bool,
    /// The last call that was made for it, if that is traced.
    call: Option<SpanContext>,
    joined: u32,
    outcome: Option<Outcome<C>>,
}

impl<C: Contents> Flight<C> {
    pub(super) fn new(epoch: u32, is_private: bool) -> Arc<Self> {
        Arc::new(Self {
            epoch,
            is_private,
            has_leader: AtomicBool::new(true),
            items: Mutex::new(Vec::new()),
            finished: Notify::default(),
        })
    }

    /// Takes in one more item, and gives its index.
    pub(super) fn add(&self) -> u32 {
        let mut items = self.items.lock();
        items.push(State { is_sent: false, call: None, joined: 0, outcome: None });
        // A request has fewer items by far.
        (items.len() - 1) as u32
    }

    /// The request that leads does not wait any more. What only it has waited for need not be
    /// asked for.
    pub fn leader_left(&self) {
        self.has_leader.store(false, Relaxed);
    }

    pub(super) fn mark_sent(&self, indices: impl Iterator<Item = u32>, call: Option<SpanContext>) {
        let mut items = self.items.lock();
        indices.for_each(|index| {
            items[index as usize].is_sent = true;
            items[index as usize].call = call;
        });
    }

    /// Whether somebody waits for the item.
    pub(super) fn is_awaited(&self, index: u32) -> bool {
        self.has_leader.load(Relaxed) || self.is_joined(index)
    }

    /// Whether somebody has joined, and waits for the item.
    pub(super) fn is_joined(&self, index: u32) -> bool {
        self.items.lock()[index as usize].joined > 0
    }

    /// Finishes those that are not finished yet, and wakes who waits for them.
    pub(super) fn finish(&self, outcomes: impl Iterator<Item = (u32, Outcome<C>)>) {
        let mut items = self.items.lock();
        for (index, outcome) in outcomes {
            items[index as usize].outcome.get_or_insert(outcome);
        }
        drop(items);
        self.finished.notify_waiters();
    }
}

impl<C: Contents> Waiter<C> {
    /// The waiter of the request that leads.
    pub(super) fn leading(flight: &Arc<Flight<C>>, index: u32) -> Self {
        Self { flight: Arc::clone(flight), index, is_counted: false }
    }

    /// Waits until it is known what became of the item.
    pub async fn outcome(&mut self) -> Outcome<C> {
        loop {
            // From here on no end is missed, also if it comes before the wait.
            let finished = self.flight.finished.notified();
            if let Some(outcome) = self.flight.items.lock()[self.index as usize]
                .outcome
                .clone()
            {
                self.is_counted = false;
                return outcome;
            }
            finished.await;
        }
    }

    /// The last call that was made for the item, if that is traced.
    pub fn call(&self) -> Option<SpanContext> {
        self.flight.items.lock()[self.index as usize].call
    }

    #[cfg(test)]
    pub(super) fn is_at(&self, flight: &Arc<Flight<C>>, index: u32) -> bool {
        self.index == index && Arc::ptr_eq(&self.flight, flight)
    }
}

impl<C: Contents> Drop for Waiter<C> {
    fn drop(&mut self) {
        if self.is_counted {
            self.flight.items.lock()[self.index as usize].joined -= 1;
        }
    }
}

impl<C: Contents> InFlight<C> {
    /// One more waits for it.
    pub(super) fn join(&self) -> Waiter<C> {
        self.flight.items.lock()[self.index as usize].joined += 1;
        Waiter { flight: Arc::clone(&self.flight), index: self.index, is_counted: true }
    }

    pub(super) fn is_sent(&self) -> bool {
        self.flight.items.lock()[self.index as usize].is_sent
    }

    pub(super) fn is_at(&self, flight: &Arc<Flight<C>>, index: u32) -> bool {
        self.index == index && Arc::ptr_eq(&self.flight, flight)
    }
}

impl<C: Contents> Clone for Outcome<C> {
    fn clone(&self) -> Self {
        match self {
            Self::Filled(entry) => Self::Filled(Arc::clone(entry)),
            Self::Failed(failure) => Self::Failed(failure.clone()),
            Self::Abandoned => Self::Abandoned,
        }
    }
}
