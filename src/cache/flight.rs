//! Flights: what one request has asked of the upstream, for everybody who wants the same.
//!
//! A flight has one seat for each vehicle that its request leads. Whoever misses a vehicle that
//! has a seat already waits for that seat. The calls of a flight run in a task of their own, each
//! under a [`Lease`](super::Lease) on its range of seats, so that a caller who hangs up disturbs
//! nobody. A lease must be used up: landed, failed, or else dropped, which abandons its seats,
//! and whoever waited for them claims anew.

use std::{
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use super::{Entry, Key, Mutex, Notify};

/// Why a flight failed: shared by everybody who waited for it.
pub trait Failure: Clone + Send + Sync + 'static {}

impl<F: Clone + Send + Sync + 'static> Failure for F {}

/// The vehicles that one request leads, and what became of each.
pub struct Flight<F> {
    /// The partition's epoch when the flight was composed.
    pub(super) epoch: u32,
    seats: Mutex<Vec<SeatState<F>>>,
    landed: Notify,
    given_up: AtomicBool,
}

/// What became of one vehicle's part of a call.
pub enum Outcome<F> {
    /// The upstream answered.
    Filled(Arc<Entry>),
    /// The call failed.
    Failed(F),
    /// Nobody asks any more: whoever still wants it claims anew.
    Abandoned,
}

/// One vehicle's place in a flight.
pub struct Seat<F> {
    pub(super) flight: Arc<Flight<F>>,
    place: usize,
    /// Whether what comes may be stored, as far as is known when the seat is taken.
    pub(super) may_store: bool,
}

struct SeatState<F> {
    is_sent: bool,
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
    pub(super) fn new(epoch: u32) -> Arc<Self> {
        Arc::new(Self {
            epoch,
            seats: Mutex::new(Vec::new()),
            landed: Notify::default(),
            given_up: AtomicBool::new(false),
        })
    }

    /// Takes the next seat.
    pub(super) fn board(self: &Arc<Self>) -> Seat<F> {
        let mut seats = self.seats.lock();
        seats.push(SeatState { is_sent: false, outcome: None });
        Seat { flight: Arc::clone(self), place: seats.len() - 1, may_store: true }
    }

    /// The request that composed the flight has failed as a whole: what is not sent need not be.
    pub fn give_up(&self) {
        self.given_up.store(true, Relaxed);
    }

    /// Whether the rest need not be sent.
    pub fn is_given_up(&self) -> bool {
        self.given_up.load(Relaxed)
    }

    pub(super) fn mark_sent(&self, places: Range<usize>) {
        for seat in &mut self.seats.lock()[places] {
            seat.is_sent = true;
        }
    }

    /// Settles every place of `places` that is not settled yet.
    pub(super) fn settle(
        &self,
        places: Range<usize>,
        mut outcome: impl FnMut(usize) -> Outcome<F>,
    ) {
        let first = places.start;
        for (nth, seat) in self.seats.lock()[places].iter_mut().enumerate() {
            if seat.outcome.is_none() {
                seat.outcome = Some(outcome(first + nth));
            }
        }
        self.landed.notify_waiters();
    }
}

// === impl Seat ===

impl<F: Failure> Seat<F> {
    /// Waits until it is known what became of this vehicle.
    pub async fn outcome(&self) -> Outcome<F> {
        loop {
            // From here on no landing is missed, also if it comes before the wait.
            let landed = self.flight.landed.notified();
            if let Some(outcome) = self.settled() {
                return outcome;
            }
            landed.await;
        }
    }

    /// The flight this seat is in.
    pub fn flight(&self) -> &Arc<Flight<F>> {
        &self.flight
    }

    pub(super) fn is_sent(&self) -> bool {
        self.flight.seats.lock()[self.place].is_sent
    }

    pub(super) fn is_at(&self, flight: &Arc<Flight<F>>, place: usize) -> bool {
        self.place == place && Arc::ptr_eq(&self.flight, flight)
    }

    fn settled(&self) -> Option<Outcome<F>> {
        self.flight.seats.lock()[self.place].outcome.clone()
    }
}

impl<F> Clone for Seat<F> {
    fn clone(&self) -> Self {
        Self { flight: Arc::clone(&self.flight), ..*self }
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
