//! The socket, with an eye on what goes out, and on how it ends.
//!
//! It stands below TLS, which takes bytes long before the other end does: only the socket knows
//! whether somebody reads, and when our last byte has gone.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    sync::OwnedSemaphorePermit,
    time::{Instant, Sleep, sleep_until},
};

use super::connection_state::{ConnectionState, SILENCE};

/// How long it may take to close, however much it sends.
pub(super) const LINGER_FOR: Duration = Duration::from_secs(30);

pin_project! {
    /// A connection's socket, its writes noted in its [`ConnectionState`].
    ///
    /// It closes as RFC 9112 section 9.6 wants it: first its own direction, then, when the other
    /// end has closed, all of it. A socket that is closed with bytes unread is reset, and a reset
    /// takes from the other end what it has not read yet of our response: a client that is still
    /// sending would never learn why it was refused.
    ///
    /// It also holds the connection's permit: the permit is free when the socket is closed, also
    /// if an upgrade took the socket out of HTTP's hands.
    pub(super) struct Socket<I> {
        #[pin]
        inner: I,
        state: Arc<ConnectionState>,
        untouched: bool,
        // The other end has closed, or is gone.
        ended: bool,
        lingering: Option<Lingering>,
        _permit: OwnedSemaphorePermit,
    }
}

/// The time between our end and the other's.
struct Lingering {
    silence: Pin<Box<Sleep>>,
    until: Instant,
}

impl<I> Socket<I> {
    pub(super) fn new(inner: I, state: Arc<ConnectionState>, permit: OwnedSemaphorePermit) -> Self {
        Self { inner, state, untouched: true, ended: false, lingering: None, _permit: permit }
    }

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
        let read = ready!(this.inner.poll_read(cx, buf));
        let is_empty = buf.filled().len() == before;
        *this.untouched &= is_empty;
        *this.ended |= read.is_err() || (is_empty && buf.remaining() > 0);
        Poll::Ready(read)
    }
}

impl<I: AsyncRead + AsyncWrite> AsyncWrite for Socket<I> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.project();
        note(this.state, this.inner.poll_write(cx, buf))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.project();
        note(this.state, this.inner.poll_write_vectored(cx, bufs))
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.project();
        let flushed = this.inner.poll_flush(cx);
        if flushed.is_pending() {
            this.state.note_blocked();
        }
        flushed
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut this = self.project();
        let lingering = match this.lingering {
            Some(lingering) => lingering,
            None => {
                let shut = this.inner.as_mut().poll_shutdown(cx);
                if shut.is_pending() {
                    this.state.note_blocked();
                }
                ready!(shut)?;
                // The other protocol ends each direction for itself.
                if *this.ended || this.state.is_handed_over() {
                    return Poll::Ready(Ok(()));
                }
                let silence = this.state.note_closing();
                this.lingering.insert(Lingering::begin(silence))
            }
        };
        // Our own end was in order, however the other end behaves.
        lingering.poll(this.inner, cx).map(Ok)
    }
}

fn note(state: &ConnectionState, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
    match written {
        Poll::Pending => state.note_blocked(),
        Poll::Ready(Ok(1..)) => state.note_written(),
        Poll::Ready(_) => {}
    }
    written
}

impl Lingering {
    fn begin(silence: Duration) -> Self {
        let now = Instant::now();
        Self { silence: Box::pin(sleep_until(now + silence)), until: now + LINGER_FOR }
    }

    /// Reads and discards what comes over `inner`, until its end, or for as long as it may take.
    fn poll(&mut self, mut inner: Pin<&mut impl AsyncRead>, cx: &mut Context<'_>) -> Poll<()> {
        let mut bytes = [const { std::mem::MaybeUninit::uninit() }; 8 * 1024];
        loop {
            let mut buf = ReadBuf::uninit(&mut bytes);
            match inner.as_mut().poll_read(cx, &mut buf) {
                Poll::Pending => return self.silence.as_mut().poll(cx),
                Poll::Ready(Ok(())) if !buf.filled().is_empty() => {}
                Poll::Ready(_) => return Poll::Ready(()),
            }
            let now = Instant::now();
            if now >= self.until {
                return Poll::Ready(());
            }
            self.silence.as_mut().reset((now + SILENCE).min(self.until));
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex},
        sync::Semaphore,
        time::sleep,
    };

