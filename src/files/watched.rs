//! Files that change while they are in use.
//!
//! They are read again every few seconds and their contents are compared. It costs next to
//! nothing, and sees a change whichever way it is made: written in place, renamed, or behind the
//! symbolic links that Kubernetes swaps. Notifications of the system would come sooner, but each of
//! those ways shows in another one of them, and none shows over a network file system.
//!
//! Two files, or a long one, cannot be written in one moment. So a change is reported only when
//! the contents stayed the same from one look to the next, and then once, whatever came of it.

use std::time::Duration;

use tokio::{
    task::spawn_blocking,
    time::{Interval, MissedTickBehavior, interval},
};

use super::Sources;

/// A change is reported after at most twice that.
pub const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Looks at files again and again.
#[derive(Debug)]
pub struct Watch {
    watched: Watched<Sources>,
    looks: Interval,
}

/// What was found at the last look, and what was reported; `T` tells contents apart.
#[derive(Clone, Debug)]
struct Watched<T> {
    seen: T,
    reported: T,
}

impl Watch {
    /// Looks for changes of the files since `known` was read. Runs inside a tokio runtime.
    pub fn new(known: Sources) -> Self {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { watched: Watched::new(known), looks }
    }

    /// Waits until the files have changed. Nothing is lost if it is given up.
    pub async fn changed(&mut self) {
        loop {
            self.looks.tick().await;
            let last = self.watched.seen.clone();
            // A disk may be slow.
            let found = spawn_blocking(move || last.look_again()).await;
            if found.is_ok_and(|found| self.watched.is_due(found)) {
                return;
            }
        }
    }
}

impl<T: Clone + PartialEq> Watched<T> {
    fn new(known: T) -> Self {
        Self { seen: known.clone(), reported: known }
    }

    /// Whether what was `found` now is new, and not only half written.
    fn is_due(&mut self, found: T) -> bool {
        let stays = self.seen == found;
        self.seen = found;
        if !stays || self.reported == self.seen {
            return false;
        }
        self.reported = self.seen.clone();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_reported_once_and_only_when_it_stays() {
        for (found, due) in [
            ("aaa", &[false, false, false][..]),
            ("bbb", &[false, true, false]),
            ("bccc", &[false, false, true, false]),
            ("baa", &[false, false, false]),
            ("bbaa", &[false, true, false, true]),
        ] {
            let mut watched = Watched::new('a');
            let reported: Vec<_> = found.chars().map(|found| watched.is_due(found)).collect();
            assert_eq!(reported, due, "{found}");
        }
    }
}
