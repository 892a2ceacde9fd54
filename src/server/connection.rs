//! One connection, from its first byte to its last.

use std::{future::poll_fn, pin::pin, sync::Arc};

use futures_util::future::OptionFuture;
use hyper::upgrade::OnUpgrade;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    select,
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep_until},
};

use super::{
    Config, Service,
    connection_service::ConnectionService,
    connection_state::{Command, ConnectionState},
    io::WatchedIo,
    metrics::{Metrics, Reason},
    negotiated::Negotiated,
    phase::{Overdue, Phase, Timeouts},
    poll_turns::{Clients, PollTurns},
    socket::Socket,
    stream::Streams,
    tls::{Tls, say_goodbye},
};
use crate::peer::Peer;

/// hyper refuses to work with a smaller buffer.
const MIN_HEAD: usize = 8 * 1024;

/// Headers for which hyper needs no allocation: it is its own limit if none is set.
const HEADERS_ON_STACK: usize = 100;

const STREAM_SEND_BUFFER: usize = 64 * 1024;

/// Streams that a peer may reset before they were looked at, and streams that its errors may make
/// us reset, until the connection is closed: rapid reset (CVE-2023-44487) and its mirror image
/// (CVE-2025-8671).
const MAX_UNSEEN_RESETS: usize = 20;
const MAX_ERROR_RESETS: usize = 256;

pub(super) struct Protocols {
    builder: auto::Builder<Streams>,
    tls: Option<Tls>,
    timeouts: Timeouts,
    max_head: usize,
    clients: Clients,
    metrics: Metrics,
}

impl Protocols {
    pub(super) fn new(config: &Config, tls: Option<Tls>, metrics: Metrics) -> Self {
        let streams = Streams::new(config.write_idle_timeout, metrics.clone());
        let mut builder = auto::Builder::new(streams);
        let max_head = config.max_head.max(MIN_HEAD);
        let mut http1 = builder.http1();
        http1
            .timer(TokioTimer::new())
            // See `connection_state`.
            .header_read_timeout(None)
            .max_buf_size(max_head);
        if config.max_fields != HEADERS_ON_STACK {
            http1.max_headers(config.max_fields);
        }
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_header_list_size(u32::try_from(config.max_head).unwrap_or(u32::MAX))
            .max_concurrent_streams(config.max_streams)
            .max_send_buf_size(STREAM_SEND_BUFFER)
            .max_pending_accept_reset_streams(MAX_UNSEEN_RESETS)
            .max_local_error_reset_streams(MAX_ERROR_RESETS);
        let timeouts = Timeouts {
            header: config.header_timeout,
            idle: config.idle_timeout,
            write_idle: config.write_idle_timeout,
        };
        Self { builder, tls, timeouts, max_head, clients: Clients::new(), metrics }
    }

    /// Whether what comes is protected by TLS.
    pub(super) fn are_secure(&self) -> bool {
        self.tls.is_some()
    }

