//! Connections to Sync that wait for their next exchange, and calls that wait for a connection.
//!
//! What was used last is used first: it is still in the processor's caches, and what is too much
//! gets to the end of its time.

use std::{
    collections::VecDeque,
    fmt, mem,
    sync::{Arc, Weak},
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{sync::oneshot, time::sleep};

use super::{
    Error,
    wire::{Wire, silent},
};

/// Connections between two exchanges.
pub(super) struct Spare {
    timeout: Duration,
    max: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// From the one that was used longest ago on. There are none while somebody waits.
    #[expect(clippy::vec_box, reason = "they are large, and moved often")]
    wires: Vec<Box<Wire>>,
    waiting: VecDeque<oneshot::Sender<Made>>,
    is_swept: bool,
}

/// A connection, or why there is none.
type Made = Result<Box<Wire>, Error>;

/// How often connections are looked at that nobody uses: one that Sync has closed keeps its socket
/// until then.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

impl Spare {
    /// Keeps up to `max` connections, each for `timeout`.
    pub(super) fn new(timeout: Duration, max: usize) -> Arc<Self> {
        Arc::new(Self { timeout, max, state: Mutex::default() })
    }

    /// A connection that waits.
    pub(super) fn take(&self) -> Option<Box<Wire>> {
        let mut state = self.state.lock();
        let wire = state.wires.pop()?;
        if self.is_good(&wire) {
            return Some(wire);
        }
        // All others have waited for longer.
        let wires = mem::take(&mut state.wires);
        drop(state);
        drop(wires);
        None
    }

    /// The next connection that is `put` here, or the next reason why none can be made.
    pub(super) fn wait(&self) -> oneshot::Receiver<Made> {
        let (waiting, made) = oneshot::channel();
        let queue = &mut self.state.lock().waiting;
        // Calls that were given up. Who is first makes a connection, so it is not first for long.
        while queue.pop_front_if(|first| first.is_closed()).is_some() {}
        queue.push_back(waiting);
        made
    }

    /// Gives `made` to who has waited for longest. If nobody does, a connection waits.
    pub(super) fn put(self: &Arc<Self>, mut made: Made) {
        let mut state = self.state.lock();
        while let Some(waiting) = state.waiting.pop_front() {
            made = match waiting.send(made) {
                Ok(()) => return,
                // It waits no more.
                Err(made) => made,
            };
        }
        let Ok(mut wire) = made else { return };
        wire.become_spare();
        state.wires.push(wire);
        if state.wires.len() > self.max {
            state.wires.remove(0);
        }
        if !mem::replace(&mut state.is_swept, true) {
            tokio::spawn(sweep(Arc::downgrade(self)));
        }
    }

    fn is_good(&self, wire: &Wire) -> bool {
        wire.spare_since().elapsed() < self.timeout
    }

    fn drop_bad(&self) {
        self.state.lock().wires.retain_mut(|wire| {
            wire.poll(&mut silent());
            self.is_good(wire) && !wire.has_ended()
        });
    }
}

/// Drops connections that have ended, or have waited for too long.
async fn sweep(spare: Weak<Spare>) {
    loop {
        sleep(SWEEP_EVERY).await;
        let Some(spare) = spare.upgrade() else { return };
        spare.drop_bad();
    }
}

impl fmt::Debug for Spare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spare").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn forgets_calls_that_were_given_up() {
        let spare = Spare::new(Duration::ZERO, 1);
        for _ in 0..100 {
            drop(spare.wait());
        }
        assert_eq!(spare.state.lock().waiting.len(), 1);
        let live = spare.wait();
        spare.put(Err(Error::Timeout));
        assert!(matches!(live.await, Ok(Err(Error::Timeout))));
    }
}
