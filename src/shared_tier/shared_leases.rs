//! What this replica has leased: others wait for it instead of asking for it, too.
//!
//! A lease stands on the server for two seconds, so that one whose replica is gone ends by itself,
//! and is made to last longer every second for as long as it is kept. It ends behind the value
//! that came of it.

use std::{collections::HashMap, mem, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;

use super::{lease_commands::lease_on, share_queue::ShareQueue};
use crate::{latest::Latest, vehicle_cache::Guard};

/// All leases of this replica: a handle, cheap to clone.
#[derive(Clone)]
pub(super) struct SharedLeases(Arc<Inner>);

struct Inner {
    state: Mutex<State>,
    /// Where it is said that they end.
    queue: ShareQueue,
}

#[derive(Default)]
struct State {
    /// Names, and since when they are leased.
    held: HashMap<Vec<u8>, Instant>,
    /// How long calls took.
    latest: Latest<15>,
    /// When those were leased that ended last: many end at once.
    noted: Option<Instant>,
}

/// Ends when it is dropped.
struct Lease {
    leases: SharedLeases,
    name: Vec<u8>,
}

/// How long a lease stands that is not renewed.
pub(super) const LIFE: Duration = Duration::from_secs(2);

/// Leases that are kept at once: some megabytes.
const MAX_HELD: usize = 1 << 16;

/// One waits for so much longer than a call takes.
const MORE: Duration = Duration::from_millis(250);

impl SharedLeases {
    pub(super) fn new(queue: ShareQueue) -> Self {
        Self(Arc::new(Inner { state: Mutex::default(), queue }))
    }

    /// Whether this replica has leased what is kept under `name`, or must not lease more.
    pub(super) fn are_closed_to(&self, name: &[u8]) -> bool {
        let held = &self.0.state.lock().held;
        held.len() >= MAX_HELD || held.contains_key(name)
    }

    /// What is to be kept under `name` was leased at `now`.
    pub(super) fn keep(&self, name: Vec<u8>, now: Instant) -> Guard {
        self.0.state.lock().held.insert(name.clone(), now);
        Box::new(Lease { leases: self.clone(), name })
    }

    /// The names of leases that have stood for so long that they have to be renewed.
    pub(super) fn due(&self, now: Instant) -> Vec<Vec<u8>> {
        let held = &self.0.state.lock().held;
        let is_due = |since: &Instant| now.saturating_duration_since(*since) >= LIFE / 4;
        let due = held.iter().filter(|(_, since)| is_due(since));
        due.map(|(name, _)| lease_on(name)).collect()
    }

    /// How long one waits for another replica while nothing comes of that: a median call and
    /// some more. Never longer than for one that is gone.
    pub(super) fn patience(&self) -> Duration {
        let typical = self.0.state.lock().latest.median();
        typical.map_or(LIFE, |typical| LIFE.min(typical + MORE))
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let Inner { state, queue } = &*self.leases.0;
        let name = mem::take(&mut self.name);
        let mut state = state.lock();
        if let Some(since) = state.held.remove(&name)
            && state.noted.replace(since) != Some(since)
        {
            state.latest.note(since.elapsed());
        }
        drop(state);
        queue.end(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared_tier::share_queue::Queued;

    const SECOND: Duration = Duration::from_secs(1);

    fn name(nth: u8) -> Vec<u8> {
        vec![nth]
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_claimed_is_not_claimed_again_and_renewed_until_it_ends() {
        let queue = ShareQueue::new();
        let mut receiver = queue.receiver().unwrap();
        let leases = SharedLeases::new(queue.clone());
        let now = Instant::now();
        let lease = leases.keep(name(1), now);
        assert!(leases.are_closed_to(&name(1)) && !leases.are_closed_to(&name(2)));
        assert!(leases.due(now).is_empty());
        assert_eq!(leases.due(now + SECOND), [b"\x01L"]);
        // What came of it is kept before it ends.
        let place = queue.place();
        drop(lease);
        drop(place);
        assert!(matches!(receiver.recv().await, Some(Queued::Filled(_))));
        let Some(Queued::Ended(ended)) = receiver.recv().await else { panic!("it ends") };
        assert_eq!(ended, name(1));
        assert!(!leases.are_closed_to(&name(1)) && leases.due(now + SECOND).is_empty());
    }

    #[test]
    fn no_more_are_kept_than_there_is_room_for() {
        let leases = SharedLeases::new(ShareQueue::new());
        let name = |nth: usize| nth.to_le_bytes().to_vec();
        let kept = (0..MAX_HELD).map(|nth| leases.keep(name(nth), Instant::now()));
        let mut kept: Vec<_> = kept.collect();
        assert!(leases.are_closed_to(&name(MAX_HELD)));
        kept.pop();
        assert!(!leases.are_closed_to(&name(MAX_HELD)));
    }

    #[tokio::test(start_paused = true)]
    async fn one_waits_for_a_median_call_and_some_more() {
        let leases = SharedLeases::new(ShareQueue::new());
        assert_eq!(leases.patience(), LIFE, "nothing is known of calls");
        for (milliseconds, patience) in [(100, 350), (300, 550), (200, 450), (9000, 550)] {
            let now = Instant::now();
            // Those of one call count once.
            let call: Vec<_> = (0..9).map(|nth| leases.keep(name(nth), now)).collect();
            tokio::time::advance(Duration::from_millis(milliseconds)).await;
            drop(call);
            assert_eq!(leases.patience(), Duration::from_millis(patience));
        }
        for _ in 0..15 {
            let call = leases.keep(name(1), Instant::now());
            tokio::time::advance(10 * SECOND).await;
            drop(call);
        }
        assert_eq!(leases.patience(), LIFE);
    }
}
