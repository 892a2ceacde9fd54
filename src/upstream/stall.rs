//! A time limit on connections that take nothing.
//!
//! The HTTP client waits without end for a connection to take what it has written, also when
//! nobody waits for a response any more, and meanwhile it keeps the socket and the client's body.
//! So the connection itself fails. Its clock runs only while there is something to write: a
//! client that is slow to send its body is judged elsewhere, and is not the upstream's fault.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::connect::{Connected, Connection};
use tokio::time::{Instant, Sleep, sleep};

/// A connection whose writes fail with [`Stalled`] when it takes nothing for a while.
pub(super) struct Stall<T> {
    io: T,
    timeout: Duration,
    /// Made when it first has to be waited for: most never have.
    sleep: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

/// Nothing of what was to be sent was taken for too long.
#[derive(Debug, thiserror::Error)]
#[error("the upstream takes nothing")]
pub(super) struct Stalled;

impl<T> Stall<T> {
    /// Allows `io` to take nothing for `timeout`.
    pub(super) fn new(io: T, timeout: Duration) -> Self {
        Self { io, timeout, sleep: None, waiting: false }
    }

    /// `written`, or an error if it has been pending for too long.
    fn bound<R>(
        &mut self,
        written: Poll<io::Result<R>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<R>> {
        if written.is_ready() {
            self.waiting = false;
            return written;
        }
        let sleep = self
            .sleep
            .get_or_insert_with(|| Box::pin(sleep(self.timeout)));
        if !self.waiting {
            self.waiting = true;
            sleep.as_mut().reset(Instant::now() + self.timeout);
        }
        sleep
            .as_mut()
            .poll(cx)
            .map(|()| Err(io::Error::new(io::ErrorKind::TimedOut, Stalled)))
    }
}

impl<T: Write + Unpin> Write for Stall<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        self.bound(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.bound(written, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.io).poll_flush(cx);
        self.bound(flushed, cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let closed = Pin::new(&mut self.io).poll_shutdown(cx);
        self.bound(closed, cx)
    }
}

impl<T: Read + Unpin> Read for Stall<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<T: Connection> Connection for Stall<T> {
    fn connected(&self) -> Connected {
        self.io.connected()
    }
}

#[cfg(test)]
mod tests {
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn fails_when_nothing_is_taken_and_not_when_nothing_is_given() {
        let (here, mut there) = duplex(4);
        let mut here = TokioIo::new(Stall::new(TokioIo::new(here), LIMIT));
        let reading = tokio::spawn(async move {
            // The first when half of the silence is over, the others as late as may be.
            for _ in 0..3 {
                sleep(LIMIT - Duration::from_secs(1)).await;
                there.read_exact(&mut [0; 2]).await.unwrap();
            }
            std::future::pending::<()>().await;
        });
        here.write_all(b"1234").await.unwrap();
        sleep(LIMIT / 2).await;
        here.write_all(b"56789a").await.unwrap();
        let began_at = Instant::now();
        let stalled = here.write_all(b"b").await.unwrap_err();
        assert_eq!(began_at.elapsed(), LIMIT);
        assert!(stalled.get_ref().is_some_and(|inner| inner.is::<Stalled>()));
        assert!(here.write(b"c").await.is_err(), "and again at once");
        assert_eq!(began_at.elapsed(), LIMIT);
        reading.abort();
    }
}
