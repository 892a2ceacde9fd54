//! Unknown kids, and the fetches that they cause.
//!
//! Keys rotate without notice, so a kid that nobody knows may be tomorrow's. It may as well be
//! made up, by the thousand. So it causes one fetch for everybody who waits, a fetch at most every
//! [`FETCH_EVERY`], and whoever comes between two fetches, with a kid that the last one did not
//! bring, or to a key server that hangs is refused without waiting.
//!
//! This is the pure part: it knows neither keys nor tasks, and is told the time.

use std::{collections::HashSet, mem, time::Duration};

use tokio::time::Instant;

use crate::digest::Digest;

/// Between two fetches that unknown kids cause.
const FETCH_EVERY: Duration = Duration::from_secs(10);

/// How long a request waits for a fetch, and how old a fetch may be that it begins to wait for.
pub(in crate::auth) const MAX_WAIT: Duration = Duration::from_secs(2);

/// Kids that are waited for at once. A rotation brings one or two; who makes kids up is to hold
/// no more requests than this.
const MAX_SOUGHT: usize = 256;

type Kids = HashSet<Digest, foldhash::fast::RandomState>;

/// Which kids are sought, and which are known to be unknown. Kids are as long as a token may be,
/// so their hashes are kept.
#[derive(Debug)]
pub(super) struct UnknownKids {
    /// Asked for before the fetch that brought the current set, and not in that set.
    absent: Kids,
    /// Asked for before the fetch that is pending: it will show whether they exist.
    sought: Kids,
    /// Asked for while that fetch was running: it may have missed them.
    late: Kids,
    pending: Option<Pending>,
    /// When an unknown kid may cause a fetch again.
    open_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
struct Pending {
    since: Instant,
    is_running: bool,
}

/// What to do with a request whose kid is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Decision {
    /// Refuse it at once.
    Refuse,
    /// Let it wait until the pending fetch has ended.
    Wait,
    /// See that a fetch begins, and let it wait.
    Fetch,
}

impl UnknownKids {
    /// Before the first fetch, which begins without being caused.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            absent: Kids::default(),
            sought: Kids::default(),
            late: Kids::default(),
            pending: Some(Pending { since: now, is_running: false }),
            open_at: None,
        }
    }

    /// An unknown `kid` is asked for at `now`.
    pub(super) fn ask(&mut self, kid: Digest, now: Instant) -> Decision {
        if self.absent.contains(&kid) {
            return Decision::Refuse;
        }
        match self.pending {
            Some(Pending { since, .. }) if now >= since + MAX_WAIT => Decision::Refuse,
            Some(Pending { is_running, .. }) => self.join(kid, is_running),
            None if self.open_at.is_some_and(|open_at| now < open_at) => Decision::Refuse,
            None => {
                self.open_at = Some(now + FETCH_EVERY);
                self.pending = Some(Pending { since: now, is_running: false });
                self.sought.insert(kid);
                Decision::Fetch
            }
        }
    }

    /// Whether a fetch is pending that has not begun.
    pub(super) fn wants_fetch(&self) -> bool {
        self.pending.is_some_and(|pending| !pending.is_running)
    }

    /// A fetch begins.
    pub(super) fn begin(&mut self, now: Instant) {
        self.pending = Some(Pending { since: now, is_running: true });
    }

    /// The fetch brought a set with these kids. Whether one that was sought is not among them.
    pub(super) fn succeed(&mut self, published: impl IntoIterator<Item = Digest>) -> bool {
        self.pending = None;
        self.late.clear();
        self.absent = mem::take(&mut self.sought);
        if !self.absent.is_empty() {
            published
                .into_iter()
                .for_each(|kid| _ = self.absent.remove(&kid));
        }
        !self.absent.is_empty()
    }

    /// The fetch brought nothing: what is absent stays so, and of what was sought nothing is
    /// known.
    pub(super) fn fail(&mut self) {
        self.pending = None;
        self.sought.clear();
        self.late.clear();
    }

    fn join(&mut self, kid: Digest, is_running: bool) -> Decision {
        if self.sought.contains(&kid) || self.late.contains(&kid) {
            return Decision::Wait;
        }
        if self.sought.len() + self.late.len() >= MAX_SOUGHT {
            return Decision::Refuse;
        }
        let kids = if is_running { &mut self.late } else { &mut self.sought };
        kids.insert(kid);
        Decision::Wait
    }
}

#[cfg(test)]
mod tests;
