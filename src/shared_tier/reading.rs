//! Keeps connections over which values are read. No request waits for them.

use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::{SharedTier, link::LinkError, readers::Lines, reported::Reported};
use crate::backoff::{backoff, draw};

/// How often new connections have to respond in time before they are used: each twice.
const TRIALS: usize = 4;

/// The longest between two attempts to have connections that respond.
const TRY_AFTER: Duration = Duration::from_millis(500);

impl SharedTier {
    /// Keeps connections over which values are read, for as long as it is polled.
    pub(super) async fn keep_reading(self) {
        let readers = &self.0.readers;
        let mut reported = Reported::default();
        loop {
            match self.try_lines().await {
                Ok(lines) => {
                    self.0.metrics.breaker.set(0);
                    readers.use_lines(lines).await;
                    self.0.metrics.breaker.set(1);
                }
                Err(error) => {
                    let what = "shared tier is not asked for vehicles";
                    reported.trouble(what, &error, Instant::now());
                }
            }
            let _ =
                timeout(backoff(1, TRY_AFTER, TRY_AFTER, draw()), readers.wanted.notified()).await;
        }
    }

    /// Connections that respond in time.
    async fn try_lines(&self) -> Result<Lines, LinkError> {
        let endpoint = &self.0.endpoint;
        let (one, other) = tokio::try_join!(endpoint.dial(), endpoint.dial())?;
        let lines = Lines::new([one, other]);
        let name = [self.0.values.unused_name()];
        for trial in 0..TRIALS {
            let trial = timeout(self.0.config.timeout, lines.line(trial).values(&name));
            trial.await.unwrap_or(Err(LinkError::Timeout))?;
        }
        Ok(lines)
    }
}
