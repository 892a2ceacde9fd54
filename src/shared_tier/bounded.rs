//! A stream from which no more is read than was asked for.

use std::{
    io,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, ReadBuf};

/// Fails when more comes than its [`Allowance`] has.
#[derive(Debug)]
pub(super) struct Bounded<S> {
    pub(super) stream: S,
    pub(super) allowance: Allowance,
}

/// Bytes that may still come: a handle, cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Allowance(Arc<AtomicUsize>);

/// Bytes that a line counts for. Of ciphertext that makes a quarter more.
const OF_A_LINE: usize = 64;

impl Allowance {
    /// So many may come from now on, and the half of it more for what stands around them.
    pub(super) fn set(&self, bytes: usize) {
        self.0.store(bytes.saturating_add(bytes / 2), Relaxed);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Bounded<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buffer))?;
        let read = &buffer.filled()[before..];
        // Each line may be a value, which takes far more memory than the line.
        let read = read.len() + OF_A_LINE * memchr::memchr_iter(b'\n', read).count();
        let left = self.allowance.0.load(Relaxed);
        // Set while this is read: the larger of two responses decides, which is as good.
        self.allowance.0.store(left.saturating_sub(read), Relaxed);
        Poll::Ready(match read <= left {
            true => Ok(()),
            false => Err(io::Error::other("a response that is too long")),
        })
    }
}
