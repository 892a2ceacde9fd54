//! What is to be put into the log, in order, until it is there.

use std::{collections::VecDeque, mem, sync::Arc};

use parking_lot::Mutex;
use tokio::{
    sync::{Notify, oneshot},
    time::Instant,
};

use super::{
    log_entry::LogEntry,
    position::Position,
    release::{LinkState, Reading, Receipt},
};
use crate::vehicle_cache::Change;

/// Entries that wait, and the state of the connection that they wait for.
#[derive(Debug)]
pub(super) struct Outbox {
    state: Mutex<State>,
    has_more: Notify,
    /// Told when something is in the log.
    has_less: Notify,
}

/// Comes when an entry is in the log.
pub(super) type Pending = oneshot::Receiver<Receipt>;

#[derive(Debug)]
struct State {
    entries: VecDeque<Waiting>,
    /// What they weigh.
    weight: usize,
    reading: Reading,
    /// Since when there is no connection, unless there is one.
    down_since: Option<Instant>,
}

/// An entry for the log.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outgoing {
    /// The higher the later.
    pub(super) number: u64,
    pub(super) entry: LogEntry,
}

#[derive(Debug)]
struct Waiting {
    outgoing: Arc<Outgoing>,
    receipt: oneshot::Sender<Receipt>,
}

/// Entries that may wait, and the names in them: some megabytes. It is writes that others were
/// not told of, so beyond that they are told that anything may have changed.
const MAX_WEIGHT: usize = 64 * 1024;

impl Outbox {
    /// Nothing, and no connection.
    pub(super) fn new(now: Instant) -> Self {
        let state = State {
            entries: VecDeque::new(),
            weight: 0,
            reading: Reading::default(),
            down_since: Some(now),
        };
        Self { state: Mutex::new(state), has_more: Notify::new(), has_less: Notify::new() }
    }

    /// Lets `entry` wait, whose number is above those that wait. Gives what comes when it is in the
    /// log, if that is still to be then.
    pub(super) fn push(&self, entry: LogEntry, number: u64) -> Pending {
        let (sender, receipt) = oneshot::channel();
        let given_up = self.state.lock().push(Outgoing { number, entry }, sender);
        drop(given_up);
        self.has_more.notify_one();
        receipt
    }

    pub(super) fn is_empty(&self) -> bool {
        self.state.lock().entries.is_empty()
    }

    /// Waits until all is in the log. One waits at a time.
    pub(super) async fn emptied(&self) {
        while !self.is_empty() {
            self.has_less.notified().await;
        }
    }

    pub(super) fn link(&self) -> LinkState {
        let state = self.state.lock();
        state
            .down_since
            .map_or(LinkState::Up(state.reading), LinkState::Down)
    }

    /// The connection stands.
    pub(super) fn link_up(&self) {
        self.state.lock().down_since = None;
    }

    /// The connection does not stand. If it was lost before, it stays lost since then.
    pub(super) fn link_down(&self, now: Instant) {
        self.state.lock().down_since.get_or_insert(now);
    }

    /// The log is read from its beginning from now on.
    pub(super) fn begin_reading(&self) {
        self.state.lock().reading.0 += 1;
    }

    /// Waits until there is something, and gives the first of it, up to `max`.
    pub(super) async fn first(&self, max: usize) -> Vec<Arc<Outgoing>> {
        loop {
            let first: Vec<_> = {
                let state = self.state.lock();
                let entries = state.entries.iter().take(max);
                entries
                    .map(|waiting| Arc::clone(&waiting.outgoing))
                    .collect()
            };
            if !first.is_empty() {
                return first;
            }
            self.has_more.notified().await;
        }
    }

    /// The first of these, which were first, stand there in the log.
    pub(super) fn done(&self, sent: &[Arc<Outgoing>], positions: &[Position]) {
        self.has_less.notify_one();
        let state = &mut *self.state.lock();
        let (reading, at) = (state.reading, Instant::now());
        for (sent, position) in sent.iter().zip(positions) {
            // All of them may have been given up meanwhile.
            let is_sent = |waiting: &mut Waiting| Arc::ptr_eq(&waiting.outgoing, sent);
            if let Some(waiting) = state.entries.pop_front_if(is_sent) {
                state.weight -= waiting.outgoing.entry.weight();
                let _ = waiting
                    .receipt
                    .send(Receipt { reading, position: *position, at });
            }
        }
    }
}

