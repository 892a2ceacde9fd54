//! Up to where others have read the log. Pure: it is told the time.
//!
//! A replica signs before it reads: with each read it says up to where it has applied the log
//! before, in other bytes each time. So whoever may trust what it read has signed, or does so no
//! longer than a lease. Three things take a sign away from who may still trust:
//!
//! - another server takes over that has not got it;
//! - the server is emptied;
//! - it was found silent for long and is removed, when its replica goes on at that very moment.
//!
//! The first shows in the connection, and all begins anew with that. For the other two there is a
//! mark among the signs. It is lost when they are lost, and removed together with each of them that
//! is removed. Whoever finds none puts one there that was never there before. So once a mark has
//! stood for a lease, whoever has no sign beside it trusts nothing.

use std::{cmp, collections::BTreeMap, marker::PhantomData, mem, time::Duration};

use tokio::time::Instant;

use super::{
    position::{Era, Position, Stamp},
    rules::{Rules, Strict},
};

/// What is known of the signs of others, over one connection.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Acknowledgements<R = Strict> {
    lease: Duration,
    /// Of the server.
    era: Option<Era>,
    /// The last entry of this replica that is in the log.
    logged: Position,
    /// That entry when the signs were asked for that came last; `None`: none came.
    asked_for: Option<Position>,
    /// Since when it is known.
    mark: Option<Known<Vec<u8>>>,
    signs: BTreeMap<Vec<u8>, Known<Sign>>,
    rules: PhantomData<R>,
}

/// What one replica says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Sign {
    /// As they are there.
    pub(super) bytes: Vec<u8>,
    /// Up to where it has applied the log; `None`: it is of a version that does not say so, and
    /// does not sign with each read.
    pub(super) applied: Option<Stamp>,
}

/// The signs of others, by the names that they chose, and the mark.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Signs {
    pub(super) mark: Option<Vec<u8>>,
    pub(super) others: Vec<(Vec<u8>, Sign)>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Known<T> {
    what: T,
    since: Instant,
}

/// The name of the mark: no replica has one so short.
pub(super) const MARK: &[u8] = b"mark";

impl<R: Rules> Acknowledgements<R> {
    /// Nothing is known.
    pub(super) fn new(lease: Duration) -> Self {
        Self {
            lease,
            era: None,
            logged: Position::default(),
            asked_for: None,
            mark: None,
            signs: BTreeMap::new(),
            rules: PhantomData,
        }
    }

    /// There is another connection, to a server in this era.
    pub(super) fn connected(&mut self, era: Era) {
        if R::COUNTS_ANEW {
            *self = Self::new(self.lease);
        }
        self.era = Some(era);
    }

    /// An entry of this replica is in the log.
    pub(super) fn logged(&mut self, at: Position) {
        self.logged = cmp::max(self.logged, at);
    }

    /// What is in the log of this replica when the signs are asked for.
    pub(super) fn ask(&self) -> Position {
        self.logged
    }

    /// These came at `now`, and were asked for when `asked_for` was in the log.
    pub(super) fn note(&mut self, asked_for: Position, signs: Signs, now: Instant) {
        self.asked_for = Some(asked_for);
        let known = self.mark.take();
        self.mark = signs.mark.map(|mark| Known::of(mark, known, now));
        let mut known = mem::take(&mut self.signs);
        let signs = signs.others.into_iter().map(|(name, sign)| {
            let known = known.remove(&name);
            (name, Known::of(sign, known, now))
        });
        self.signs = signs.collect();
    }

    /// Up to where everybody has applied the log who may trust what they read; `None`: that is not
    /// known.
    pub(super) fn reached(&self, now: Instant) -> Option<Position> {
        let has_lasted = |since: Instant| now >= since + self.lease;
        let mark = self.mark.as_ref()?;
        if R::WAITS_FOR_THE_MARK && !has_lasted(mark.since) {
            return None;
        }
        let applied = self.signs.values().map(|Known { what, since }| {
            let applied = what.applied?;
            match Some(applied.era) == self.era {
                // Who was silent for so long trusts nothing, and will sign before it does.
                _ if has_lasted(*since) => Some(None),
                true => Some(Some(applied.position)),
                false => None,
            }
        });
        // Whoever begins to read now finds there what was there when the signs were asked for.
        let applied = applied.collect::<Option<Vec<_>>>()?;
        applied.into_iter().flatten().chain(self.asked_for).min()
    }

