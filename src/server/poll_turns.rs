//! The connections of one client take turns.
//!
//! The runtime takes up what is ready in the order in which it became so. A client with a request on
//! each of thousands of connections would have all of them stand before the only one of somebody
//! else. So only some connections of a client are polled in a round; the others wait outside, in
//! their own order, until more has been taken up that was ready before.

use std::{
    collections::VecDeque,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use tokio::task::yield_now;

use crate::connection_memory::ConnectionMemory;

/// When one connection is polled. Whose it is its last request has shown; before that, it is its
/// address's.
pub(super) struct PollTurns {
    clients: Clients,
    memory: Arc<ConnectionMemory>,
    waiting: Option<Arc<Waiting>>,
}

/// All clients of a listener, by their hash: a handle, cheap to clone.
#[derive(Clone)]
pub(super) struct Clients(Arc<[Client]>);

/// The connections of one client, or of some that share this.
#[derive(Default)]
struct Client {
    /// Those that had a turn in this round, and some that wanted one.
    turns: AtomicUsize,
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Arc<Waiting>>,
    /// Whether a task ends the round.
    is_ending: bool,
}

/// A connection that waits for its turn.
#[derive(Default)]
struct Waiting {
    has_turn: AtomicBool,
    connection: AtomicWaker,
}

/// Connections of a client that are polled before any waits. Of one that has a few connections,
/// that many polls are counted, too, so that now and then one waits for a moment.
const AT_ONCE: usize = 256;

/// Connections that are polled in a round while others of their client wait. A round is short while
/// there is much to take up, so these are few; when there is nothing else, it ends at once.
const MORE: usize = 8;

/// Clients that are told apart, as a rule.
const CLIENTS: usize = 1024;

impl PollTurns {
    pub(super) fn new(clients: Clients, memory: Arc<ConnectionMemory>) -> Self {
        Self { clients, memory, waiting: None }
    }

    /// Polls `connection` when it is its turn.
    pub(super) fn poll<F: Future>(
        &mut self,
        connection: Pin<&mut F>,
        cx: &mut Context<'_>,
    ) -> Poll<F::Output> {
        match self.has_turn(cx) {
            true => connection.poll(cx),
            false => Poll::Pending,
        }
    }

    fn has_turn(&mut self, cx: &Context<'_>) -> bool {
        if self.waiting.is_none() {
            let nth = self.memory.client() as usize % CLIENTS;
            if self.clients.0[nth].turns.fetch_add(1, Relaxed) < AT_ONCE {
                return true;
            }
            self.waiting = Some(self.clients.wait(nth));
        }
        let waiting = self.waiting.take_if(|waiting| {
            waiting.connection.register(cx.waker());
            waiting.has_turn.load(Relaxed)
        });
        waiting.is_some()
    }
}

impl Clients {
    pub(super) fn new() -> Self {
        Self((0..CLIENTS).map(|_| Client::default()).collect())
    }

    /// A connection of the `nth` client has to wait: until this round has ended, if nobody waits
    /// before it.
    fn wait(&self, nth: usize) -> Arc<Waiting> {
        let waiting = Arc::<Waiting>::default();
        let mut queue = self.0[nth].queue.lock();
        queue.waiting.push_back(Arc::clone(&waiting));
        if !std::mem::replace(&mut queue.is_ending, true) {
            drop(tokio::spawn(self.clone().end_rounds(nth)));
        }
        waiting
    }

    /// Ends rounds until nobody waits any more.
    async fn end_rounds(self, nth: usize) {
        let client = &self.0[nth];
        loop {
            // Until whatever was ready has been taken up, or a good part of it.
            yield_now().await;
            let mut queue = client.queue.lock();
            let mut turns = 0;
            while turns < MORE
                && let Some(waiting) = queue.waiting.pop_front()
            {
                // One that is gone wants no turn.
                if Arc::strong_count(&waiting) > 1 {
                    turns += 1;
                    waiting.has_turn.store(true, Relaxed);
                    // Whoever registers after this sees the turn.
                    waiting.connection.wake();
                }
            }
            let is_over = queue.waiting.is_empty();
            // While others wait, whoever comes waits behind them.
            let turns = if is_over { turns } else { AT_ONCE };
            client.turns.store(turns, Relaxed);
            if is_over {
                queue.is_ending = false;
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{future::poll_fn, time::Duration};

    use tokio::{runtime, task::JoinSet, time::timeout};

    use super::*;

    /// A connection of this client, as its last request has shown.
    fn turns(clients: &Clients, client: u64) -> PollTurns {
        PollTurns::new(clients.clone(), Arc::new(ConnectionMemory::new(client)))
    }

    /// Polls a connection so often; it is ready again at once in between.
    async fn connection(mut turns: PollTurns, polls: usize, mut polled: impl FnMut()) {
        let mut left = polls;
        let serving = poll_fn(move |cx| {
            polled();
            left -= 1;
            cx.waker().wake_by_ref();
            if left == 0 { Poll::Ready(()) } else { Poll::Pending }
        });
        let mut serving = std::pin::pin!(serving);
        poll_fn(|cx| turns.poll(serving.as_mut(), cx)).await;
    }

    #[tokio::test]
    async fn few_of_a_client_stand_before_another() {
        let (clients, order) = (Clients::new(), Arc::<Mutex<Vec<u64>>>::default());
        let mut all = JoinSet::new();
        for client in std::iter::repeat_n(1, 1000).chain([2]) {
            let order = Arc::clone(&order);
            let polled = move || order.lock().push(client);
            all.spawn(connection(turns(&clients, client), 3, polled));
        }
        timeout(Duration::from_secs(60), all.join_all())
            .await
            .unwrap();
        let order = order.lock();
        assert_eq!(order.len(), 3003);
        let other = order.iter().position(|client| *client == 2);
        assert!(other.unwrap() <= AT_ONCE, "{other:?}");
    }

    #[test]
    fn all_have_their_turn_on_many_threads() {
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(4)
            .enable_time()
            .build()
            .unwrap();
        let (clients, polls) = (Clients::new(), Arc::new(AtomicUsize::new(0)));
        runtime.block_on(async {
            let mut all = JoinSet::new();
            for nth in 0..2000 {
                let polls = Arc::clone(&polls);
                let polled = move || _ = polls.fetch_add(1, Relaxed);
                all.spawn(connection(turns(&clients, nth % 3), 50, polled));
            }
            timeout(Duration::from_secs(60), all.join_all())
                .await
                .unwrap();
        });
        assert_eq!(polls.load(Relaxed), 2000 * 50);
    }

    #[tokio::test]
    async fn who_leaves_holds_nobody_up() {
        let (clients, mut waiting) = (Clients::new(), Vec::new());
        let leaving = poll_fn(|cx| {
            for _ in 0..10 * AT_ONCE {
                let mut turns = turns(&clients, 1);
                let mut idle = std::pin::pin!(std::future::pending::<()>());
                assert!(turns.poll(idle.as_mut(), cx).is_pending());
                waiting.push(turns);
            }
            Poll::Ready(())
        });
        leaving.await;
        assert!(waiting.iter().any(|turns| turns.waiting.is_some()));
        waiting.clear();
        let last = connection(turns(&clients, 1), 2 * AT_ONCE, || {});
        timeout(Duration::from_secs(60), last).await.unwrap();
    }
}
