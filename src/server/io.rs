//! What HTTP reads and writes, with an eye on what comes in.
//!
//! It stands above TLS: heads and pauses are those of HTTP, whatever carries it.

use std::{
    error::Error,
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{
    connection_state::ConnectionState,
    framing::{BadLine, Framing},
    negotiated::{Negotiated, NotNegotiated},
};

/// What every HTTP/2 connection begins with (RFC 9113 §3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pin_project! {
    /// A connection's bytes, noted in its [`ConnectionState`] as they are read.
    pub(super) struct WatchedIo<I> {
        #[pin]
        inner: I,
        state: Arc<ConnectionState>,
        negotiated: Negotiated,
        max_head: usize,
        protocol: Protocol,
        // The request whose body must not be read any further.
        malformed: Option<u64>,
        goodbye: Option<Goodbye<I>>,
    }

    // However a connection ends, hyper may have no time to say so.
    impl<I> PinnedDrop for WatchedIo<I> {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if let Some(goodbye) = this.goodbye {
                goodbye(this.inner);
            }
        }
    }
}

/// Tells the other end that nothing more comes, if it takes that at once.
type Goodbye<I> = fn(Pin<&mut I>);

/// The body of a request is not framed as it must be.
#[derive(Debug, thiserror::Error)]
#[error("the framing of the body is malformed")]
struct MalformedBody;

#[derive(Debug, PartialEq, Eq)]
enum Protocol {
    /// That many bytes of the preface have come, and nothing else.
    Preface(usize),
    Http1(Framing),
    Http2,
}

impl<I> WatchedIo<I> {
    /// `max_head`: bytes of a head. hyper refuses one that is not whole with so many, but it would
    /// take all that comes with the last of them.
    pub(super) fn new(
        inner: I,
        state: Arc<ConnectionState>,
        negotiated: Negotiated,
        max_head: usize,
    ) -> Self {
        let protocol = Protocol::Preface(0);
        Self { inner, state, negotiated, max_head, protocol, malformed: None, goodbye: None }
    }

    /// The same, with something to say before it is closed.
    pub(super) fn with_goodbye(mut self, goodbye: Goodbye<I>) -> Self {
        self.goodbye = Some(goodbye);
        self
    }
}

