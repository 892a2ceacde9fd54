//! What was logged of a connection: trouble that lasts is not logged each time.

use std::time::Duration;

use redis::RedisError;
use tokio::time::Instant;
use tracing::{info, warn};

use super::link::LinkError;

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

    pub(super) fn lost(&mut self, error: &LinkError, now: Instant) {
        if self.is_due(now) {
            warn!(error = %brief(error), "shared tier not reached: other replicas are not heard");
        }
    }

    pub(super) fn refused(&mut self, error: &RedisError, now: Instant) {
        if self.is_due(now) {
            warn!(error = %brief(error), "shared tier refuses what it is told of writes");
        }
    }

    pub(super) fn not_asked(&mut self, error: &LinkError, now: Instant) {
        if self.is_due(now) {
            warn!(error = %brief(error), "shared tier is not asked for vehicles");
        }
    }

    pub(super) fn not_kept(&mut self, error: &LinkError, now: Instant) {
        if self.is_due(now) {
            warn!(error = %brief(error), "shared tier does not keep vehicles");
        }
    }

    pub(super) fn not_counted(&mut self, error: &LinkError, now: Instant) {
        if self.is_due(now) {
            warn!(error = %brief(error), "shared tier does not tell how many replicas there are");
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

fn brief(error: &impl std::fmt::Display) -> String {
    error.to_string().chars().take(QUOTED).collect()
}