impl State {
    /// Gives what is given up for it.
    fn push(
        &mut self,
        mut outgoing: Outgoing,
        receipt: oneshot::Sender<Receipt>,
    ) -> VecDeque<Waiting> {
        let mut given_up = VecDeque::new();
        if self.weight + outgoing.entry.weight() > MAX_WEIGHT {
            given_up = mem::take(&mut self.entries);
            self.weight = 0;
            outgoing.entry = LogEntry::Done(None, Change::Everything);
        }
        self.weight += outgoing.entry.weight();
        let outgoing = Arc::new(outgoing);
        self.entries.push_back(Waiting { outgoing, receipt });
        given_up
    }
}

impl LogEntry {
    fn weight(&self) -> usize {
        1 + self.names()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::vehicle_cache::InvalidationScope;

    fn done() -> LogEntry {
        LogEntry::Done(None, Change::Of(InvalidationScope::default()))
    }

    fn first(outbox: &Outbox, max: usize) -> Vec<Arc<Outgoing>> {
        outbox.first(max).now_or_never().unwrap_or_default()
    }

    #[tokio::test]
    async fn keeps_the_order_until_each_is_in_the_log() {
        let outbox = Outbox::new(Instant::now());
        let mut receipts = [outbox.push(LogEntry::Beginning, 1), outbox.push(done(), 2)];
        let sent = first(&outbox, 10);
        let entries = sent.iter().map(|sent| (sent.number, &sent.entry));
        assert_eq!(entries.collect::<Vec<_>>(), [(1, &LogEntry::Beginning), (2, &done())]);
        let positions = [1, 2].map(|sequence| Position { milliseconds: 1, sequence });
        outbox.done(&sent, &positions[..1]);
        let receipt = receipts[0].try_recv().unwrap();
        assert_eq!((receipt.reading, receipt.position), (Reading(0), positions[0]));
        assert!(receipts[1].try_recv().is_err());
        assert_eq!(first(&outbox, 10).len(), 1);
        outbox.done(&sent[1..], &positions[1..]);
        assert!(receipts[1].try_recv().is_ok() && first(&outbox, 10).is_empty());
    }

    #[tokio::test]
    async fn says_that_anything_has_changed_rather_than_to_keep_more_than_there_is_room_for() {
        let outbox = Outbox::new(Instant::now());
        let mut lost = outbox.push(done(), 1);
        for nth in 2..=MAX_WEIGHT {
            drop(outbox.push(done(), nth as u64));
        }
        let sent = first(&outbox, 1);
        let last = MAX_WEIGHT as u64 + 1;
        drop(outbox.push(LogEntry::Beginning, last));
        let all = first(&outbox, usize::MAX);
        let everything = LogEntry::Done(None, Change::Everything);
        let entries = all.iter().map(|sent| (sent.number, &sent.entry));
        assert_eq!(entries.collect::<Vec<_>>(), [(last, &everything)]);
        outbox.done(&sent, &[Position::default()]);
        assert!(lost.try_recv().is_err());
        assert_eq!(first(&outbox, 2).len(), 1, "what was sent is not what is first now");
    }

    #[test]
    fn a_connection_that_was_lost_stays_lost_since_then() {
        let (now, second) = (Instant::now(), std::time::Duration::from_secs(1));
        let outbox = Outbox::new(now);
        outbox.link_down(now + second);
        assert_eq!(outbox.link(), LinkState::Down(now));
        outbox.link_up();
        outbox.begin_reading();
        assert_eq!(outbox.link(), LinkState::Up(Reading(1)));
        outbox.link_down(now + 2 * second);
        assert_eq!(outbox.link(), LinkState::Down(now + 2 * second));
    }
}
