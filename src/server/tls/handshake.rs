//! From a socket to a TLS connection, or why not.

use std::{
    future::poll_fn,
    io,
    pin::{Pin, pin},
    task::{Context, Waker},
};

use rustls::{CertificateError, Error};
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt as _},
    select,
    time::{Instant, sleep_until},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tracing::debug;

use super::{Tls, credentials::HTTP2};
use crate::server::{
    connection_state::{Command, ConnectionState},
    metrics::Reason,
    negotiated::Negotiated,
    socket::Socket,
};

impl Tls {
    /// Shakes hands over `socket` until `deadline`, or until the server wants the connection
    /// closed.
    ///
    /// Returns the connection and the protocol to speak over it, or why there is none: `None` is
    /// no failure.
    pub(in crate::server) async fn accept<I>(
        &self,
        socket: Socket<I>,
        state: &ConnectionState,
        deadline: Instant,
    ) -> Result<(TlsStream<Socket<I>>, Negotiated), Option<Reason>>
    where
        I: AsyncRead + AsyncWrite + Unpin,
    {
        let acceptor = TlsAcceptor::from(self.current.load_full());
        let mut handshake = pin!(acceptor.accept(socket).into_fallible());
        let mut late = pin!(sleep_until(deadline));
        let failure = select! {
            biased;
            end = handshake.as_mut() => match end {
                Ok(stream) => {
                    state.note_secured();
                    let negotiated = negotiated(stream.get_ref().1.alpn_protocol());
                    return Ok((stream, negotiated));
                }
                // A probe of the port sends nothing.
                Err((_, socket)) if socket.is_untouched() => return Err(None),
                Err((error, mut socket)) => {
                    // An alert went out. It says why, so it should arrive.
                    let _ = socket.shutdown().await;
                    name(&error)
                }
            },
            command = poll_fn(|cx| state.poll_command(Command::Serve, cx)) => return Err(match command {
                Command::Cut => Some(Reason::Drain),
                Command::MakeRoom => Some(Reason::Evicted),
                Command::Close | Command::Drain | Command::Serve => None,
            }),
            () = late.as_mut() => "not in time",
        };
        debug!(failure, "TLS handshake failed");
        Err(Some(Reason::Tls))
    }
}

/// Sends a `close_notify`, unless one was sent before or the socket does not take it at once: the
/// other end can tell that nothing is missing.
pub(in crate::server) fn say_goodbye<I>(stream: Pin<&mut TlsStream<Socket<I>>>)
where
    I: AsyncRead + AsyncWrite + Unpin,
{
    let stream = stream.get_mut();
    stream.get_mut().1.send_close_notify();
    let _ = Pin::new(stream).poll_flush(&mut Context::from_waker(Waker::noop()));
}

/// HTTP/2 has to be negotiated; clients without ALPN do not speak it (RFC 9113 §3.2).
fn negotiated(protocol: Option<&[u8]>) -> Negotiated {
    match protocol {
        Some(HTTP2) => Negotiated::Http2,
        _ => Negotiated::Http1,
    }
}

/// What went wrong, in our own words: those of rustls may hold what the other end has sent.
fn name(error: &io::Error) -> &'static str {
    let Some(error) = error.get_ref().and_then(|inner| inner.downcast_ref()) else {
        return "the other end went away";
    };
    match error {
        Error::AlertReceived(alert) => alert.as_str().unwrap_or("an alert of the other end"),
        Error::InvalidCertificate(error) => certificate(error),
        Error::InvalidMessage(_) => "not TLS",
        Error::NoApplicationProtocol => "no application protocol in common",
        Error::NoCertificatesPresented => "no client certificate",
        Error::PeerIncompatible(_) => "no version or algorithm in common",
        Error::DecryptError
        | Error::InappropriateHandshakeMessage { .. }
        | Error::InappropriateMessage { .. }
        | Error::PeerMisbehaved(_)
        | Error::PeerSentOversizedRecord => "against the rules of TLS",
        _ => "another failure",
    }
}

fn certificate(error: &CertificateError) -> &'static str {
    match error {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "an expired client certificate"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "a client certificate that is not valid yet"
        }
        CertificateError::UnknownIssuer => "a client certificate of an unknown issuer",
        _ => "an invalid client certificate",
    }
}
