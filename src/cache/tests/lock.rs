//! The lock that the cache has in these tests, and what it waits with: those that it has
//! otherwise, and each use of them a place where a scheduler may switch threads.
//!
//! What threads share is read and written under a lock, so what happens under one is a single
//! step for all the others, and it is enough to switch before a lock is taken while none is held.

use std::{
    cell::Cell,
    ops::{Deref, DerefMut},
};

pub(crate) struct Mutex<T>(parking_lot::Mutex<T>);

/// Open to everybody at once. It only saves calls: what is promised holds without it, and in
/// more orders of steps than it would allow.
#[derive(Default)]
pub(crate) struct LookupLock(());

#[derive(Default)]
pub(crate) struct Notify(tokio::sync::Notify);

pub(crate) struct Guard<'a, T> {
    guard: parking_lot::MutexGuard<'a, T>,
    _held: Held,
}

/// Counts, for as long as it lives, as a lock that is held.
struct Held(());

thread_local! {
    /// Whether a scheduler runs the code of this thread.
    static IS_SCHEDULED: Cell<bool> = const { Cell::new(false) };
    /// Locks held at the moment.
    static HELD: Cell<usize> = const { Cell::new(0) };
}

/// Lets the scheduler switch threads, if there is one.
pub(crate) fn switch() {
    if is_scheduled() {
        shuttle::thread::yield_now();
    }
}

/// Whether a scheduler runs the code of this thread, outside of [`at_once`].
pub(crate) fn is_scheduled() -> bool {
    IS_SCHEDULED.get() && HELD.get() == 0
}

/// Runs `code` under a scheduler, which switches where it is asked to.
pub(crate) fn scheduled<T>(code: impl FnOnce() -> T) -> T {
    IS_SCHEDULED.set(true);
    let result = code();
    IS_SCHEDULED.set(false);
    result
}

/// Runs `code` as one step.
pub(crate) fn at_once<T>(code: impl FnOnce() -> T) -> T {
    let _held = Held::new();
    code()
}

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(parking_lot::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> Guard<'_, T> {
        switch();
        let _held = Held::new();
        Guard { guard: self.0.lock(), _held }
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: std::fmt::Debug> std::fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl LookupLock {
    pub(crate) fn lock(&self) -> impl Sized {}
}

impl Notify {
    pub(crate) fn notified(&self) -> tokio::sync::futures::Notified<'_> {
        switch();
        self.0.notified()
    }

    pub(crate) fn notify_waiters(&self) {
        switch();
        self.0.notify_waiters();
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for Guard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

impl Held {
    fn new() -> Self {
        HELD.set(HELD.get() + 1);
        Self(())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        HELD.set(HELD.get() - 1);
    }
}
