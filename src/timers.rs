//! Timers that are used again.
//!
//! To make a timer, and to take it away, changes the runtime's wheel of timers under its lock. A time
//! limit is nearly always taken away long before its end, and the next one is for later: to move the
//! one that was set before touches nothing else. Until its time is over, a timer that is kept holds on
//! to the memory of the task that waited for it last.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::time::{Instant, Sleep, sleep_until};

/// Timers that are set, and nobody waits for: a handle, cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Timers(Arc<Mutex<Vec<Pin<Box<Sleep>>>>>);

/// Ready when its time is over.
#[derive(Debug)]
pub(crate) struct Timer {
    /// `None`: it is being dropped.
    sleep: Option<Pin<Box<Sleep>>>,
    timers: Timers,
}

/// Timers that are kept, at most: as many as there are limits at once in a gateway at work.
const MAX: usize = 1024;

impl Timers {
    /// A timer whose time is over after `time`.
    pub(crate) fn start(&self, time: Duration) -> Timer {
        let at = Instant::now() + time;
        let kept = self.0.lock().pop();
        let sleep = match kept {
            Some(mut sleep) => {
                sleep.as_mut().reset(at);
                sleep
            }
            None => Box::pin(sleep_until(at)),
        };
        Timer { sleep: Some(sleep), timers: self.clone() }
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.sleep.as_mut();
        sleep.map_or(Poll::Pending, |sleep| sleep.as_mut().poll(cx))
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let mut kept = self.timers.0.lock();
        if kept.len() < MAX {
            kept.extend(self.sleep.take());
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::poll;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn a_timer_that_is_used_again_keeps_its_own_time() {
        let timers = Timers::default();
        // Later than the one before it, earlier, and after that has ended.
        for (seconds, given_up_after) in [(60, 1), (60, 1), (5, 1), (60, 90), (1, 0), (60, 0)] {
            let mut given_up = timers.start(60 * SECOND);
            assert!(poll!(&mut given_up).is_pending());
            drop(given_up);
            tokio::time::sleep(given_up_after * SECOND).await;
            let began_at = Instant::now();
            timers.start(seconds * SECOND).await;
            assert_eq!(began_at.elapsed(), seconds * SECOND);
            assert_eq!(timers.0.lock().len(), 1);
        }
    }

    #[tokio::test]
    async fn keeps_no_more_than_so_many() {
        let timers = Timers::default();
        let started: Vec<_> = (0..=MAX).map(|_| timers.start(SECOND)).collect();
        drop(started);
        assert_eq!(timers.0.lock().len(), MAX);
    }
}
