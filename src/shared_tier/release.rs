//! When the response of a write may leave. Pure: it is told the time.
//!
//! A replica trusts what it holds for a lease after it has asked for the log. So once a lease has
//! passed since an entry of a write was in the log, everybody has read it or trusts nothing. Where
//! the entry that announced the write was in time, most of that is over by the time that the write
//! is done.

use std::time::Duration;

use tokio::time::Instant;

use super::rules::Rules;

/// How often this replica has begun to read the log from its beginning: what was in it before may
/// have been lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Reading(pub(super) u64);

/// An entry is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Receipt {
    /// As it was read then.
    pub(super) reading: Reading,
    /// When that was heard.
    pub(super) at: Instant,
}

/// The connection to the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum LinkState {
    /// It stands.
    Up(Reading),
    /// It was lost then, or never stood since.
    Down(Instant),
}

/// What others were told of a write, as far as it is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Told {
    /// When the first of it was sent.
    pub(super) sent_at: Instant,
    pub(super) intent: Option<Receipt>,
    pub(super) done: Option<Receipt>,
}

/// When a response may leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Release {
    pub(super) at: Instant,
    /// Whether everybody was told who hears of writes.
    pub(super) is_announced: bool,
}

impl Told {
    /// When the response may leave of a write that is done, if what is told takes effect within
    /// `wait`.
    pub(super) fn release<R: Rules>(self, link: LinkState, wait: Duration) -> Release {
        let Self { sent_at, intent, done } = self;
        // How everybody reads the log now, as far as this replica knows.
        let reading = done.map(|done| done.reading).or(match link {
            LinkState::Up(reading) => Some(reading),
            LinkState::Down(_) => None,
        });
        let stands = |intent: &Receipt| Some(intent.reading) == reading || !R::MINDS_LOSS;
        let told = intent.filter(stands).or(done);
        let since = match (told, link) {
            (Some(told), _) => told.at,
            // Perhaps nobody hears of anything, and whoever trusts something does so for a lease
            // after that began.
            (None, LinkState::Down(lost_at)) => lost_at.min(sent_at),
            (None, LinkState::Up(_)) => sent_at,
        };
        let wait = if R::WAITS { wait } else { Duration::ZERO };
        Release { at: since + wait, is_announced: told.is_some() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::shared_tier::rules::Strict;

    const LEASE: Duration = Duration::from_millis(150);

    #[test]
    fn a_response_leaves_a_lease_after_what_stands_in_the_log() {
        let begin = Instant::now();
        let at = |milliseconds| begin + Duration::from_millis(milliseconds);
        let (a, b) = (Reading(1), Reading(2));
        let receipt = |reading, ms| Some(Receipt { reading, at: at(ms) });
        let up = LinkState::Up(a);
        for (what, intent, done, link, left_at, is_announced) in [
            ("told before and after", receipt(a, 1), receipt(a, 60), up, 151, true),
            ("told before; the end is on its way", receipt(a, 1), None, up, 151, true),
            ("told after only", None, receipt(a, 60), up, 210, true),
            ("told before, in a log that was lost", receipt(b, 1), receipt(a, 60), up, 210, true),
            ("told before, in a log that was lost, not after", receipt(b, 1), None, up, 150, false),
            ("told nobody", None, None, up, 150, false),
            ("lost since it was told", receipt(a, 1), None, LinkState::Down(at(50)), 150, false),
            ("lost for long", None, None, LinkState::Down(begin - LEASE), 0, false),
        ] {
            let release = Told { sent_at: begin, intent, done }.release::<Strict>(link, LEASE);
            assert_eq!(release, Release { at: at(left_at), is_announced }, "{what}");
        }
    }
}
