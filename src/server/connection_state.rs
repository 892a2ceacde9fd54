//! What a connection is doing, and since when.
//!
//! hyper can time the head of a request, but its clock also runs on a kept connection without a
//! request, and it has none for clients that do not read their responses. So the server keeps a
//! state of its own for each connection: a few atomics, written where bytes and requests pass by,
//! read when a timer of the connection's task fires. A request costs two readings of the clock
//! and no timer.

use std::{
    cmp::Ordering,
    sync::atomic::{
        AtomicBool, AtomicU8, AtomicU32, AtomicU64,
        Ordering::{AcqRel, Acquire, Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use futures_util::task::AtomicWaker;
use hyper::upgrade::OnUpgrade;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::phase::Phase;

/// The state of one connection, shared by its socket, its requests, its task and the server.
#[derive(Debug)]
pub(super) struct ConnectionState {
    opened_at: Instant,
    http2: AtomicBool,
    /// Requests that have come.
    requests: AtomicU64,
    /// The request after which the connection is to close.
    last_request: AtomicU64,
    /// Whether it carries another protocol by now.
    handed_over: AtomicBool,
    /// Requests whose response has not ended.
    in_flight: AtomicU32,
    /// When the last of those ended.
    idle_since: Mark,
    /// When the first byte of the head that is being read came.
    head_since: Mark,
    /// When the write that is pending was first refused.
    blocked_since: Mark,
    /// When our end was closed.
    closing_since: Mark,
    /// The connection itself, once hyper is done with a request that had an `Upgrade`.
    upgrade: Mutex<Option<OnUpgrade>>,
    command: AtomicU8,
    task: AtomicWaker,
}

/// A point of time in nanoseconds after the opening, plus one; zero for none.
#[derive(Debug, Default)]
struct Mark(AtomicU64);

/// What the server tells a connection to do; a greater one is more urgent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(super) enum Command {
    /// Nothing.
    Serve,
    /// Close if no request is in flight, because other connections wait; else ignore it.
    MakeRoom,
    /// Finish what is in flight and close. A new connection may still send a first request.
    Drain,
    /// Finish what is in flight and close.
    Close,
    /// Close now.
    Cut,
}

// === impl ConnectionState ===

impl ConnectionState {
    /// The state of a connection that is opened now.
    pub(super) fn new() -> Self {
        Self {
            opened_at: Instant::now(),
            http2: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            last_request: AtomicU64::new(u64::MAX),
            handed_over: AtomicBool::new(false),
            in_flight: AtomicU32::new(0),
            idle_since: Mark::default(),
            head_since: Mark::default(),
            blocked_since: Mark::default(),
            closing_since: Mark::default(),
            upgrade: Mutex::default(),
            command: AtomicU8::new(Command::Serve as u8),
            task: AtomicWaker::new(),
        }
    }

    /// When the connection was accepted.
    pub(super) fn opened_at(&self) -> Instant {
        self.opened_at
    }

    /// Whether it has not carried a request yet, nor a part of one.
    pub(super) fn is_fresh(&self) -> bool {
        self.requests() == 0 && self.head_since.get(self.opened_at).is_none()
    }

    /// Whether it speaks HTTP/2.
    pub(super) fn is_http2(&self) -> bool {
        self.http2.load(Relaxed)
    }

    /// The HTTP/2 preface has come: from now on heads come among other frames.
    pub(super) fn note_http2(&self) {
        self.http2.store(true, Relaxed);
        self.head_since.clear();
        self.idle_since.set(self.opened_at);
    }

    /// The TLS handshake is done: only now can a request be expected.
    pub(super) fn note_secured(&self) {
        self.idle_since.set(self.opened_at);
    }

    /// Bytes came in.
    pub(super) fn note_read(&self) {
        let between_requests = self.in_flight.load(Relaxed) == 0 && !self.is_http2();
        if between_requests && !self.head_since.is_set() {
            self.head_since.set(self.opened_at);
        }
    }

    /// Bytes could not go out.
    pub(super) fn note_blocked(&self) {
        if !self.blocked_since.is_set() {
            self.blocked_since.set(self.opened_at);
        }
    }

    /// Bytes went out.
    pub(super) fn note_written(&self) {
        if self.blocked_since.is_set() {
            self.blocked_since.clear();
            // A response may end long before the other end has taken the last of it.
            self.idle_since.set(self.opened_at);
        }
    }

    /// A request has come.
    pub(super) fn note_begun(&self) {
        self.in_flight.fetch_add(1, Relaxed);
        self.head_since.clear();
        self.requests.fetch_add(1, Relaxed);
    }

    /// The response to a request has ended.
    pub(super) fn note_ended(&self) {
        // The mark first: a reader that sees no request in flight must not see an old mark.
        self.idle_since.set(self.opened_at);
        self.in_flight.fetch_sub(1, AcqRel);
    }

    /// The response to a request was an upgrade: what comes next is not HTTP.
    pub(super) fn hand_over(&self) {
        self.handed_over.store(true, Relaxed);
    }

    /// Whether it carries another protocol by now.
    pub(super) fn is_handed_over(&self) -> bool {
        self.handed_over.load(Relaxed)
    }

    /// Our last byte has gone out, and the other end has not closed yet.
    pub(super) fn note_closing(&self) {
        self.closing_since.set(self.opened_at);
    }

    /// A request that has an `Upgrade` has come.
    pub(super) fn keep_upgrade(&self, upgrade: &OnUpgrade) {
        *self.upgrade.lock() = Some(upgrade.clone());
    }

    /// What is left of the connection when hyper is done with it and it was not handed over.
    pub(super) fn take_upgrade(&self) -> Option<OnUpgrade> {
        self.upgrade
            .lock()
            .take()
            .filter(|_| !self.is_handed_over())
    }

    /// What the connection is doing.
    pub(super) fn phase(&self) -> Phase {
        if let Some(since) = self.blocked_since.get(self.opened_at) {
            Phase::Blocked(since)
        } else if let Some(since) = self.closing_since.get(self.opened_at) {
            Phase::Closing(since)
        } else if self.in_flight.load(Acquire) > 0 {
            Phase::Busy
        } else if let Some(since) = self.head_since.get(self.opened_at) {
            Phase::Head(since)
        } else {
            Phase::Idle(
                self.idle_since
                    .get(self.opened_at)
                    .unwrap_or(self.opened_at),
            )
        }
    }

    /// Gives the connection's task a command. A less urgent one changes nothing.
    pub(super) fn command(&self, command: Command) {
        self.command.fetch_max(command as u8, Relaxed);
        self.task.wake();
    }

    /// Takes a command back, unless a more urgent one came since.
    pub(super) fn forget(&self, command: Command) {
        let _ =
            self.command
                .compare_exchange(command as u8, Command::Serve as u8, Relaxed, Relaxed);
    }

    /// How many requests have come.
    pub(super) fn requests(&self) -> u64 {
        self.requests.load(Relaxed)
    }

    /// Whether the request of this number has a response that has ended. Requests come one after
    /// the other, as in HTTP/1.
    pub(super) fn has_ended(&self, request: u64) -> bool {
        match self.requests().cmp(&request) {
            Ordering::Less => false,
            Ordering::Equal => self.in_flight.load(Acquire) == 0,
            Ordering::Greater => true,
        }
    }

    /// Makes the request of this number the last one of the connection.
    pub(super) fn close_after(&self, request: u64) {
        self.last_request.fetch_min(request, Relaxed);
    }

    /// Whether the connection is to close after the request in flight.
    pub(super) fn is_last(&self) -> bool {
        self.command.load(Relaxed) >= Command::Drain as u8
            || self.requests() >= self.last_request.load(Relaxed)
    }

    /// Ready as soon as there is a command more urgent than `known` that can be followed: no
    /// connection is told to close while the head of a request is coming in.
    pub(super) fn poll_command(&self, known: Command, cx: &mut Context<'_>) -> Poll<Command> {
        self.task.register(cx.waker());
        let command = Command::ALL[usize::from(self.command.load(Relaxed))];
        if command <= known {
            return Poll::Pending;
        }
        let wait = match command {
            Command::Serve | Command::MakeRoom | Command::Cut => false,
            Command::Drain => self.is_fresh() || matches!(self.phase(), Phase::Head(_)),
            Command::Close => matches!(self.phase(), Phase::Head(_)),
        };
        if wait { Poll::Pending } else { Poll::Ready(command) }
    }
}

// === impl Command ===

impl Command {
    const ALL: [Self; 5] = [Self::Serve, Self::MakeRoom, Self::Drain, Self::Close, Self::Cut];
}

// === impl Mark ===

impl Mark {
    fn is_set(&self) -> bool {
        self.0.load(Relaxed) != 0
    }

    fn get(&self, opened_at: Instant) -> Option<Instant> {
        let nanos = self.0.load(Relaxed).checked_sub(1)?;
        Some(opened_at + Duration::from_nanos(nanos))
    }

    fn set(&self, opened_at: Instant) {
        // 584 years fit.
        let nanos = u64::try_from(opened_at.elapsed().as_nanos()).unwrap_or(u64::MAX - 1);
        self.0.store(nanos + 1, Relaxed);
    }

    fn clear(&self) {
        self.0.store(0, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn follows_a_connection_from_phase_to_phase() {
        let state = ConnectionState::new();
        let t0 = state.opened_at();
        assert_eq!(state.phase(), Phase::Idle(t0));
        assert!(state.is_fresh());

        tokio::time::advance(after(1)).await;
        state.note_read();
        assert!(!state.is_fresh());
        tokio::time::advance(after(1)).await;
        state.note_read();
        assert_eq!(state.phase(), Phase::Head(t0 + after(1)), "the first byte counts");

        state.note_begun();
        state.note_read();
        assert_eq!(state.phase(), Phase::Busy, "bytes of a body are no head");

        state.note_blocked();
        tokio::time::advance(after(1)).await;
        state.note_blocked();
        assert_eq!(state.phase(), Phase::Blocked(t0 + after(2)));
        state.note_ended();
        assert_eq!(state.phase(), Phase::Blocked(t0 + after(2)), "its last bytes still wait");

        tokio::time::advance(after(1)).await;
        state.note_written();
        assert_eq!(state.phase(), Phase::Idle(t0 + after(4)));
    }

    #[tokio::test(start_paused = true)]
    async fn has_no_heads_of_its_own_in_http2() {
        let state = ConnectionState::new();
        state.note_read();
        tokio::time::advance(after(1)).await;
        state.note_http2();
        state.note_read();
        assert_eq!(state.phase(), Phase::Idle(state.opened_at() + after(1)));
    }

    #[tokio::test]
    async fn follows_the_most_urgent_command() {
        let state = ConnectionState::new();
        let mut cx = Context::from_waker(std::task::Waker::noop());
        assert_eq!(state.poll_command(Command::Serve, &mut cx), Poll::Pending);
        state.command(Command::Close);
        state.command(Command::MakeRoom);
        assert_eq!(state.poll_command(Command::Serve, &mut cx), Poll::Ready(Command::Close));
        assert_eq!(state.poll_command(Command::Close, &mut cx), Poll::Pending);
    }

    #[tokio::test]
    async fn forgets_only_the_given_command() {
        let state = ConnectionState::new();
        let mut cx = Context::from_waker(std::task::Waker::noop());
        state.command(Command::MakeRoom);
        state.forget(Command::MakeRoom);
        assert_eq!(state.poll_command(Command::Serve, &mut cx), Poll::Pending);
        state.command(Command::Close);
        state.forget(Command::MakeRoom);
        assert_eq!(state.poll_command(Command::Serve, &mut cx), Poll::Ready(Command::Close));
    }

    #[tokio::test]
    async fn waits_for_a_request_that_is_coming_in_before_it_drains() {
        let state = ConnectionState::new();
        let mut cx = Context::from_waker(std::task::Waker::noop());
        state.command(Command::Drain);
        assert_eq!(state.poll_command(Command::Serve, &mut cx), Poll::Pending, "fresh");
        state.note_read();
        assert_eq!(state.poll_command(Command::Serve, &mut cx), Poll::Pending, "a part of a head");
        state.note_begun();
        assert_eq!(state.poll_command(Command::Serve, &mut cx), Poll::Ready(Command::Drain));
    }
}
