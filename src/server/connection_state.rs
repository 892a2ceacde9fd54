//! What a connection is doing, and since when.
//!
//! hyper can time the head of a request, but its clock also runs on a kept connection without a
//! request, and it has none for clients that do not read their responses. So the server keeps a
//! state of its own for each connection, written where bytes and requests pass by, and read when a
//! timer of the connection's task fires. A request costs two readings of the clock and no timer.

use std::{
    task::{Context, Poll},
    time::Duration,
};

use futures_util::task::AtomicWaker;
use hyper::upgrade::OnUpgrade;
use parking_lot::Mutex;
use tokio::time::Instant;

use super::phase::Phase;

/// How long the other end may be silent in the middle of its message until the socket is closed,
/// although it has not closed.
pub(super) const SILENCE: Duration = Duration::from_secs(5);

/// The same, since the end of a response, when nothing of a message is missing.
const GOODBYE: Duration = Duration::from_secs(1);

/// The state of one connection, shared by its socket, its requests, its task and the server.
#[derive(Debug)]
pub(super) struct ConnectionState {
    opened_at: Instant,
    state: Mutex<State>,
    task: AtomicWaker,
}

#[derive(Debug, Default)]
struct State {
    is_http2: bool,
    requests: u64,
    /// The request after which the connection is to close.
    last_request: Option<u64>,
    /// That the target of the last request could not be read.
    is_last_unreadable: bool,
    is_handed_over: bool,
    /// Requests whose response has not ended.
    in_flight: u32,
    /// When the last of those ended.
    idle_since: Option<Instant>,
    /// When the first byte of the head that is being read came.
    head_since: Option<Instant>,
    /// When the write that is pending was first refused.
    blocked_since: Option<Instant>,
    closing_since: Option<Instant>,
    /// More of what the other end was sending may come.
    is_incomplete: bool,
    /// The connection itself, once hyper is done with a request that had an `Upgrade`.
    upgrade: Option<OnUpgrade>,
    command: Command,
}

/// What the server tells a connection to do; a greater one is more urgent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Command {
    #[default]
    Serve,
    /// Close if no request is in flight, because other connections wait; else ignore it.
    MakeRoom,
    /// Finish what is in flight and close. A new connection may still send a first request.
    Drain,
    /// Finish what is in flight and close.
    Close,
    Cut,
}

impl ConnectionState {
    pub(super) fn new() -> Self {
        Self { opened_at: Instant::now(), state: Mutex::default(), task: AtomicWaker::new() }
    }

    pub(super) fn opened_at(&self) -> Instant {
        self.opened_at
    }

    pub(super) fn is_http2(&self) -> bool {
        self.state.lock().is_http2
    }

    /// The HTTP/2 preface has come: from now on heads come among other frames.
    pub(super) fn note_http2(&self) {
        let mut state = self.state.lock();
        state.is_http2 = true;
        state.head_since = None;
        state.idle_since = Some(Instant::now());
    }

    /// The TLS handshake is done: only now can a request be expected.
    pub(super) fn note_secured(&self) {
        self.state.lock().idle_since = Some(Instant::now());
    }

    /// Bytes have come. Tells whether they are those of another protocol.
    pub(super) fn note_read(&self) -> bool {
        let mut state = self.state.lock();
        if state.in_flight == 0 && !state.is_http2 {
            state.head_since.get_or_insert_with(Instant::now);
        }
        state.is_handed_over
    }

    pub(super) fn note_blocked(&self) {
        self.state
            .lock()
            .blocked_since
            .get_or_insert_with(Instant::now);
    }

    pub(super) fn note_written(&self) {
        let mut state = self.state.lock();
        if state.blocked_since.take().is_some() {
            // A response may end long before the other end has taken the last of it.
            state.idle_since = Some(Instant::now());
        }
    }

    /// A request has come. Tells whether its target is what the client sent.
    pub(super) fn note_begun(&self) -> bool {
        let mut state = self.state.lock();
        state.in_flight += 1;
        state.requests += 1;
        state.head_since = None;
        !state.is_last_unreadable || state.last_request != Some(state.requests)
    }

    pub(super) fn note_ended(&self) {
        let mut state = self.state.lock();
        state.idle_since = Some(Instant::now());
        state.in_flight -= 1;
    }

    /// The response to a request was an upgrade: what comes next is not HTTP.
    pub(super) fn hand_over(&self) {
        self.state.lock().is_handed_over = true;
    }

    pub(super) fn is_handed_over(&self) -> bool {
        self.state.lock().is_handed_over
    }

