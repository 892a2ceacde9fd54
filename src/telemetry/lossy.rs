//! A writer that nobody waits for.
//!
//! A pipe that nobody reads, a full disk or a terminal that is stopped holds up whoever writes to
//! it. So lines are queued, and a thread of its own writes them. When the queue is full, or a line
//! cannot be written, it is dropped and counted.

use std::{
    io::{self, Write},
    mem,
    sync::Arc,
    thread,
    time::Duration,
};

use parking_lot::{Condvar, Mutex};
use prometheus::IntCounter;
use tracing_subscriber::fmt::MakeWriter;

/// Bytes that wait to be written; as many again may be on their way.
const MAX_QUEUED: usize = 1 << 20;

/// Bytes of one write, in whole lines: a pipe takes so many without mixing them with those of
/// another process (`PIPE_BUF`).
const MAX_WRITE: usize = 4096;

/// Before a descriptor that would block is tried again. Whoever started the process may have made
/// it one of those.
const RETRY_AFTER: Duration = Duration::from_millis(10);

/// Queues lines: a handle, cheap to clone.
#[derive(Clone)]
pub(super) struct Lossy(Arc<Queue>);

/// The queue, between those who log and the thread that writes.
pub(super) struct Queue {
    lines: Mutex<Lines>,
    changed: Condvar,
    dropped: IntCounter,
}

#[derive(Default)]
struct Lines {
    queued: Vec<u8>,
    is_writing: bool,
}

impl Lossy {
    /// Writes to `sink` what is queued from now on, and counts in `dropped` the lines that are
    /// not written.
    ///
    /// # Errors
    ///
    /// If there can be no thread.
    pub(super) fn start(
        sink: impl Write + Send + 'static,
        dropped: IntCounter,
    ) -> io::Result<Self> {
        let lines = Mutex::new(Lines::default());
        let queue = Arc::new(Queue { lines, changed: Condvar::new(), dropped });
        let thread = thread::Builder::new().name("log".into());
        thread.spawn({
            let queue = Arc::clone(&queue);
            move || queue.write_to(sink)
        })?;
        Ok(Self(queue))
    }

    /// Waits until everything that was queued is written, for at most that long.
    pub(super) fn flush(&self, patience: Duration) {
        let mut lines = self.0.lines.lock();
        let is_busy = |lines: &mut Lines| lines.is_writing || !lines.queued.is_empty();
        // What is left then is lost with the process.
        let _ = self.0.changed.wait_while_for(&mut lines, is_busy, patience);
    }
}

impl<'w> MakeWriter<'w> for Lossy {
    type Writer = &'w Queue;

