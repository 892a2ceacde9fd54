//! All open connections: how many there may be, and how they end.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::{Instant, timeout, timeout_at},
};
use tracing::warn;

use super::{
    connection_state::{Command, ConnectionState},
    phase::Phase,
};

/// A connection is not told to make room before it had this long for a request.
const SETTLED_AFTER: Duration = Duration::from_millis(500);

/// How often idle connections are looked for while another one waits for a permit.
const RETRY_EVERY: Duration = Duration::from_millis(100);

/// A client that has only just connected may send a first request this long into a drain.
const FIRST_REQUEST_WITHIN: Duration = Duration::from_secs(1);

/// How long the tasks of connections that were cut may take to notice.
const CUT_WITHIN: Duration = Duration::from_millis(100);

/// The open connections of a listener.
///
/// Their number is bounded by permits. When all are taken, the connections that have been idle
/// for longest are closed, so that they never keep a client out.
#[derive(Debug)]
pub(super) struct Connections {
    permits: Arc<Semaphore>,
    max: u32,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    states: HashMap<u64, Arc<ConnectionState>>,
    next: u64,
    /// Each connection has one more response.
    are_ending: bool,
}

/// A connection that the server knows until this is dropped.
#[derive(Debug)]
#[must_use]
pub(super) struct Entry {
    pub(super) state: Arc<ConnectionState>,
    id: u64,
    connections: Arc<Connections>,
}

impl Connections {
    pub(super) fn new(max: usize) -> Self {
        let max = u32::try_from(max.min(Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        let permits = Arc::new(Semaphore::new(max as usize));
        Self { permits, max, open: Mutex::default() }
    }

    pub(super) fn try_permit(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.permits).try_acquire_owned().ok()
    }

    /// A permit as soon as there is one. Idle connections are closed for it.
    pub(super) async fn permit(&self) -> OwnedSemaphorePermit {
        loop {
            if let Some(permit) = self.try_permit() {
                return permit;
            }
            self.make_room(Instant::now());
            let permit = Arc::clone(&self.permits).acquire_owned();
            if let Ok(Ok(permit)) = timeout(RETRY_EVERY, permit).await {
                return permit;
            }
        }
    }

    pub(super) fn enter(self: &Arc<Self>) -> Entry {
        let state = Arc::new(ConnectionState::new());
        let mut open = self.open.lock();
        if open.are_ending {
            state.close_soon();
        }
        let id = open.next;
        open.next += 1;
        open.states.insert(id, Arc::clone(&state));
        Entry { state, id, connections: Arc::clone(self) }
    }

    /// Tells about one connection in a hundred to close: first those whose end we have closed
    /// already, then those that have been idle for longest.
    pub(super) fn make_room(&self, now: Instant) {
        let mut idle = Vec::new();
        for state in self.open.lock().states.values() {
            let (is_served, since) = match state.phase() {
                Phase::Closing(since) => (true, since),
                Phase::Head(since) | Phase::Idle(since) if now >= since + SETTLED_AFTER => {
                    (false, since)
                }
                _ => continue,
            };
            idle.push((!is_served, since, Arc::clone(state)));
        }
        let wanted = self.max as usize / 100 + 1;
        if wanted < idle.len() {
            idle.select_nth_unstable_by_key(wanted, |(is_open, since, _)| (*is_open, *since));
            idle.truncate(wanted);
        }
        for (_, _, state) in idle {
            state.command(Command::MakeRoom);
        }
    }

    /// Ends connections with their next responses, also those that are yet to come. A connection that
    /// is closed between two requests may be so while the second is on its way.
    pub(super) fn end_soon(&self) {
        let mut open = self.open.lock();
        open.are_ending = true;
        for state in open.states.values() {
            state.close_soon();
        }
    }

    /// Ends all connections: requests in flight are finished, or cut after `limit`.
    pub(super) async fn drain(&self, limit: Duration) {
        let started_at = Instant::now();
        let mut all = std::pin::pin!(self.permits.acquire_many(self.max));

        self.command(Command::Drain);
        if timeout(FIRST_REQUEST_WITHIN.min(limit), all.as_mut())
            .await
            .is_ok()
        {
            return;
        }
        self.command(Command::Close);
        if timeout_at(started_at + limit, all.as_mut()).await.is_ok() {
            return;
        }
        let connections = self.open.lock().states.len();
        warn!(connections, "connections cut at the end of the drain");
        self.command(Command::Cut);
        // An upgraded connection is not told. It ends with the process.
        let _ = timeout(CUT_WITHIN, all).await;
    }

    fn command(&self, command: Command) {
        for state in self.open.lock().states.values() {
            state.command(command);
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.connections.open.lock().states.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use tokio::time::advance;

    use super::*;

    fn is_told(entry: &Entry) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        entry.state.poll_command(Command::Serve, &mut cx) == Poll::Ready(Command::MakeRoom)
    }

    #[tokio::test(start_paused = true)]
    async fn asks_the_longest_idle_to_make_room() {
        let connections = Arc::new(Connections::new(2));
        let busy = connections.enter();
        busy.state.note_begun();
        let mut idle = Vec::new();
        for _ in 0..3 {
            idle.push(connections.enter());
            advance(SETTLED_AFTER).await;
        }
        let fresh = connections.enter();

        connections.make_room(Instant::now());
        assert_eq!(idle.iter().map(is_told).collect::<Vec<_>>(), [true, false, false]);
        assert!(!is_told(&busy) && !is_told(&fresh));
    }

    #[tokio::test(start_paused = true)]
    async fn forgets_connections_that_are_gone() {
        let connections = Arc::new(Connections::new(1));
        drop(connections.enter());
        assert!(connections.open.lock().states.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn gives_out_no_more_permits_than_there_are() {
        let connections = Connections::new(1);
        let permit = connections.try_permit().unwrap();
        assert!(connections.try_permit().is_none());
        assert!(
            timeout(Duration::from_secs(9), connections.permit())
                .await
                .is_err()
        );
        drop(permit);
        assert!(
            timeout(Duration::from_secs(9), connections.permit())
                .await
                .is_ok()
        );
    }
}