    /// It is closed in the middle of a message that the other end sends.
    pub(super) fn note_incomplete(&self) {
        self.state.lock().is_incomplete = true;
    }

    /// Our last byte has gone out, and the other end has not closed yet. Tells for how long it may
    /// be silent.
    pub(super) fn note_closing(&self) -> Duration {
        let now = Instant::now();
        let mut state = self.state.lock();
        state.closing_since = Some(now);
        match state.idle_since {
            _ if state.is_incomplete => SILENCE,
            Some(idle_since) => (idle_since + GOODBYE).saturating_duration_since(now),
            None => GOODBYE,
        }
    }

    pub(super) fn keep_upgrade(&self, upgrade: &OnUpgrade) {
        self.state.lock().upgrade = Some(upgrade.clone());
    }

    /// What is left of the connection when hyper is done with it and it was not handed over.
    pub(super) fn take_upgrade(&self) -> Option<OnUpgrade> {
        let mut state = self.state.lock();
        state.upgrade.take().filter(|_| !state.is_handed_over)
    }

    pub(super) fn phase(&self) -> Phase {
        self.state.lock().phase(self.opened_at)
    }

    /// Gives the connection's task a command. A less urgent one changes nothing.
    pub(super) fn command(&self, command: Command) {
        let mut state = self.state.lock();
        state.command = state.command.max(command);
        self.task.wake();
    }

    /// Takes a command back, unless a more urgent one came since.
    pub(super) fn forget(&self, command: Command) {
        let mut state = self.state.lock();
        if state.command == command {
            state.command = Command::Serve;
        }
    }

    pub(super) fn requests(&self) -> u64 {
        self.state.lock().requests
    }

    pub(super) fn close_after(&self, request: u64) {
        self.state.lock().close_after(request);
    }

    /// The request that is in flight, or else the next one, is the last.
    pub(super) fn close_soon(&self) {
        let mut state = self.state.lock();
        let request = state.requests + u64::from(state.in_flight == 0);
        state.close_after(request);
    }

    /// The target of the request of this number could not be read. It is the last one.
    pub(super) fn note_unreadable(&self, request: u64) {
        self.close_after(request);
        let mut state = self.state.lock();
        state.is_last_unreadable = state.last_request == Some(request);
    }

    pub(super) fn is_last(&self) -> bool {
        let state = self.state.lock();
        state.command >= Command::Drain
            || state
                .last_request
                .is_some_and(|last| state.requests >= last)
    }

    /// Ready as soon as there is a command more urgent than `known` that can be followed: no
    /// connection is told to close while the head of a request is coming in.
    pub(super) fn poll_command(&self, known: Command, cx: &mut Context<'_>) -> Poll<Command> {
        self.task.register(cx.waker());
        let state = self.state.lock();
        let has_head = matches!(state.phase(self.opened_at), Phase::Head(_));
        let waits = match state.command {
            Command::Serve | Command::MakeRoom | Command::Cut => false,
            Command::Drain => state.is_fresh() || has_head,
            Command::Close => has_head,
        };
        if state.command > known && !waits { Poll::Ready(state.command) } else { Poll::Pending }
    }
}

impl State {
    fn close_after(&mut self, request: u64) {
        self.last_request = Some(self.last_request.map_or(request, |last| last.min(request)));
    }

    /// Whether it has not carried a request yet, nor a part of one.
    fn is_fresh(&self) -> bool {
        self.requests == 0 && self.head_since.is_none()
    }

    fn phase(&self, opened_at: Instant) -> Phase {
        if let Some(since) = self.blocked_since {
            Phase::Blocked(since)
        } else if let Some(since) = self.closing_since {
            Phase::Closing(since)
        } else if self.in_flight > 0 {
            Phase::Busy
        } else if let Some(since) = self.head_since {
            Phase::Head(since)
        } else {
            Phase::Idle(self.idle_since.unwrap_or(opened_at))
        }
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
        assert!(state.state.lock().is_fresh());

        tokio::time::advance(after(1)).await;
        state.note_read();
        assert!(!state.state.lock().is_fresh());
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

    #[tokio::test]
    async fn ends_with_the_request_in_flight_or_the_next() {
        let state = ConnectionState::new();
        state.note_begun();
        state.close_soon();
        assert!(state.is_last(), "its response has not begun");

        let state = ConnectionState::new();
        state.note_begun();
        state.note_ended();
        state.close_soon();
        assert!(!state.is_last());
        state.note_begun();
        assert!(state.is_last());
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
