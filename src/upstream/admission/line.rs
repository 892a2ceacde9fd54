//! What one client waits for, and what that weighs.

use std::{cmp, collections::VecDeque};

use crate::{
    refusals::Refusals,
    upstream::{ClientId, FEW_VEHICLES, Reservation},
};

/// What one client waits for, in the order in which it came.
#[derive(Debug)]
pub(super) struct Line<T> {
    pub(super) client: Option<ClientId>,
    waiting: VecDeque<(Ticket, Weight, T)>,
    /// What it takes of the room.
    pub(super) room: usize,
    /// Small calls among those that wait.
    pub(super) small: usize,
    pub(super) refusals: Refusals,
}

/// What a call counts for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weight {
    /// How much of its client's turns it takes.
    pub(super) vehicles: u64,
    pub(super) room: usize,
    pub(super) is_small: bool,
}

/// Tells apart who waits; later ones are larger.
pub(super) type Ticket = u64;

/// A call takes the room of one, and of one more for each so many bytes of its body.
pub(super) const BYTES: usize = 64 * 1024;

impl<T> Line<T> {
    pub(super) fn new(client: Option<ClientId>) -> Self {
        Self { client, waiting: VecDeque::new(), room: 0, small: 0, refusals: Refusals::default() }
    }

    pub(super) fn push(&mut self, ticket: Ticket, weight: Weight, item: T) {
        self.waiting.push_back((ticket, weight, item));
        self.room += weight.room;
        self.small += usize::from(weight.is_small);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn first(&self) -> Option<Ticket> {
        self.waiting.front().map(|&(ticket, ..)| ticket)
    }

    /// Serves the first.
    pub(super) fn pop(&mut self) -> Option<(Weight, T)> {
        let (_, weight, item) = self.waiting.pop_front()?;
        self.forget(weight);
        Some((weight, item))
    }

    pub(super) fn drop_last(&mut self) -> Option<Weight> {
        let (_, weight, _) = self.waiting.pop_back()?;
        self.forget(weight);
        Some(weight)
    }

    pub(super) fn remove(&mut self, ticket: Ticket) -> Option<Weight> {
        let of_waiting = |&(other, ..): &(Ticket, Weight, T)| other;
        let at = self.waiting.binary_search_by_key(&ticket, of_waiting);
        let (_, weight, _) = self.waiting.remove(at.ok()?)?;
        self.forget(weight);
        Some(weight)
    }

    fn forget(&mut self, weight: Weight) {
        self.room -= weight.room;
        self.small -= usize::from(weight.is_small);
    }
}

impl Weight {
    /// A call of few vehicles takes as long as one of none.
    pub(super) fn of(reservation: &Reservation) -> Self {
        let &Reservation { vehicles, bytes, .. } = reservation;
        Self {
            vehicles: cmp::max(vehicles, FEW_VEHICLES) as u64,
            room: 1 + bytes / BYTES,
            is_small: vehicles <= FEW_VEHICLES,
        }
    }
}
