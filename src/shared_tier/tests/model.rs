//! The protocol, run in every order of steps.
//!
//! Replicas read one vehicle, which a writer changes. What they do is what [`Follower`] and
//! [`Told`] say; this plays everything around them: the server with its log, connections that
//! break, a server that takes over and has lost the end of the log, Sync, and each replica's
//! cache. A step is anything that one of them can do next, and every step is taken in every state
//! that can be reached (breadth first). Time is a step, too: a tick is half a lease. What makes no
//! difference any more to what may come is not part of a state.
//!
//! What must hold in every state:
//!
//! - once the response of a write has left, no replica that trusts what it holds serves an older
//!   version, finds one that others share, or lets a request join a call that has read one;
//! - when all is at rest, what a replica holds is the latest version.
//!
//! Each rule that is left out is found to break one of them.

use std::{
    collections::{HashSet, VecDeque},
    hash::{BuildHasher as _, Hash},
};

use super::world::{Bounds, Step, World};
use crate::shared_tier::rules::{Rules, Strict};

/// Runs every order of steps. Gives the number of states, and what went wrong after which steps.
fn explore<R: Rules + Clone + Eq + Hash>(bounds: Bounds) -> (usize, Option<(String, Vec<Step>)>) {
    // States are told apart by 64 bits: keeping all would take gigabytes.
    let hashing = foldhash::quality::FixedState::default();
    let print = |world: &World<R>| hashing.hash_one(world);
    let first = World::<R>::new(bounds);
    let mut met = HashSet::with_hasher(foldhash::fast::FixedState::default());
    met.insert(print(&first));
    let mut steps: Vec<(usize, Step)> = vec![(0, ("", 0))];
    let mut waiting = VecDeque::from([(first, 0)]);
    while let Some((world, nth)) = waiting.pop_front() {
        for (step, next) in world.next() {
            if !met.insert(print(&next)) {
                continue;
            }
            steps.push((nth, step));
            if let Some(violation) = next.violation() {
                let back = |&nth: &usize| Some(steps[nth].0).filter(|_| nth != 0);
                let path = std::iter::successors(Some(steps.len() - 1), back);
                let mut path: Vec<_> = path.map(|nth| steps[nth].1).collect();
                path.reverse();
                return (met.len(), Some((violation, path)));
            }
            waiting.push_back((next, steps.len() - 1));
        }
    }
    (met.len(), None)
}

#[track_caller]
fn holds(bounds: Bounds) {
    let (states, violation) = explore::<Strict>(bounds);
    println!("{states} states");
    assert_eq!(violation, None);
    assert!(states > 1000, "nothing was explored");
}

/// Expects that a protocol without one of its rules is found out.
#[track_caller]
fn is_caught<R: Rules + Clone + Eq + Hash>(bounds: Bounds) {
    let (states, violation) = explore::<R>(bounds);
    let (violation, steps) = violation.expect("nothing was found");
    println!("{states} states: {violation} after {steps:?}");
}

/// Declares protocols that leave out one rule each.
macro_rules! shortcuts {
    ($($name:ident: $rule:ident,)+) => {
        $(
            #[derive(Clone, Copy, PartialEq, Eq, Hash)]
            struct $name;

            impl Rules for $name {
                const $rule: bool = false;
            }
        )+
    };
}

shortcuts! {
    LeavesAtOnce: WAITS,
    MindsNoLoss: MINDS_LOSS,
    SkipsToTheEnd: READS_FROM_THE_BEGINNING,
    BelievesOldEras: FORGETS,
    ComparesNothing: COMPARES,
    CountsOn: COUNTS_ANEW,
    BelievesAnyMark: WAITS_FOR_THE_MARK,
    LeavesTheMark: REMOVES_THE_MARK,
}

const SMALL: Bounds = Bounds {
    replicas: 1,
    writes: 1,
    cuts: 0,
    takeovers: 0,
    values: false,
    signs: false,
    wipes: 0,
    removals: 0,
};

const SIGNED: Bounds = Bounds { signs: true, ..SMALL };

#[test]
fn what_cannot_be_done_changes_nothing() {
    let dice = foldhash::quality::FixedState::default();
    let shared = Bounds { writes: 2, cuts: 1, takeovers: 1, values: true, ..SMALL };
    let signed = Bounds { cuts: 1, takeovers: 1, wipes: 1, removals: 1, ..SIGNED };
    for (walk, bounds) in [shared, signed].repeat(20).into_iter().enumerate() {
        let mut world = World::<Strict>::new(bounds);
        for nth in 0..50 {
            world.try_steps(&mut |name, _, change| {
                let mut next = world.clone();
                assert!(change(&mut next) || next == world, "{name}");
            });
            let mut next = world.next();
            let drawn = dice.hash_one((walk, nth)) as usize % next.len();
            world = next.swap_remove(drawn).1;
        }
    }
}

#[test]
fn two_writes_and_a_cut_break_no_promise() {
    holds(Bounds { writes: 2, cuts: 1, values: true, ..SMALL });
}

#[test]
fn a_server_that_takes_over_breaks_no_promise() {
    holds(Bounds { takeovers: 1, values: true, ..SMALL });
}

#[test]
fn values_that_are_compared_with_nothing_are_caught() {
    is_caught::<ComparesNothing>(Bounds { values: true, ..SMALL });
}

#[test]
fn a_response_that_leaves_at_once_is_caught() {
    is_caught::<LeavesAtOnce>(SMALL);
}

#[test]
fn trust_in_what_a_lost_log_said_is_caught() {
    is_caught::<MindsNoLoss>(Bounds { takeovers: 1, ..SMALL });
}

#[test]
fn a_log_that_is_read_from_its_end_is_caught() {
    is_caught::<SkipsToTheEnd>(Bounds { takeovers: 1, ..SMALL });
}

#[test]
fn belief_in_what_was_held_before_is_caught() {
    is_caught::<BelievesOldEras>(Bounds { takeovers: 1, ..SMALL });
}

#[test]
fn signs_break_no_promise() {
    holds(SIGNED);
}

#[test]
fn a_server_that_takes_over_without_signs_breaks_no_promise() {
    holds(Bounds { takeovers: 1, ..SIGNED });
}

#[test]
fn a_server_that_is_emptied_breaks_no_promise() {
    holds(Bounds { wipes: 1, ..SIGNED });
}

#[test]
fn a_sign_that_is_removed_breaks_no_promise() {
    holds(Bounds { removals: 1, ..SIGNED });
}

#[test]
fn signs_that_are_counted_on_at_another_server_are_caught() {
    is_caught::<CountsOn>(Bounds { takeovers: 1, ..SIGNED });
}

#[test]
fn signs_that_are_believed_to_be_all_at_once_are_caught() {
    is_caught::<BelievesAnyMark>(Bounds { wipes: 1, ..SIGNED });
}

#[test]
fn a_sign_that_is_removed_unseen_is_caught() {
    is_caught::<LeavesTheMark>(Bounds { removals: 1, ..SIGNED });
}
