//! Work that keeps a thread busy for milliseconds.
//!
//! A thread of the runtime looks for what came in from the network after every few dozen tasks
//! that it has taken up. When Sync responds to many large calls at once, that many of them take a
//! tenth of a second, in which nobody else is heard. So long work is done beside those threads, and
//! the system divides the processors between them. One processor is left to everything else.

use std::{num::NonZero, sync::LazyLock, thread::available_parallelism};

use tokio::{
    runtime::{Handle, RuntimeFlavor},
    sync::Semaphore,
    task::{block_in_place, yield_now},
};

static PROCESSORS: LazyLock<Semaphore> = LazyLock::new(|| Semaphore::new(most()));

/// How many pieces of long work are under way at once.
fn most() -> usize {
    let processors = available_parallelism().map_or(1, NonZero::get);
    (processors - 1).max(1)
}

/// Does `work`, which waits for nothing but the processor. If it is long, it has its turn after
/// other long work.
pub(crate) async fn run<T>(is_long: bool, work: impl FnOnce() -> T) -> T {
    if !is_long {
        return work();
    }
    // An error would mean that it is closed, which it never is.
    let _processor = PROCESSORS.acquire().await.ok();
    match Handle::current().runtime_flavor() {
        RuntimeFlavor::MultiThread => block_in_place(work),
        // No other thread goes on meanwhile: the network has its turn before other long work.
        _ => {
            let done = work();
            yield_now().await;
            done
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{
            Arc, Barrier,
            atomic::{AtomicUsize, Ordering},
        },
        thread,
        time::Duration,
    };

    use tokio::runtime;

    use super::*;

    #[test]
    fn runs_no_more_long_work_than_it_may_and_short_work_at_once() {
        let most = most();
        let threads = 2 * most + 1;
        let runtime = runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .build()
            .unwrap();
        let (running, peak) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        // All long work that may run stands here until short work has been done.
        let barrier = Arc::new(Barrier::new(most + 1));
        for nth in 0..2 * most {
            let (running, peak, barrier) =
                (Arc::clone(&running), Arc::clone(&peak), Arc::clone(&barrier));
            let work = move || {
                peak.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                barrier.wait();
                running.fetch_sub(1, Ordering::SeqCst);
                nth
            };
            drop(runtime.spawn(async move { run(true, work).await }));
        }
        assert_eq!(runtime.block_on(run(false, || 7)), 7);
        for _ in 0..2 {
            barrier.wait();
        }
        runtime.shutdown_timeout(Duration::from_secs(60));
        thread::yield_now();
        assert_eq!(peak.load(Ordering::SeqCst), most);
        assert_eq!(running.load(Ordering::SeqCst), 0);
    }
}