    use super::*;

    /// A socket in the middle of a message, and its other end.
    async fn socket() -> (Socket<DuplexStream>, DuplexStream) {
        let (inner, other) = duplex(64);
        let permit = Arc::new(Semaphore::new(1)).acquire_owned().await.unwrap();
        let state = Arc::new(ConnectionState::new());
        state.note_incomplete();
        (Socket::new(inner, state, permit), other)
    }

    /// How long the socket takes to close.
    async fn close(socket: &mut Socket<DuplexStream>) -> Duration {
        let began_at = Instant::now();
        socket.shutdown().await.unwrap();
        began_at.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn reads_on_until_the_other_end_has_closed() {
        let (mut socket, mut other) = socket().await;
        let sender = tokio::spawn(async move {
            let mut last_words = String::new();
            other.read_to_string(&mut last_words).await.unwrap();
            for _ in 0..5 {
                sleep(SILENCE - Duration::from_secs(1)).await;
                other.write_all(&[b'x'; 100]).await.unwrap();
            }
            last_words
        });
        socket.write_all(b"431").await.unwrap();
        assert_eq!(close(&mut socket).await, 5 * (SILENCE - Duration::from_secs(1)));
        assert_eq!(sender.await.unwrap(), "431", "it reads that before it has sent all");
    }

    #[tokio::test(start_paused = true)]
    async fn waits_no_longer_than_it_may_whatever_comes() {
        let (mut silent, _other) = socket().await;
        assert_eq!(close(&mut silent).await, SILENCE);

        for pause in [Duration::from_millis(1), SILENCE - Duration::from_secs(1)] {
            let (mut socket, mut other) = socket().await;
            let sender = tokio::spawn(async move {
                while other.write_all(&[b'x'; 64]).await.is_ok() {
                    sleep(pause).await;
                }
            });
            assert_eq!(close(&mut socket).await, LINGER_FOR, "{pause:?}");
            assert_eq!(close(&mut socket).await, Duration::ZERO, "once");
            drop(socket);
            sender.await.unwrap();
        }
    }

    #[tokio::test(start_paused = true)]
    async fn waits_little_behind_a_whole_message_and_not_at_all_when_idle() {
        let second = Duration::from_secs(1);
        for (idle, wait) in [(0, second), (400, second * 6 / 10), (3000, Duration::ZERO)] {
            let (mut socket, _other) = socket().await;
            socket.state = Arc::new(ConnectionState::new());
            socket.state.note_begun();
            socket.state.note_ended();
            sleep(Duration::from_millis(idle)).await;
            assert_eq!(close(&mut socket).await, wait, "{idle}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn stops_in_time_although_something_can_always_be_read() {
        let (mut socket, mut other) = socket().await;
        tokio::spawn(async move { while other.write_all(&[b'x'; 64]).await.is_ok() {} });
        let began_at = Instant::now();
        let closed = tokio::join!(socket.shutdown(), async {
            while began_at.elapsed() < LINGER_FOR {
                tokio::time::advance(Duration::from_secs(1)).await;
            }
        });
        closed.0.unwrap();
        assert_eq!(began_at.elapsed(), LINGER_FOR);
    }

    #[tokio::test(start_paused = true)]
    async fn does_not_wait_if_the_other_end_is_gone_or_has_another_protocol() {
        let (mut gone, other) = socket().await;
        drop(other);
        assert_eq!(gone.read(&mut [0]).await.unwrap(), 0);
        assert_eq!(close(&mut gone).await, Duration::ZERO);

        let (mut upgraded, mut other) = socket().await;
        upgraded.state.hand_over();
        assert_eq!(close(&mut upgraded).await, Duration::ZERO);
        other.write_all(b"hello").await.unwrap();
        let mut read = [0; 5];
        upgraded.read_exact(&mut read).await.unwrap();
        assert_eq!(&read, b"hello", "one direction is not the other");
    }

    #[tokio::test]
    async fn is_untouched_until_a_byte_has_come() {
        let (mut socket, other) = socket().await;
        drop(other);
        assert_eq!(socket.read(&mut [0]).await.unwrap(), 0);
        assert!(socket.is_untouched());
        let (mut socket, mut other) = self::socket().await;
        other.write_all(b"x").await.unwrap();
        socket.read_u8().await.unwrap();
        assert!(!socket.is_untouched());
    }
}
