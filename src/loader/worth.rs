//! Whether it pays to fetch vehicles before they expire. Pure.
//!
//! One that nobody asks for until it expires again was asked for in vain. While that happens to more
//! than one in ten, only a few travel, which tell when it pays again.

/// How the latest riders ended.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Worth {
    served: u32,
    in_vain: u32,
}

/// Riders that have ended, and say enough of the others.
const ENOUGH: u32 = 32;

/// Where there are more, older ones count for less.
const REMEMBERED: u32 = 128;

/// One in so many may have travelled in vain.
const TOLERATED: u32 = 10;

/// So many may be held at once to find out.
const SAMPLE: usize = 32;

impl Worth {
    /// A rider has ended, and was served or not.
    pub(super) fn note(&mut self, was_served: bool) {
        if self.served + self.in_vain >= REMEMBERED {
            self.served /= 2;
            self.in_vain /= 2;
        }
        match was_served {
            true => self.served += 1,
            false => self.in_vain += 1,
        }
    }

    /// How many more may travel while so many have not ended.
    pub(super) fn allowance(self, held: usize) -> usize {
        match self.pays() {
            true => usize::MAX,
            false => SAMPLE.saturating_sub(held),
        }
    }

    fn pays(self) -> bool {
        let ended = self.served + self.in_vain;
        ended < ENOUGH || self.in_vain * TOLERATED <= ended
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeSet, VecDeque};

    use super::*;

    /// All that can be known, from nothing on, with what each end of a rider makes of it.
    fn all() -> BTreeSet<(u32, u32)> {
        let (mut known, mut new) = (BTreeSet::new(), VecDeque::from([Worth::default()]));
        while let Some(worth) = new.pop_front() {
            if known.insert((worth.served, worth.in_vain)) {
                new.extend([true, false].map(|was_served| {
                    let mut worth = worth;
                    worth.note(was_served);
                    worth
                }));
            }
        }
        known
    }

    #[test]
    fn whatever_is_known_it_is_off_for_a_tenth_in_vain_and_on_again_when_that_has_changed() {
        let known = all();
        assert!(known.len() > 5_000);
        for (served, in_vain) in known {
            let mut worth = Worth { served, in_vain };
            let ended = served + in_vain;
            assert!(ended <= REMEMBERED);
            let is_off = ended >= ENOUGH && f64::from(in_vain) > f64::from(ended) / 10.0;
            let want = if is_off { 0 } else { usize::MAX };
            assert_eq!(worth.allowance(SAMPLE), want, "{worth:?}");
            // A few travel all the same, so that it is never off for ever.
            assert!(worth.allowance(SAMPLE - 1) > 0);
            for _ in 0..4 * REMEMBERED {
                worth.note(true);
            }
            assert_eq!(worth.allowance(SAMPLE), usize::MAX);
            for _ in 0..REMEMBERED {
                worth.note(false);
            }
            assert_eq!(worth.allowance(SAMPLE), 0);
        }
    }

    /// Lots of riders, of which one in `one_in` is in vain; how many may travel when all have ended.
    fn after(one_in: usize) -> usize {
        let mut worth = Worth::default();
        (1..1000).for_each(|nth| worth.note(nth % one_in != 0));
        worth.allowance(SAMPLE)
    }

    #[test]
    fn is_on_for_fewer_than_a_tenth_and_off_for_more() {
        assert_eq!([after(14), after(7), after(4), after(1)], [usize::MAX, 0, 0, 0]);
    }
}
