//! Whose turn it is, among clients whose calls wait, of whatever kind they are.
//!
//! Who has had least goes next, and what one has had is counted in vehicles: start-time fair
//! queueing (Goyal, Vin and Cheng 1996), which does without the rounds of deficit round robin. A
//! client that comes anew begins where the others are, and one that has had more keeps that for as
//! long as it matters.

use std::cmp;

use foldhash::HashMap;

use crate::upstream::ClientId;

/// What each client has had that waits, or has had more than others.
#[derive(Debug, Default)]
pub(super) struct Turns {
    of: HashMap<Option<ClientId>, Turn>,
    /// Calls that wait.
    waiting: usize,
    /// What the client had had that was served last.
    now: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Turn {
    /// In vehicles.
    had: u64,
    waiting: usize,
}

impl Turns {
    /// A call of a client waits.
    pub(super) fn wait(&mut self, client: Option<ClientId>) {
        let turn = self.of.entry(client).or_default();
        // Nothing is saved up while nothing is wanted.
        turn.had = cmp::max(turn.had, self.now);
        turn.waiting += 1;
        self.waiting += 1;
    }

    /// What a client has had that waits.
    pub(super) fn had(&self, client: Option<ClientId>) -> u64 {
        self.of.get(&client).map_or(self.now, |turn| turn.had)
    }

    /// Whether a client has had more than the others, so that it matters.
    pub(super) fn had_more(&self, client: Option<ClientId>) -> bool {
        self.had(client) > self.now
    }

    /// A call of so many vehicles waits no more: it is made.
    pub(super) fn serve(&mut self, client: Option<ClientId>, vehicles: u64) {
        if let Some(turn) = self.of.get_mut(&client) {
            self.now = cmp::max(self.now, turn.had);
            turn.had += vehicles;
        }
        self.leave(client);
    }

    /// A call waits no more.
    pub(super) fn leave(&mut self, client: Option<ClientId>) {
        self.waiting -= 1;
        if self.waiting == 0 {
            // Nobody had to wait for what another has had.
            *self = Self::default();
            return;
        }
        if let Some(turn) = self.of.get_mut(&client) {
            turn.waiting -= 1;
        }
        let now = self.now;
        self.of.retain(|_, turn| turn.waiting > 0 || turn.had > now);
    }
}
