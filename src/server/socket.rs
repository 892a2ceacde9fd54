//! The socket, with an eye on what goes out.
//!
//! It stands below TLS, which takes bytes long before the other end does: only the socket knows
//! whether somebody reads.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use pin_project_lite::pin_project;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::OwnedSemaphorePermit,
};

use super::watch::Watch;

pin_project! {
    /// A connection's socket, its writes noted in its [`Watch`].
    ///
    /// It also keeps the connection's place in the server: the place is free when the socket is
    /// closed, also if an upgrade took the socket out of HTTP's hands.
    pub(super) struct Socket<I> {
        #[pin]
        inner: I,
        watch: Arc<Watch>,
        untouched: bool,
        _place: OwnedSemaphorePermit,
    }
}

// === impl Socket ===

impl<I> Socket<I> {
    pub(super) fn new(inner: I, watch: Arc<Watch>, place: OwnedSemaphorePermit) -> Self {
        Self { inner, watch, untouched: true, _place: place }
    }

    /// Whether not one byte has come.
    pub(super) fn is_untouched(&self) -> bool {
        self.untouched
    }
}

impl<I: AsyncRead> AsyncRead for Socket<I> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.project();
        let before = buf.filled().len();
        let read = this.inner.poll_read(cx, buf);
        *this.untouched &= buf.filled().len() == before;
        read
    }
}

impl<I: AsyncWrite> AsyncWrite for Socket<I> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.project();
        note(this.watch, this.inner.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.project();
        note(this.watch, this.inner.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.project();
        let flushed = this.inner.poll_flush(cx);
        if flushed.is_pending() {
            this.watch.note_blocked();
        }
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.project();
        let shut = this.inner.poll_shutdown(cx);
        if shut.is_pending() {
            this.watch.note_blocked();
        }
        shut
    }
}

fn note(watch: &Watch, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
    match written {
        Poll::Pending => watch.note_blocked(),
        Poll::Ready(Ok(1..)) => watch.note_written(),
        Poll::Ready(_) => {}
    }
    written
}
