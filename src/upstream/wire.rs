//! A connection to Sync, for one exchange at a time.

mod alarm;

use std::{
    pin::Pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use futures_util::future::poll_fn;
use http::{Request, Response};
use http_body::{Body as _, Frame};
use hyper::{
    body::Incoming,
    client::conn::{
        TrySendError,
        http1::{Builder, Connection, SendRequest},
    },
};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::rt::TokioIo;
use tokio::{net::TcpStream, task::unconstrained, time::Instant};

use self::alarm::Alarm;
use super::stall::Stall;
use crate::body::Body;

/// Outwards as hyper reads and writes, and so is what it is made of.
pub(super) type Io = TokioIo<Stall<TokioIo<MaybeHttpsStream<TokioIo<TcpStream>>>>>;

/// What comes of a request. One that was not written comes back.
pub(super) type Responded = Result<Response<Incoming>, TrySendError<Request<Body>>>;

/// A connection that goes on only while it is polled.
pub(super) struct Wire {
    sender: SendRequest<Body>,
    /// `None`: it has ended.
    connection: Option<Connection<Io, Body>>,
    alarm: Alarm,
    /// Whether it has had an exchange: from then on Sync may close it at any time.
    is_used: bool,
    spare_since: Instant,
}

/// What is read from a connection at once, and the most that the head of a response may take. A
/// stream holds a few of these at a time, whatever its length.
const MAX_BUFFER: usize = 64 * 1024;

/// Headers of a response. Sync sends a dozen; what stands before it may add some.
const MAX_HEADERS: usize = 256;

impl Wire {
    /// Speaks HTTP over `io`.
    pub(super) async fn over(io: Io) -> hyper::Result<Self> {
        let mut builder = Builder::new();
        builder.max_buf_size(MAX_BUFFER).max_headers(MAX_HEADERS);
        let (sender, connection) = builder.handshake(io).await?;
        Ok(Self {
            sender,
            connection: Some(connection),
            alarm: Alarm::new(),
            is_used: false,
            spare_since: Instant::now(),
        })
    }

    /// Takes `request`, to write it when this is polled next. The response comes while it is
    /// polled, and may be asked for then: it wakes nobody by itself.
    pub(super) fn send(
        &mut self,
        request: Request<Body>,
    ) -> impl Future<Output = Responded> + use<> {
        self.is_used = true;
        let sender = &mut self.sender;
        let responding = self.alarm.mute(|| sender.try_send_request(request));
        // It may not wait for a turn of its own either.
        unconstrained(responding)
    }

    /// The next frame of a response, if it has come. If it has not, it comes while this is polled:
    /// it wakes nobody by itself.
    pub(super) fn take_frame(
        &self,
        incoming: &mut Incoming,
    ) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
        self.alarm
            .mute(|| Pin::new(incoming).poll_frame(&mut silent()))
    }

    /// Reads and writes what can be.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) {
        let Some(connection) = &mut self.connection else { return };
        let mut alarmed = self.alarm.context_for(cx);
        if Pin::new(connection).poll(&mut alarmed).is_ready() {
            // Whoever waits for it hears of its end.
            self.connection = None;
        }
    }

    /// Whether it can be used no more.
    pub(super) fn has_ended(&self) -> bool {
        self.connection.is_none() || self.sender.is_closed()
    }

    /// Whether the last exchange is over.
    pub(super) fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }

    /// Polls until the exchange is over, or the connection.
    pub(super) async fn settle(&mut self) {
        poll_fn(|cx| {
            self.poll(cx);
            match self.connection {
                Some(_) => self.sender.poll_ready(cx).map(drop),
                None => Poll::Ready(()),
            }
        })
        .await;
    }

    /// Polls to the end of a connection that may become a tunnel, in a task of its own.
    pub(super) fn run_with_upgrades(self) {
        if let Some(connection) = self.connection {
            tokio::spawn(connection.with_upgrades());
        }
    }

    /// Whether it has had an exchange.
    pub(super) fn is_used(&self) -> bool {
        self.is_used
    }

    /// Since when it has waited for an exchange.
    pub(super) fn spare_since(&self) -> Instant {
        self.spare_since
    }

    /// It waits for an exchange from now on.
    pub(super) fn become_spare(&mut self) {
        self.spare_since = Instant::now();
    }
}

/// For what is polled again whenever its connection is.
pub(super) fn silent() -> Context<'static> {
    Context::from_waker(Waker::noop())
}