impl<I: AsyncRead> AsyncRead for WatchedIo<I> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.project();
        if let Some(request) = *this.malformed {
            return refuse_body(request, this.state);
        }
        let before = buf.filled().len();
        let room = this.protocol.room(*this.max_head);
        match ready!(poll_read_some(this.inner, cx, buf, room)) {
            // TLS that ends without a close_notify. HTTP knows where its messages end, so none can
            // be cut short unseen (RFC 9112 §9.8).
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {}
            read => read?,
        }
        if buf.filled().len() == before {
            return Poll::Ready(Ok(()));
        }
        let is_handed_over = this.state.note_read();
        match this.protocol.advance(&buf.filled()[before..]) {
            Some(http2) if !this.negotiated.permits(http2) => {
                buf.set_filled(before);
                return Poll::Ready(Err(invalid(NotNegotiated)));
            }
            Some(true) => this.state.note_http2(),
            Some(false) | None => {}
        }
        let Protocol::Http1(framing) = this.protocol else {
            return Poll::Ready(Ok(()));
        };
        if is_handed_over {
            framing.lose();
        }
        let bad_line = framing.follow(&mut buf.filled_mut()[before..]);
        if let Some(request) = framing.unreadable() {
            this.state.note_unreadable(request);
        }
        match bad_line {
            None if framing.is_lost() => this.state.close_after(framing.heads()),
            None => {}
            Some(BadLine::Head(at)) => end_head(buf, before + at),
            Some(BadLine::Body(at)) => {
                let request = *this.malformed.insert(framing.heads());
                this.state.close_after(request);
                buf.set_filled(before + at);
                if at == 0 {
                    return refuse_body(request, this.state);
                }
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Reads at most `most` bytes.
fn poll_read_some<I: AsyncRead>(
    inner: Pin<&mut I>,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
    most: usize,
) -> Poll<io::Result<()>> {
    if buf.remaining() <= most {
        return inner.poll_read(cx, buf);
    }
    let mut part = ReadBuf::new(buf.initialize_unfilled_to(most));
    let read = inner.poll_read(cx, &mut part);
    let filled = part.filled().len();
    buf.advance(filled);
    read
}

/// Ends the head that is in `buf` with the byte at `end`, so that hyper refuses it, with a response,
/// and closes. It looks at a head when all of it has come, and then it does not like a NUL.
fn end_head(buf: &mut ReadBuf<'_>, end: usize) {
    const REFUSED: &[u8] = b"\0\r\n\r\n";
    buf.set_filled(end.min(buf.capacity() - REFUSED.len()));
    buf.put_slice(REFUSED);
}

/// Fails for the request of this number. Until it has come, others are in flight, and hyper reads
/// on to see whether the other end has closed.
fn refuse_body(request: u64, state: &ConnectionState) -> Poll<io::Result<()>> {
    if state.requests() < request {
        Poll::Pending
    } else {
        Poll::Ready(Err(invalid(MalformedBody)))
    }
}

fn invalid(error: impl Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

impl<I: AsyncWrite> AsyncWrite for WatchedIo<I> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.project().inner.poll_write(cx, buf)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.project().inner.poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.project().inner.poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.project();
        if let Protocol::Http1(framing) = this.protocol
            && !framing.is_between_messages()
        {
            this.state.note_incomplete();
        }
        this.inner.poll_shutdown(cx)
    }
}

impl Protocol {
    /// Bytes that may be read at once.
    fn room(&self, max_head: usize) -> usize {
        match self {
            Self::Http1(framing) => framing.room(max_head),
            Self::Preface(_) | Self::Http2 => usize::MAX,
        }
    }

    /// Takes in the next bytes. Tells once whether it is HTTP/2: when they complete its preface,
    /// or cannot any more.
    fn advance(&mut self, new: &[u8]) -> Option<bool> {
        let Self::Preface(seen) = *self else {
            return None;
        };
        let missing = &PREFACE[seen..];
        let common = new.len().min(missing.len());
        *self = if new[..common] != missing[..common] {
            let mut framing = Framing::default();
            framing.follow(&mut PREFACE[..seen].to_vec());
            Self::Http1(framing)
        } else if common < missing.len() {
            Self::Preface(seen + common)
        } else {
            Self::Http2
        };
        match self {
            Self::Preface(_) => None,
            Self::Http1(_) => Some(false),
            Self::Http2 => Some(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt as _;

    use super::*;

    #[test]
    fn tells_http2_by_its_preface_however_it_is_cut() {
        let (head, tail) = PREFACE.split_at(10);
        for (pieces, told) in [
            (vec![PREFACE], Some(true)),
            (vec![head, tail], Some(true)),
            (vec![head, b"x"], Some(false)),
            (vec![b"GET / HTTP/1.1\r\n\r\n", PREFACE], Some(false)),
            (vec![b"P", b"OST / HTTP/1.1\r\n"], Some(false)),
            (vec![head], None),
        ] {
            let mut protocol = Protocol::Preface(0);
            let found = pieces.iter().find_map(|piece| protocol.advance(piece));
            assert_eq!(found, told, "{pieces:?}");
            assert!(told.is_none() || protocol.advance(PREFACE).is_none(), "only once");
        }
    }

    #[tokio::test]
    async fn reads_only_what_was_negotiated() {
        const GET: &[u8] = b"GET / HTTP/1.1\r\n\r\n";
        for (negotiated, sent, read) in [
            (Negotiated::Nothing, PREFACE, true),
            (Negotiated::Nothing, GET, true),
            (Negotiated::Http1, GET, true),
            (Negotiated::Http1, PREFACE, false),
            (Negotiated::Http2, PREFACE, true),
            (Negotiated::Http2, GET, false),
        ] {
            let mut io = WatchedIo::new(sent, Arc::new(ConnectionState::new()), negotiated, 64);
            let end = io.read_to_end(&mut Vec::new()).await;
            assert_eq!(end.is_ok(), read, "{negotiated:?}");
        }
    }
}
