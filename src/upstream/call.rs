//! What a call says of itself: extensions of its request, all of them optional.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use http::Extensions;

use crate::route::Route;

/// The call goes at its caller's pace: its body is still coming, or it becomes a tunnel. Without
/// this, all of it is at hand.
#[derive(Clone, Copy, Debug)]
pub struct Paced;

/// On whose behalf the call is made: a digest of its credential. Calls without one are those of
/// one more account, nobody's.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Account(pub [u8; 32]);

/// Tells whether a call still waits for its turn, and so whether nothing of it was sent yet.
///
/// It changes only while the call is polled. So whoever polls the call, and finds that it waits,
/// may drop it and knows that it never happened.
#[derive(Clone, Debug, Default)]
pub struct Turn(Arc<AtomicBool>);

/// All that matters of a call's extensions here, for the same call once more. Those of a client's
/// request are many, and a copy of them all takes longer than a try does.
#[derive(Clone, Debug)]
pub(super) struct Marks {
    pub(super) account: Option<Account>,
    route: Option<Route>,
    turn: Option<Turn>,
}

// === impl Marks ===

impl Marks {
    /// Those of a call that is at hand, and so is not [`Paced`].
    pub(super) fn of(extensions: &Extensions) -> Self {
        Self {
            account: extensions.get().copied(),
            route: extensions.get().copied(),
            turn: extensions.get().cloned(),
        }
    }

    pub(super) fn put(self, extensions: &mut Extensions) {
        let Self { account, route, turn } = self;
        account.map(|account| extensions.insert(account));
        route.map(|route| extensions.insert(route));
        turn.map(|turn| extensions.insert(turn));
    }
}

// === impl Account ===

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Account")
    }
}

// === impl Turn ===

impl Turn {
    /// Whether the call waits. One that nobody has made wait is under way.
    pub fn is_awaited(&self) -> bool {
        self.0.load(Relaxed)
    }

    /// From now on the call waits, or does so no more.
    pub fn set_awaited(&self, awaited: bool) {
        self.0.store(awaited, Relaxed);
    }
}
