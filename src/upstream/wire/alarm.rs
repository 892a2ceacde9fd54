//! Whom a connection wakes.

use std::{
    sync::{
        Arc,
        atomic::{
            AtomicBool,
            Ordering::{Acquire, Release},
        },
    },
    task::{Context, Wake, Waker},
};

use futures_util::task::AtomicWaker;

/// Wakes the task that has polled a connection last, but not for what a task does to the connection
/// itself and polls it for right after. Each request would otherwise have its task polled two times
/// for nothing, or another client's that has used the connection before.
pub(super) struct Alarm {
    state: Arc<State>,
    waker: Waker,
}

#[derive(Default)]
struct State {
    task: AtomicWaker,
    is_muted: AtomicBool,
}

impl Alarm {
    pub(super) fn new() -> Self {
        let state = Arc::<State>::default();
        Self { waker: Arc::clone(&state).into(), state }
    }

    /// What the connection is polled with, so that the task of `cx` is woken.
    pub(super) fn context_for(&self, cx: &Context<'_>) -> Context<'_> {
        self.state.task.register(cx.waker());
        Context::from_waker(&self.waker)
    }

    /// Does something to the connection without waking anybody. What comes from outside meanwhile,
    /// on another thread, wakes nobody either: so whoever waits then has to poll the connection
    /// after it.
    pub(super) fn mute<T>(&self, action: impl FnOnce() -> T) -> T {
        self.state.is_muted.store(true, Release);
        let result = action();
        self.state.is_muted.store(false, Release);
        result
    }
}

impl Wake for State {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.is_muted.load(Acquire) {
            self.task.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    #[test]
    fn wakes_who_has_polled_last_unless_it_is_the_cause() {
        let (first, second) = (Arc::<Count>::default(), Arc::<Count>::default());
        let wakers = [Arc::clone(&first).into(), Arc::clone(&second).into()];
        let woken = || [&first, &second].map(|count| count.0.load(Relaxed));
        let alarm = Alarm::new();
        let waker = alarm.waker.clone();
        for task in &wakers {
            alarm.context_for(&Context::from_waker(task));
        }
        alarm.mute(|| waker.wake_by_ref());
        assert_eq!(woken(), [0, 0]);
        waker.wake_by_ref();
        assert_eq!(woken(), [0, 1]);
        // Once for each time that it polls.
        waker.wake_by_ref();
        assert_eq!(woken(), [0, 1]);
        alarm.context_for(&Context::from_waker(&wakers[0]));
        waker.wake();
        assert_eq!(woken(), [1, 1]);
    }
}