    fn make_writer(&'w self) -> &'w Queue {
        &self.0
    }
}

impl Write for &Queue {
    fn write(&mut self, new: &[u8]) -> io::Result<usize> {
        let mut lines = self.lines.lock();
        if lines.queued.len() + new.len() > MAX_QUEUED {
            self.dropped.inc_by(count(new));
        } else {
            lines.queued.extend_from_slice(new);
            if !lines.is_writing {
                self.changed.notify_all();
            }
        }
        Ok(new.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Queue {
    /// Never ends: the process ends before.
    fn write_to(&self, mut sink: impl Write) {
        let mut batch = Vec::new();
        loop {
            let mut lines = self.lines.lock();
            lines.is_writing = false;
            while lines.queued.is_empty() {
                self.changed.notify_all();
                self.changed.wait(&mut lines);
            }
            mem::swap(&mut lines.queued, &mut batch);
            lines.is_writing = true;
            drop(lines);
            for piece in pieces(&batch) {
                if write(&mut sink, piece).is_err() {
                    self.dropped.inc_by(count(piece));
                }
            }
            batch.clear();
        }
    }
}

/// `lines` in pieces of as many whole lines as one write may have, and of one at least.
fn pieces(mut lines: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let ends = |bytes: &[u8]| memchr::memrchr(b'\n', bytes);
        let head = &lines[..lines.len().min(MAX_WRITE)];
        let end = ends(head).or_else(|| memchr::memchr(b'\n', lines));
        let (piece, rest) = lines.split_at(end.map_or(lines.len(), |end| end + 1));
        lines = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Writes all of `bytes`, also to a descriptor that would rather not wait.
fn write(sink: &mut impl Write, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match sink.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                thread::park_timeout(RETRY_AFTER);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn count(lines: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', lines).count() as u64
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, Receiver, SyncSender};

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// A descriptor whose every write ends as it is told to.
    struct Sink {
        writes: SyncSender<Vec<u8>>,
        results: Receiver<io::Result<usize>>,
    }

    impl Write for Sink {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.writes.send(bytes.to_vec());
            // Whoever tells it nothing does not read.
            self.results
                .recv()
                .unwrap_or_else(|_| panic!("the test is over"))
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Fixture {
        lossy: Lossy,
        dropped: IntCounter,
        writes: Receiver<Vec<u8>>,
        results: SyncSender<io::Result<usize>>,
    }

    impl Fixture {
        fn new() -> Self {
            let (writes, written) = mpsc::sync_channel(100);
            let (results, told) = mpsc::sync_channel(100);
            let dropped = IntCounter::new("dropped", "x").unwrap();
            let sink = Sink { writes, results: told };
            let lossy = Lossy::start(sink, dropped.clone()).unwrap();
            Self { lossy, dropped, writes: written, results }
        }

        fn log(&self, line: &str) {
            self.lossy.make_writer().write_all(line.as_bytes()).unwrap();
        }

        /// What is written next, and then ends with `result`.
        fn next(&self, result: io::Result<usize>) -> String {
            let bytes = self.writes.recv_timeout(PATIENCE).unwrap();
            self.results.send(result).unwrap();
            String::from_utf8(bytes).unwrap()
        }
    }

    #[test]
    fn writes_whole_lines_in_order() {
        let fixture = Fixture::new();
        fixture.log("one\n");
        let first = fixture.writes.recv_timeout(PATIENCE).unwrap();
        assert_eq!(first, b"one\n");
        for line in ["two\n", "three\n"] {
            fixture.log(line);
        }
        fixture.results.send(Ok(4)).unwrap();
        assert_eq!(fixture.next(Ok(10)), "two\nthree\n", "in one write");
        fixture.lossy.flush(PATIENCE);
        assert_eq!(fixture.dropped.get(), 0);
    }

    #[test]
    fn drops_and_counts_what_a_full_queue_does_not_take() {
        let fixture = Fixture::new();
        let line = format!("{}\n", "x".repeat(1023));
        fixture.log("stuck\n");
        fixture.writes.recv_timeout(PATIENCE).unwrap();
        for _ in 0..MAX_QUEUED / line.len() + 5 {
            fixture.log(&line);
        }
        assert_eq!(fixture.dropped.get(), 5);
        fixture.log("");
        fixture.lossy.flush(Duration::from_millis(1));
        fixture.results.send(Ok(6)).unwrap();
        assert_eq!(
            fixture.next(Ok(MAX_WRITE)),
            line.repeat(4),
            "what is queued comes all the same"
        );
    }

    #[test]
    fn counts_what_cannot_be_written_and_goes_on() {
        let fixture = Fixture::new();
        fixture.log("one\ntwo\n");
        fixture.next(Err(io::ErrorKind::StorageFull.into()));
        fixture.log("three\n");
        assert_eq!(fixture.next(Ok(6)), "three\n");
        fixture.lossy.flush(PATIENCE);
        assert_eq!(fixture.dropped.get(), 2);
    }

    #[test]
    fn tries_again_where_a_write_was_short_or_would_block() {
        let fixture = Fixture::new();
        fixture.log("one\n");
        assert_eq!(fixture.next(Ok(2)), "one\n");
        assert_eq!(fixture.next(Err(io::ErrorKind::WouldBlock.into())), "e\n");
        assert_eq!(fixture.next(Err(io::ErrorKind::Interrupted.into())), "e\n");
        assert_eq!(fixture.next(Ok(2)), "e\n");
        fixture.lossy.flush(PATIENCE);
        assert_eq!(fixture.dropped.get(), 0);
    }

    #[test]
    fn cuts_between_lines_unless_one_is_too_long() {
        let long = "x".repeat(2 * MAX_WRITE);
        let half = "y".repeat(MAX_WRITE / 2);
        for (lines, cut) in [
            (String::new(), vec![]),
            ("a\nb\n".into(), vec!["a\nb\n".to_owned()]),
            (format!("{half}\n{half}\n"), vec![format!("{half}\n"), format!("{half}\n")]),
            (format!("a\n{long}\nb\n"), vec!["a\n".into(), format!("{long}\n"), "b\n".into()]),
            ("a\nb".into(), vec!["a\n".into(), "b".into()]),
        ] {
            let found: Vec<_> = pieces(lines.as_bytes()).collect();
            assert_eq!(found, cut.iter().map(String::as_bytes).collect::<Vec<_>>());
        }
    }
}
