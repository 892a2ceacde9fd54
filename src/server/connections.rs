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

/// A connection is not asked to make room before it had this long for a request.
const SETTLED_AFTER: Duration = Duration::from_millis(500);

/// How often room is looked for while a connection waits for it.
const RETRY_EVERY: Duration = Duration::from_millis(100);

/// Who has only just connected may send a first request this long into a drain.
const FIRST_REQUEST_WITHIN: Duration = Duration::from_secs(1);

/// How long the tasks of connections that were cut may take to notice.
const CUT_WITHIN: Duration = Duration::from_millis(100);

/// The open connections of a listener.
///
/// Their number is bounded by places. When all are taken, those that have been without a request
/// for longest make room, so that idle connections never keep a caller out.
#[derive(Debug)]
pub(super) struct Connections {
    places: Arc<Semaphore>,
    max: u32,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    watches: HashMap<u64, Arc<ConnectionState>>,
    next: u64,
}

/// A connection that is known to the server while this lives.
#[derive(Debug)]
#[must_use]
pub(super) struct Entry {
    pub(super) state: Arc<ConnectionState>,
    id: u64,
    connections: Arc<Connections>,
}

// === impl Connections ===

impl Connections {
    pub(super) fn new(max: usize) -> Self {
        let max = u32::try_from(max.min(Semaphore::MAX_PERMITS)).unwrap_or(u32::MAX);
        let places = Arc::new(Semaphore::new(max as usize));
        Self { places, max, open: Mutex::default() }
    }

    /// A place, if one is free.
    pub(super) fn try_place(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// A place as soon as there is one. Others are asked to make room for it.
    pub(super) async fn place(&self) -> OwnedSemaphorePermit {
        loop {
            if let Some(place) = self.try_place() {
                return place;
            }
            self.make_room(Instant::now());
            let place = Arc::clone(&self.places).acquire_owned();
            if let Ok(Ok(place)) = timeout(RETRY_EVERY, place).await {
                return place;
            }
        }
    }

    /// Notes a connection that is opened now.
    pub(super) fn enter(self: &Arc<Self>) -> Entry {
        let state = Arc::new(ConnectionState::new());
        let mut open = self.open.lock();
        let id = open.next;
        open.next += 1;
        open.watches.insert(id, Arc::clone(&state));
        Entry { state, id, connections: Arc::clone(self) }
    }

    /// Asks those that have been without a request for longest to close, about one in a hundred.
    pub(super) fn make_room(&self, now: Instant) {
        let mut idle = Vec::new();
        for state in self.open.lock().watches.values() {
            match state.phase() {
                Phase::Head(since) | Phase::Idle(since) if now >= since + SETTLED_AFTER => {
                    idle.push((since, Arc::clone(state)));
                }
                _ => {}
            }
        }
        let wanted = self.max as usize / 100 + 1;
        if wanted < idle.len() {
            idle.select_nth_unstable_by_key(wanted, |(since, _)| *since);
            idle.truncate(wanted);
        }
        for (_, state) in idle {
            state.command(Command::MakeRoom);
        }
    }

    /// Ends all connections: what is in flight is finished, or cut after `limit`.
    pub(super) async fn drain(&self, limit: Duration) {
        let started_at = Instant::now();
        let mut all = std::pin::pin!(self.places.acquire_many(self.max));

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
        let connections = self.open.lock().watches.len();
        warn!(connections, "what is still in flight is cut");
        self.command(Command::Cut);
        // An upgraded connection does not notice. It ends with the process.
        let _ = timeout(CUT_WITHIN, all).await;
    }

    fn command(&self, command: Command) {
        for state in self.open.lock().watches.values() {
            state.command(command);
        }
    }
}

// === impl Entry ===

impl Drop for Entry {
    fn drop(&mut self) {
        self.connections.open.lock().watches.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use tokio::time::advance;

    use super::*;

    fn asked(entry: &Entry) -> bool {
        let mut cx = Context::from_waker(Waker::noop());
        entry.state.poll_order(Command::Serve, &mut cx) == Poll::Ready(Command::MakeRoom)
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
        assert_eq!(idle.iter().map(asked).collect::<Vec<_>>(), [true, false, false]);
        assert!(!asked(&busy) && !asked(&fresh));
    }

    #[tokio::test(start_paused = true)]
    async fn forgets_connections_that_are_gone() {
        let connections = Arc::new(Connections::new(1));
        drop(connections.enter());
        assert!(connections.open.lock().watches.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn gives_out_no_more_places_than_there_are() {
        let connections = Connections::new(1);
        let place = connections.try_place().unwrap();
        assert!(connections.try_place().is_none());
        assert!(
            timeout(Duration::from_secs(9), connections.place())
                .await
                .is_err()
        );
        drop(place);
        assert!(
            timeout(Duration::from_secs(9), connections.place())
                .await
                .is_ok()
        );
    }
}
