//! Files that change while they are in use.
//!
//! They are read again every few seconds and what they hold is compared. It costs next to
//! nothing, and holds whatever way a change comes: written in place, renamed, or behind the
//! symbolic links that Kubernetes turns. Notifications of the system would be sooner, but each of
//! those ways shows in another one of them, and none shows over a network file system.
//!
//! Nobody can write two files at once, or a long one. So what has changed is judged only when it
//! stayed the same from one look to the next, and then once, whatever came of it.

use std::time::Duration;

/// A change is judged after at most twice that.
pub const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What was found at the last look, and what was judged; `T` tells contents apart.
#[derive(Clone, Debug)]
pub struct Watched<T> {
    seen: T,
    judged: T,
}

// === impl Watched ===

impl<T: Clone + PartialEq> Watched<T> {
    /// `known` is in use.
    pub fn new(known: T) -> Self {
        Self { seen: known.clone(), judged: known }
    }

    /// What was found last.
    pub fn last(&self) -> &T {
        &self.seen
    }

    /// Whether what was `found` now is new, and not only half written.
    pub fn is_due(&mut self, found: T) -> bool {
        let stays = self.seen == found;
        self.seen = found;
        if !stays || self.judged == self.seen {
            return false;
        }
        self.judged = self.seen.clone();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_changed_is_judged_once_and_only_when_it_stays() {
        for (found, due) in [
            ("aaa", &[false, false, false][..]),
            ("bbb", &[false, true, false]),
            ("bccc", &[false, false, true, false]),
            ("baa", &[false, false, false]),
            ("bbaa", &[false, true, false, true]),
        ] {
            let mut watched = Watched::new('a');
            let judged: Vec<_> = found.chars().map(|found| watched.is_due(found)).collect();
            assert_eq!(judged, due, "{found}");
        }
    }
}
