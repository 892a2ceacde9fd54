//! When the response of a write may leave. Pure: it is told the time.
//!
//! A replica trusts what it holds for a lease after it has asked for the log. So once a lease has
//! passed since an entry of a write was in the log, everybody has read it or trusts nothing. Mostly
//! they have [said so](super::acknowledgements) long before. Where
//! the entry that announced the write was in time, most of that is over by the time that the write
//! is done.

use std::time::Duration;

use tokio::time::Instant;

use super::{position::Position, rules::Rules};

/// How often this replica has begun to read the log from its beginning: what was in it before may
/// have been lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Reading(pub(super) u64);

/// An entry is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Receipt {
    /// As it was read then.
    pub(super) reading: Reading,
    /// Where.
    pub(super) position: Position,
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
    /// At the latest.
    pub(super) at: Instant,
    /// What may have been read by everybody before; `None`: not everybody was told.
    pub(super) told: Option<Receipt>,
}

impl Receipt {
    /// Whether everybody has read the entry who may trust what they read, if they have applied the
    /// log up to `reached`.
    pub(super) fn is_acknowledged(self, link: LinkState, reached: Option<Position>) -> bool {
        // What others say they have read may be what came after the entry was lost.
        link == LinkState::Up(self.reading)
            && reached.is_some_and(|reached| reached >= self.position)
    }
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
        Release { at: since + wait, told }
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
        let position = Position::default();
        let receipt = |reading, ms| Some(Receipt { reading, position, at: at(ms) });
        let up = LinkState::Up(a);
        for (what, intent, done, link, left_at, told) in [
            ("told before and after", receipt(a, 1), receipt(a, 60), up, 151, receipt(a, 1)),
            ("told before; the end is on its way", receipt(a, 1), None, up, 151, receipt(a, 1)),
            ("told after only", None, receipt(a, 60), up, 210, receipt(a, 60)),
            (
                "told before, in a log that was lost",
                receipt(b, 1),
                receipt(a, 60),
                up,
                210,
                receipt(a, 60),
            ),
            ("told before, in a log that was lost, not after", receipt(b, 1), None, up, 150, None),
            ("told nobody", None, None, up, 150, None),
            ("lost since it was told", receipt(a, 1), None, LinkState::Down(at(50)), 150, None),
            ("lost for long", None, None, LinkState::Down(begin - LEASE), 0, None),
        ] {
            let release = Told { sent_at: begin, intent, done }.release::<Strict>(link, LEASE);
            assert_eq!(release, Release { at: at(left_at), told }, "{what}");
        }
    }

    #[test]
    fn what_was_read_in_another_log_or_is_less_acknowledges_nothing() {
        let [at, before, after] = [5, 4, 6].map(|sequence| Position { milliseconds: 1, sequence });
        let (reading, now) = (Reading(1), Instant::now());
        let receipt = Receipt { reading, position: at, at: now };
        let up = LinkState::Up(reading);
        assert!(receipt.is_acknowledged(up, Some(at)) && receipt.is_acknowledged(up, Some(after)));
        assert!(!receipt.is_acknowledged(up, Some(before)) && !receipt.is_acknowledged(up, None));
        for link in [LinkState::Up(Reading(2)), LinkState::Down(now)] {
            assert!(!receipt.is_acknowledged(link, Some(after)));
        }
    }
}
