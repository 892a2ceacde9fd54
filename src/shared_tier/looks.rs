//! What is known of signs, and who waits for more.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

use super::{
    acknowledgements::{Acknowledgements, Signs},
    position::{Era, Position},
};

/// Shared by who looks and who waits.
pub(super) struct Looks {
    pub(super) acknowledgements: Mutex<Acknowledgements>,
    pub(super) is_wanted: Notify,
    /// Told when signs have come.
    pub(super) has_come: Notify,
}

impl Looks {
    pub(super) fn new(lease: Duration) -> Self {
        Self {
            acknowledgements: Mutex::new(Acknowledgements::new(lease)),
            is_wanted: Notify::new(),
            has_come: Notify::new(),
        }
    }

    pub(super) fn connected(&self, era: Era) {
        self.acknowledgements.lock().connected(era);
    }

    pub(super) fn logged(&self, at: Position) {
        self.acknowledgements.lock().logged(at);
    }

    pub(super) fn note(&self, asked_for: Position, signs: Signs) {
        let now = Instant::now();
        self.acknowledgements.lock().note(asked_for, signs, now);
        self.has_come.notify_waiters();
    }
}
