//! What goes wrong with connections to Sync, told apart where the bytes pass.
//!
//! The HTTP client waits without end for a connection to take what it has written, also when
//! nobody waits for a response any more, and meanwhile it keeps the socket and the client's body.
//! So the connection itself fails. Its clock runs only while there is something to write: a
//! client that is slow to send its body is judged elsewhere, and is not the upstream's fault.
//!
//! And a connection that was kept may be closed by the upstream just when the next call goes out
//! over it. To the HTTP client that looks like a call that broke.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Instant, Sleep, sleep},
};

/// A connection whose writes fail with [`Stalled`] when it takes nothing for a while, and which
/// fails with [`Closed`] when it ends before the first byte of another response.
pub(super) struct Stall<T> {
    io: T,
    timeout: Duration,
    /// Made when it first has to be waited for: most never have.
    sleep: Option<Pin<Box<Sleep>>>,
    waiting: bool,
    /// Whether a byte of a response has come.
    has_responded: bool,
    /// Whether a byte was written since the last one came.
    is_asked: bool,
}

/// Nothing of what was to be sent was taken for too long.
#[derive(Debug, thiserror::Error)]
#[error("the upstream takes nothing")]
pub(super) struct Stalled;

/// The connection was kept, and the upstream has closed it.
#[derive(Debug, thiserror::Error)]
#[error("the upstream had closed the connection")]
pub(super) struct Closed;

impl<T> Stall<T> {
    /// Allows `io` to take nothing for `timeout`.
    pub(super) fn new(io: T, timeout: Duration) -> Self {
        let (has_responded, is_asked) = (false, false);
        Self { io, timeout, sleep: None, waiting: false, has_responded, is_asked }
    }

    /// Whether a call went out that may have met a closed connection: no byte has come since, and
    /// some had before.
    fn was_kept(&self) -> bool {
        self.has_responded && self.is_asked
    }

    fn bound_write(
        &mut self,
        written: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.is_asked = true;
        let written = written.map_err(|error| match is_end(&error) && self.was_kept() {
            true => closed(),
            false => error,
        });
        self.bound(written, cx)
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

impl<T: AsyncWrite + Unpin> AsyncWrite for Stall<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write(cx, buf);
        self.bound_write(written, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.io).poll_write_vectored(cx, bufs);
        self.bound_write(written, cx)
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

impl<T: AsyncRead + Unpin> AsyncRead for Stall<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = ready!(Pin::new(&mut self.io).poll_read(cx, buf));
        if read.is_ok() && buf.filled().len() > before {
            (self.has_responded, self.is_asked) = (true, false);
            return Poll::Ready(Ok(()));
        }
        let is_closed = read.as_ref().map_or_else(is_end, |()| true);
        Poll::Ready(if is_closed && self.was_kept() { Err(closed()) } else { read })
    }
}

/// Whether an error is how a connection ends that the other side has closed.
fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionReset, Closed)
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    #[tokio::test(start_paused = true)]
    async fn fails_when_nothing_is_taken_and_not_when_nothing_is_given() {
        let (here, mut there) = duplex(4);
        let mut here = Stall::new(here, LIMIT);
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

    /// What a call over a connection ends with when the other side has closed it.
    async fn end_of(responses: usize, answers_partly: bool) -> io::Result<usize> {
        let (here, mut there) = duplex(64);
        let mut here = Stall::new(here, LIMIT);
        for _ in 0..responses {
            here.write_all(b"call").await.unwrap();
            there.read_exact(&mut [0; 4]).await.unwrap();
            there.write_all(b"response").await.unwrap();
            here.read_exact(&mut [0; 8]).await.unwrap();
        }
        here.write_all(b"call").await.unwrap();
        if answers_partly {
            there.write_all(b"r").await.unwrap();
            here.read_exact(&mut [0; 1]).await.unwrap();
        }
        drop(there);
        here.read(&mut [0; 8]).await
    }

    #[tokio::test]
    async fn tells_a_kept_connection_that_was_closed_from_a_call_that_broke() {
        let is_closed = |end: io::Result<usize>| {
            end.is_err_and(|error| error.get_ref().is_some_and(|inner| inner.is::<Closed>()))
        };
        assert!(is_closed(end_of(1, false).await));
        assert!(is_closed(end_of(3, false).await));
        assert!(!is_closed(end_of(0, false).await), "its first call");
        assert!(!is_closed(end_of(1, true).await), "a response that has begun");
    }

    #[tokio::test]
    async fn an_idle_connection_ends_without_an_error() {
        let (here, mut there) = duplex(64);
        let mut here = Stall::new(here, LIMIT);
        here.write_all(b"call").await.unwrap();
        there.write_all(b"response").await.unwrap();
        here.read_exact(&mut [0; 8]).await.unwrap();
        drop(there);
        assert_eq!(here.read(&mut [0; 8]).await.unwrap(), 0);
    }
}
