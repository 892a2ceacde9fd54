//! The socket, with an eye on what passes.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::OwnedSemaphorePermit,
};

use super::watch::Watch;

/// What every HTTP/2 connection begins with (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pin_project! {
    /// A connection's bytes, noted in its [`Watch`].
    ///
    /// It also keeps the connection's place in the server: the place is free when the socket is
    /// closed, also if an upgrade took the socket out of HTTP's hands.
    pub(super) struct WatchedIo<I> {
        #[pin]
        inner: I,
        watch: Arc<Watch>,
        protocol: Protocol,
        _place: OwnedSemaphorePermit,
    }
}

enum Protocol {
    /// That many bytes of the preface have come, and nothing else.
    Preface(usize),
    /// The first bytes have told.
    Known,
}

// === impl WatchedIo ===

impl<I> WatchedIo<I> {
    pub(super) fn new(inner: I, watch: Arc<Watch>, place: OwnedSemaphorePermit) -> Self {
        Self { inner, watch, protocol: Protocol::Preface(0), _place: place }
    }
}

impl<I: AsyncRead> AsyncRead for WatchedIo<I> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.project();
        let before = buf.filled().len();
        ready!(this.inner.poll_read(cx, buf))?;
        let new = &buf.filled()[before..];
        if !new.is_empty() {
            this.watch.note_read();
            if this.protocol.advance(new) {
                this.watch.note_http2();
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<I: AsyncWrite> AsyncWrite for WatchedIo<I> {
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

// === impl Protocol ===

impl Protocol {
    /// Takes in the next bytes. True once, when they complete the preface of HTTP/2.
    fn advance(&mut self, new: &[u8]) -> bool {
        let Self::Preface(seen) = *self else {
            return false;
        };
        let missing = &PREFACE[seen..];
        let common = new.len().min(missing.len());
        let matches = new[..common] == missing[..common];
        let complete = matches && common == missing.len();
        *self = if matches && !complete { Self::Preface(seen + common) } else { Self::Known };
        complete
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_http2_by_its_preface_however_it_is_cut() {
        let (head, tail) = PREFACE.split_at(10);
        for (pieces, told) in [
            (vec![PREFACE], true),
            (vec![head, tail], true),
            (vec![head, b"x"], false),
            (vec![b"GET / HTTP/1.1\r\n\r\n", PREFACE], false),
            (vec![b"P", b"OST / HTTP/1.1\r\n"], false),
            (vec![head], false),
        ] {
            let mut protocol = Protocol::Preface(0);
            let found = pieces.iter().any(|piece| protocol.advance(piece));
            assert_eq!(found, told, "{pieces:?}");
            assert!(!told || !protocol.advance(PREFACE), "only once");
        }
    }
}
