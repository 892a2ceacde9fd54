//! Flights: what one request leads, for everybody who wants the same.
//!
//! A request that misses vehicles which nobody else is asking for leads them: they become its
//! flight. Whoever misses one of them meanwhile joins, and waits for its outcome. The duty to
//! bring that outcome about is a [`Lease`](super::Leases), which is apart from the request: a
//! client that hangs up takes its waiters along, and nothing else.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use super::{Entry, Key, Mutex, Notify};

/// Why a vehicle could not be fetched: shared by everybody who waited for it.
pub trait Failure: Clone + Send + Sync + 'static {}

impl<F: Clone + Send + Sync + 'static> Failure for F {}

/// The vehicles that one request leads, and what became of each.
pub struct Flight<F> {
    /// The partition's epoch when the request came.
    pub(super) epoch: u32,
    /// Whether nobody can join: the request shares nothing.
    pub(super) is_private: bool,
    /// Whether the request that leads it still waits.
    has_leader: AtomicBool,
    vehicles: Mutex<Vec<State<F>>>,
    finished: Notify,
}

/// What became of one vehicle.
pub enum Outcome<F> {
    /// The upstream's response has it.
    Filled(Arc<Entry>),
    /// The call failed.
    Failed(F),
    /// Nobody asks for it any more: whoever still wants it looks it up again.
    Abandoned,
}

/// Waits for one vehicle of a flight. Dropped, it waits no more.
pub struct Waiter<F> {
    flight: Arc<Flight<F>>,
    index: usize,
    /// Whether it is counted among those who have joined, and has to be taken off.
    is_counted: bool,
}

/// Where others find the flight that a vehicle is in.
pub(super) struct InFlight<F> {
    pub(super) flight: Arc<Flight<F>>,
    pub(super) index: usize,
    /// Whether what comes may be stored, as far as is known when the lease is given out.
    pub(super) may_store: bool,
}

struct State<F> {
    is_sent: bool,
    joined: u32,
    outcome: Option<Outcome<F>>,
}

/// A key with its hash, taken once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hashed {
    pub(super) key: Key,
    pub(super) hash: u64,
}

// === impl Flight ===

impl<F: Failure> Flight<F> {
    pub(super) fn new(epoch: u32, is_private: bool) -> Arc<Self> {
        Arc::new(Self {
            epoch,
            is_private,
            has_leader: AtomicBool::new(true),
            vehicles: Mutex::new(Vec::new()),
            finished: Notify::default(),
        })
    }

    /// Takes in one more vehicle, and gives its index.
    pub(super) fn add(&self) -> usize {
        let mut vehicles = self.vehicles.lock();
        vehicles.push(State { is_sent: false, joined: 0, outcome: None });
        vehicles.len() - 1
    }

    /// The request that leads does not wait any more. What only it has waited for need not be
    /// asked for.
    pub fn leader_left(&self) {
        self.has_leader.store(false, Relaxed);
    }

    pub(super) fn mark_sent(&self, indices: impl Iterator<Item = usize>) {
        let mut vehicles = self.vehicles.lock();
        indices.for_each(|index| vehicles[index].is_sent = true);
    }

    /// Whether somebody waits for the vehicle.
    pub(super) fn is_awaited(&self, index: usize) -> bool {
        self.has_leader.load(Relaxed) || self.vehicles.lock()[index].joined > 0
    }

    /// Finishes those that are not finished yet, and wakes who waits for them.
    pub(super) fn finish(&self, outcomes: impl Iterator<Item = (usize, Outcome<F>)>) {
        let mut vehicles = self.vehicles.lock();
        for (index, outcome) in outcomes {
            vehicles[index].outcome.get_or_insert(outcome);
        }
        drop(vehicles);
        self.finished.notify_waiters();
    }
}

// === impl Waiter ===

impl<F: Failure> Waiter<F> {
    /// The waiter of the request that leads.
    pub(super) fn leading(flight: &Arc<Flight<F>>, index: usize) -> Self {
        Self { flight: Arc::clone(flight), index, is_counted: false }
    }

    /// Waits until it is known what became of the vehicle.
    pub async fn outcome(&mut self) -> Outcome<F> {
        loop {
            // From here on no end is missed, also if it comes before the wait.
            let finished = self.flight.finished.notified();
            if let Some(outcome) = self.flight.vehicles.lock()[self.index].outcome.clone() {
                self.is_counted = false;
                return outcome;
            }
            finished.await;
        }
    }

    #[cfg(test)]
    pub(super) fn is_at(&self, flight: &Arc<Flight<F>>, index: usize) -> bool {
        self.index == index && Arc::ptr_eq(&self.flight, flight)
    }
}

impl<F> Drop for Waiter<F> {
    fn drop(&mut self) {
        if self.is_counted {
            self.flight.vehicles.lock()[self.index].joined -= 1;
        }
    }
}

// === impl InFlight ===

impl<F: Failure> InFlight<F> {
    /// One more waits for it.
    pub(super) fn join(&self) -> Waiter<F> {
        self.flight.vehicles.lock()[self.index].joined += 1;
        Waiter { flight: Arc::clone(&self.flight), index: self.index, is_counted: true }
    }

    pub(super) fn is_sent(&self) -> bool {
        self.flight.vehicles.lock()[self.index].is_sent
    }

    pub(super) fn is_at(&self, flight: &Arc<Flight<F>>, index: usize) -> bool {
        self.index == index && Arc::ptr_eq(&self.flight, flight)
    }
}

// === impl Outcome ===

impl<F: Failure> Clone for Outcome<F> {
    fn clone(&self) -> Self {
        match self {
            Self::Filled(entry) => Self::Filled(Arc::clone(entry)),
            Self::Failed(failure) => Self::Failed(failure.clone()),
            Self::Abandoned => Self::Abandoned,
        }
    }
}
