//! What was logged of a connection: trouble that lasts is not logged each time.

use std::{fmt::Display, time::Duration};

use tokio::time::Instant;
use tracing::{info, warn};

/// When there was a line about it last.
#[derive(Default)]
pub(super) struct Reported {
    at: Option<Instant>,
}

/// Between two lines of the log about the same trouble.
const REPORT_EVERY: Duration = Duration::from_secs(60);

/// What is quoted of an error: the server may say much.
const QUOTED: usize = 200;

impl Reported {
    pub(super) fn connected(&mut self) {
        info!("shared tier connected");
        self.at = None;
    }

    /// Logs `what` has gone wrong, unless there was a line of late.
    pub(super) fn trouble(&mut self, what: &str, error: &impl Display, now: Instant) {
        if self.is_due(now) {
            let error: String = error.to_string().chars().take(QUOTED).collect();
            warn!(error, "{what}");
        }
    }

    fn is_due(&mut self, now: Instant) -> bool {
        let is_due = self.at.is_none_or(|at| now >= at + REPORT_EVERY);
        if is_due {
            self.at = Some(now);
        }
        is_due
    }
}