    /// Serves requests that come over `io` until it is closed by either end.
    pub(super) async fn serve<I, S: Service>(
        &self,
        io: I,
        peer: Peer,
        service: S,
        state: Arc<ConnectionState>,
        permit: OwnedSemaphorePermit,
    ) where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let socket = Socket::new(io, Arc::clone(&state), permit);
        let service = ConnectionService::new(service, peer, Arc::clone(&state));
        let reason = match &self.tls {
            None => {
                let io = self.watch(socket, &state, Negotiated::Nothing);
                self.speak(io, service, &state).await
            }
            // Boxed, so that a connection without TLS does not take the room of one with it.
            Some(tls) => Box::pin(self.secure(tls, socket, service, &state)).await,
        };
        if let Some(reason) = reason {
            self.metrics.note(reason);
        }
    }

    fn watch<I>(
        &self,
        io: I,
        state: &Arc<ConnectionState>,
        negotiated: Negotiated,
    ) -> WatchedIo<I> {
        WatchedIo::new(io, Arc::clone(state), negotiated, self.max_head)
    }

    async fn secure<I, S: Service>(
        &self,
        tls: &Tls,
        socket: Socket<I>,
        service: ConnectionService<S>,
        state: &Arc<ConnectionState>,
    ) -> Option<Reason>
    where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let deadline = state.opened_at() + self.timeouts.header;
        match tls.accept(socket, state, deadline).await {
            Ok((stream, negotiated)) => {
                let io = self.watch(stream, state, negotiated);
                self.speak(io.with_goodbye(say_goodbye), service, state)
                    .await
            }
            Err(reason) => reason,
        }
    }

    /// Speaks HTTP until either end closes. Returns why, if the connection failed.
    async fn speak<I, S: Service>(
        &self,
        io: WatchedIo<I>,
        service: ConnectionService<S>,
        state: &Arc<ConnectionState>,
    ) -> Option<Reason>
    where
        I: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let mut turns = PollTurns::new(self.clients.clone(), Arc::clone(service.memory()));
        let serving = self
            .builder
            .serve_connection_with_upgrades(TokioIo::new(io), service);
        let mut connection = pin!(serving);
        let mut closing = pin!(OptionFuture::default());
        let mut look = pin!(sleep_until(state.opened_at()));
        let mut known = Command::Serve;
        let mut closing_at = None;
        let mut is_served = false;

        loop {
            select! {
                biased;
                Some(()) = closing.as_mut() => break None,
                end = poll_fn(|cx| turns.poll(connection.as_mut(), cx)), if !is_served => match end {
                    Ok(()) => {
                        is_served = true;
                        closing.set(Some(close(state.take_upgrade())).into());
                    }
                    Err(error) => {
                        let reason = Reason::of(&*error, state.is_http2());
                        // A client may leave between two requests without waiting for our end.
                        let leaves = matches!(state.phase(), Phase::Idle(_) | Phase::Closing(_));
                        break (reason != Reason::Io || !leaves).then_some(reason);
                    }
                },
                command = poll_fn(|cx| state.poll_command(known, cx)) => match command {
                    Command::Cut => {
                        let is_closing = matches!(state.phase(), Phase::Closing(_));
                        break (!is_closing).then_some(Reason::Drain);
                    }
                    Command::MakeRoom => match state.phase() {
                        Phase::Closing(_) | Phase::Head(_) | Phase::Idle(_) => {
                            break Some(Reason::Evicted);
                        }
                        Phase::Blocked(_) | Phase::Busy => state.forget(command),
                    },
                    Command::Close | Command::Drain | Command::Serve => {
                        known = command;
                        closing_at.get_or_insert_with(Instant::now);
                        if !is_served {
                            connection.as_mut().graceful_shutdown();
                        }
                    }
                },
                () = look.as_mut() => match self.check_phase(state.phase(), closing_at) {
                    Ok(then) => look.as_mut().reset(then),
                    Err(reason) if reason.is_some() || closing_at.is_some() => break reason,
                    Err(_) => {
                        closing_at = Some(Instant::now());
                        connection.as_mut().graceful_shutdown();
                    }
                },
            }
        }
    }

    /// A connection that was told to close may use the time of a pending write to do so: over
    /// HTTP/2 the other end has to agree, and to take what is left of its responses.
    fn check_phase(&self, phase: Phase, closing_at: Option<Instant>) -> Result<Instant, Overdue> {
        let now = Instant::now();
        match (phase, closing_at) {
            (Phase::Idle(since), Some(closing_at)) => {
                let timeouts = Timeouts { idle: self.timeouts.write_idle, ..self.timeouts };
                Phase::Idle(since.max(closing_at)).check(now, &timeouts)
            }
            _ => phase.check(now, &self.timeouts),
        }
    }
}

/// Closes a connection that hyper gives back: it leaves that to whoever takes an upgrade, also if
/// nobody did.
async fn close(upgrade: Option<OnUpgrade>) {
    if let Some(upgrade) = upgrade
        && let Ok(upgraded) = upgrade.await
    {
        // The other end may be gone.
        let _ = TokioIo::new(upgraded).shutdown().await;
    }
}