    /// What is removed with the signs of who is gone.
    pub(super) fn removed(gone: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
        let mark = R::REMOVES_THE_MARK.then(|| MARK.to_vec());
        gone.into_iter().chain(mark).collect()
    }
}

impl<T: PartialEq> Known<T> {
    fn of(what: T, before: Option<Self>, now: Instant) -> Self {
        match before {
            Some(before) if before.what == what => before,
            _ => Self { what, since: now },
        }
    }
}

/// For tests that tell states apart.
#[cfg(test)]
impl<R> Acknowledgements<R> {
    /// What was seen was this.
    pub(super) fn set_bytes(&mut self, bytes: &[u8]) {
        let mark = self.mark.iter_mut().map(|known| &mut known.what);
        let signs = self.signs.values_mut().map(|known| &mut known.what.bytes);
        mark.chain(signs).for_each(|known| *known = bytes.to_vec());
    }

    /// Everything is known for so much longer, but for no longer than `most`.
    pub(super) fn age(&mut self, by: Duration, now: Instant, most: Duration) {
        let mark = self.mark.iter_mut().map(|known| &mut known.since);
        let signs = self.signs.values_mut().map(|known| &mut known.since);
        for since in mark.chain(signs) {
            *since = cmp::max(*since - by, now - most);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_millis(150);

    fn at(sequence: u64) -> Position {
        Position { milliseconds: 1, sequence }
    }

    fn era(name: &str) -> Era {
        Era::of(name.as_bytes())
    }

    /// What replicas say up to where they have read, of which era; nothing: they do not say.
    fn signs(mark: Option<&str>, others: &[Option<(&str, u64)>]) -> Signs {
        let others = others.iter().enumerate().map(|(nth, said)| {
            let applied = said.map(|(name, nth)| Stamp { era: era(name), position: at(nth) });
            let sign = Sign { bytes: format!("{said:?}").into_bytes(), applied };
            (vec![nth as u8], sign)
        });
        Signs { mark: mark.map(|mark| mark.into()), others: others.collect() }
    }

    /// Three entries are in the log, and the mark has stood for a lease.
    fn settled() -> (Acknowledgements, Instant) {
        let (mut known, now) = (Acknowledgements::new(LEASE), Instant::now());
        known.connected(era("a"));
        known.logged(at(3));
        known.note(known.ask(), signs(Some("x"), &[]), now);
        assert_eq!(known.reached(now), None, "some may have signed where that was lost");
        (known, now + LEASE)
    }

    #[test]
    fn everybody_has_read_as_far_as_who_has_read_least() {
        for (what, others, reached) in [
            ("nobody else", &[][..], Some(at(3))),
            ("one, further than this one has written", &[Some(("a", 4))], Some(at(3))),
            ("two", &[Some(("a", 2)), Some(("a", 1))], Some(at(1))),
            ("one in another era", &[Some(("b", 4))], None),
            ("one that does not say", &[None, Some(("a", 4))], None),
        ] {
            let (mut known, now) = settled();
            known.note(known.ask(), signs(Some("x"), others), now);
            assert_eq!(known.reached(now), reached, "{what}");
        }
    }

    #[test]
    fn what_was_asked_for_before_an_entry_says_nothing_of_it() {
        let (mut known, now) = settled();
        let asked_for = known.ask();
        known.logged(at(5));
        known.note(asked_for, signs(Some("x"), &[Some(("a", 6))]), now);
        assert_eq!(known.reached(now), Some(at(3)));
    }

    #[test]
    fn who_is_silent_for_a_lease_counts_no_more_but_who_never_says() {
        for (others, reached) in [(Some(("a", 1)), Some(at(3))), (None, None)] {
            let (mut known, now) = settled();
            known.note(known.ask(), signs(Some("x"), &[others]), now);
            known.note(known.ask(), signs(Some("x"), &[others]), now + LEASE);
            assert_eq!(known.reached(now + LEASE), reached);
        }
    }

    #[test]
    fn signs_that_may_have_been_lost_are_waited_for() {
        for mark in [None, Some("y")] {
            let (mut known, now) = settled();
            known.note(known.ask(), signs(mark, &[]), now);
            assert_eq!(known.reached(now), None, "{mark:?}");
        }
        let (mut known, now) = settled();
        known.connected(era("a"));
        assert_eq!(known.reached(now), None);
        let removed = Acknowledgements::<Strict>::removed(vec![vec![1]]);
        assert_eq!(removed, [vec![1], MARK.to_vec()], "with the mark");
    }
}
