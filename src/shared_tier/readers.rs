//! Connections over which values are read, while the server responds in time.
//!
//! Requests wait for it no longer than `shared.timeout`. When it has kept three in a row waiting, or
//! a connection is lost, nobody asks any more until new connections have stood a trial that no
//! request waits for.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::Relaxed},
    },
    time::Duration,
};

use arc_swap::ArcSwapOption;
use tokio::{
    sync::{Notify, Semaphore},
    time::timeout,
};

use super::{
    lease_commands::Leased,
    link::{Link, LinkError},
    value_codec::MAX_VALUE,
};

/// The connections, if they may be used.
#[derive(Default)]
pub(super) struct Readers {
    lines: ArcSwapOption<Lines>,
    /// How many in a row were kept waiting.
    misses: AtomicU32,
    given_up: Notify,
    /// Told when there are new ones.
    renewed: Notify,
    /// Told when they are to be made at once.
    pub(super) wanted: Notify,
}

/// Two, so that a large request does not keep a small one waiting.
pub(super) struct Lines([Line; 2]);

/// A connection, and how much may be asked for over it.
pub(super) struct Line {
    link: Link,
    /// Names that may be asked for at once: what comes for them all has to fit into memory.
    room: Semaphore,
}

/// Vehicles that are asked for at once.
pub(super) const PIECE: usize = 500;

/// Names that are asked for at once over one connection: some 30 megabytes of the longest values.
const ROOM: usize = 2 * PIECE;

/// After so many in a row were kept waiting, nobody asks.
const MAX_MISSES: u32 = 3;

/// What others have is not asked for before there are connections, and without that the caches of
/// all replicas are to be filled by as many calls.
const RENEW_WITHIN: Duration = Duration::from_millis(100);

impl Readers {
    /// These may be used from now on. Ready when they may not be used any more.
    pub(super) async fn use_lines(&self, lines: Lines) {
        self.misses.store(0, Relaxed);
        self.lines.store(Some(Arc::new(lines)));
        self.renewed.notify_waiters();
        self.given_up.notified().await;
    }

    /// There is another server. Ready when new connections may be used, or that takes too long.
    pub(super) async fn renewed(&self) {
        let renewed = self.renewed.notified();
        self.lines().iter().for_each(|lines| self.give_up(lines));
        self.wanted.notify_one();
        let _ = timeout(RENEW_WITHIN, renewed).await;
    }

    /// The connections, unless nobody is to ask.
    pub(super) fn lines(&self) -> Option<Arc<Lines>> {
        self.lines.load_full()
    }

    /// All that one has asked for over these came in time, or not.
    pub(super) fn note(&self, lines: &Arc<Lines>, is_in_time: bool) {
        match is_in_time {
            true => self.misses.store(0, Relaxed),
            false if self.misses.fetch_add(1, Relaxed) + 1 >= MAX_MISSES => self.give_up(lines),
            false => {}
        }
    }

    /// Nobody asks over these any more.
    pub(super) fn give_up(&self, lines: &Arc<Lines>) {
        let current = self.lines.compare_and_swap(lines, None);
        if current
            .as_ref()
            .is_some_and(|current| Arc::ptr_eq(current, lines))
        {
            lines.0.iter().for_each(|line| line.room.close());
            self.given_up.notify_one();
        }
    }
}

impl Lines {
    pub(super) fn new(links: [Link; 2]) -> Self {
        Self(links.map(|link| Line { link, room: Semaphore::new(ROOM) }))
    }

    /// The number of the one over which less is asked for.
    pub(super) fn quieter(&self) -> usize {
        let [one, other] = &self.0;
        usize::from(one.room.available_permits() < other.room.available_permits())
    }

    /// The one with this number, of two.
    pub(super) fn line(&self, number: usize) -> &Line {
        &self.0[number % 2]
    }
}

impl Line {
    /// The values of these names, at most [`ROOM`].
    pub(super) async fn values(
        &self,
        names: &[Vec<u8>],
    ) -> Result<Vec<Option<Vec<u8>>>, LinkError> {
        self.with_room(names.len(), async |bytes| self.link.values(names, bytes).await)
            .await
    }

    /// Leases what is kept under these names, at most [`ROOM`], and looks what stands there.
    pub(super) async fn lease(
        &self,
        names: &[Vec<u8>],
        replica: u64,
        life: Duration,
    ) -> Result<Vec<Leased>, LinkError> {
        let lease = async |bytes| self.link.lease(names, replica, life, bytes).await;
        self.with_room(names.len(), lease).await
    }

    /// Looks what stands under these names, at most [`ROOM`].
    pub(super) async fn look(&self, names: &[Vec<u8>]) -> Result<Vec<Leased>, LinkError> {
        self.with_room(names.len(), async |bytes| self.link.look(names, bytes).await)
            .await
    }

    /// Keeps these leases, at most [`ROOM`], for so long from now.
    pub(super) async fn extend(&self, leases: &[Vec<u8>], life: Duration) -> Result<(), LinkError> {
        self.with_room(leases.len(), async |_| self.link.extend(leases, life).await)
            .await
    }

    /// Asks for what stands under so many names, when there is room for it. `ask` is told how many
    /// bytes may come for all that is asked for.
    async fn with_room<T>(
        &self,
        names: usize,
        ask: impl AsyncFnOnce(usize) -> Result<T, LinkError>,
    ) -> Result<T, LinkError> {
        let permits = u32::try_from(names).unwrap_or(u32::MAX);
        let given_up = |_| LinkError::Timeout;
        let permit = self.room.acquire_many(permits).await.map_err(given_up)?;
        let asked_for = ROOM - self.room.available_permits();
        let asked = ask(asked_for * MAX_VALUE).await;
        drop(permit);
        asked
    }
}
