//! What went wrong with a call to Sync, and the questions others ask of it.

use std::{error::Error as StdError, io, time::Duration};

use http::StatusCode;
use tower::BoxError;

use super::{
    slow_client::TooSlow,
    stall::{Closed, Stalled},
};
use crate::{body, tls::NotResolved};

/// Why a call has no response.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection could be made; nothing was sent.
    #[error("no connection to the upstream")]
    Connect(#[source] BoxError),
    /// No head of a response within the time of an attempt, or the upstream stopped taking the
    /// body before.
    #[error("no response from the upstream in time")]
    Timeout,
    /// As many calls run and wait as may, or it had to wait for too long; nothing was sent.
    #[error("too many calls to the upstream at once")]
    Full {
        /// Until those who wait have had their turn, as far as that is known.
        rest: Duration,
        /// How long this is not said, so that who does not heed it does not come again at once.
        hold: Duration,
    },
    /// The upstream has asked for no calls for a while; nothing was sent.
    #[error("the upstream asked for no calls for a while")]
    RetryAfter {
        /// The rest of it.
        rest: Duration,
    },
    /// Most of the latest calls have failed, so none is made for a while; nothing was sent.
    #[error("the upstream has failed too often")]
    Open {
        /// Until one is made again.
        rest: Duration,
    },
    /// The client sent its request so slowly that the call was cut for others.
    #[error("the request was sent too slowly")]
    SlowClient,
    /// The call went out over a connection that had been kept and that the upstream had closed.
    #[error("the upstream had closed the connection")]
    Closed(#[source] hyper::Error),
    /// The connection broke, or what came is not HTTP.
    #[error("the exchange with the upstream failed")]
    Exchange(#[source] hyper::Error),
    /// The body of the response broke off, or was malformed, right behind the head.
    #[error("the upstream's response broke off")]
    Incomplete(StatusCode, #[source] body::Error),
    /// The response has a transfer coding other than `chunked`, so nobody knows what it says.
    #[error("the upstream's response has an unknown transfer coding")]
    TransferCoding(StatusCode),
}

/// Whether such a response means that the upstream does not know the credential, or not enough of
/// it.
pub fn refuses_credential(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

impl Error {
    /// Whether the upstream has refused the credential, in a response that could not be read.
    pub fn refuses_credential(&self) -> bool {
        match self {
            Self::Incomplete(status, _) | Self::TransferCoding(status) => {
                refuses_credential(*status)
            }
            _ => false,
        }
    }

    /// Whether the same call may be tried again, if its method is safe.
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Connect(_) | Self::Closed(_) | Self::Timeout => true,
            // What cannot be read would be the same again.
            Self::Exchange(error) => !error.is_parse(),
            _ => false,
        }
    }

    /// Whether the upstream is well, and too much is asked of it.
    pub fn is_of_queue(&self) -> bool {
        matches!(self, Self::Full { .. })
    }

    /// How long the client is not told of it.
    pub fn hold(&self) -> Duration {
        match self {
            Self::Full { hold, .. } => *hold,
            _ => Duration::ZERO,
        }
    }

    /// Whether it tells that the upstream is in trouble. What its clients do to it does not.
    pub fn trips_breaker(&self) -> bool {
        match self {
            Self::Connect(_) | Self::Timeout => true,
            // A body of the client's that failed, or a response that cannot be read: that came in
            // time, and the next one may be readable.
            Self::Exchange(error) => !error.is_user() && !error.is_parse(),
            _ => false,
        }
    }

    /// Whether the upstream may have seen the call, so that nobody knows what a write did.
    pub fn was_sent(&self) -> bool {
        !matches!(self, Self::Connect(_)) && !self.is_refusal()
    }

    /// Whether no call may be made now: none was.
    fn is_refusal(&self) -> bool {
        matches!(self, Self::Full { .. } | Self::RetryAfter { .. } | Self::Open { .. })
    }

    /// Whether it is time that ran out.
    pub fn is_timeout(&self) -> bool {
        match self {
            Self::Timeout => true,
            Self::Connect(_) | Self::Exchange(_) => self.proxy_error() == "connection_timeout",
            _ => false,
        }
    }

    /// How the attempt ended, in the metrics' words; `None`: none was made.
    pub fn outcome(&self) -> Option<&'static str> {
        match self {
            Self::Connect(_) => Some("connect"),
            Self::Timeout => Some("timeout"),
            Self::SlowClient => None,
            _ => (!self.is_refusal()).then_some("exchange"),
        }
    }

    /// The error type for `Proxy-Status` (RFC 9209 section 2.3).
    pub fn proxy_error(&self) -> &'static str {
        match self {
            Self::Connect(error) => connect_error(&**error),
            Self::Timeout => "http_response_timeout",
            Self::Full { .. } => "connection_limit_reached",
            Self::RetryAfter { .. } | Self::Open { .. } => "destination_unavailable",
            Self::SlowClient => "http_request_error",
            Self::Closed(_) => "connection_terminated",
            Self::Exchange(error) => exchange_error(error),
            Self::Incomplete(..) => "http_response_incomplete",
            Self::TransferCoding(_) => "http_response_transfer_coding",
        }
    }
}

impl From<hyper::Error> for Error {
    fn from(error: hyper::Error) -> Self {
        match () {
            () if find::<Stalled>(&error).is_some() => Self::Timeout,
            () if find::<TooSlow>(&error).is_some() => Self::SlowClient,
            () if find::<Closed>(&error).is_some() => Self::Closed(error),
            () => Self::Exchange(error),
        }
    }
}

fn connect_error(error: &(dyn StdError + 'static)) -> &'static str {
    if find::<tower::timeout::error::Elapsed>(error).is_some() {
        return "connection_timeout";
    }
    if let Some(error) = find::<rustls::Error>(error) {
        return match error {
            rustls::Error::InvalidCertificate(_) => "tls_certificate_error",
            rustls::Error::AlertReceived(_) => "tls_alert_received",
            _ => "tls_protocol_error",
        };
    }
    if find::<NotResolved>(error).is_some() {
        return "dns_error";
    }
    match find::<io::Error>(error).map(io::Error::kind) {
        Some(io::ErrorKind::ConnectionRefused) => "connection_refused",
        Some(io::ErrorKind::TimedOut) => "connection_timeout",
        Some(io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof) => {
            "connection_terminated"
        }
        Some(io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => {
            "destination_ip_unroutable"
        }
        _ => "destination_unavailable",
    }
}

fn exchange_error(error: &hyper::Error) -> &'static str {
    match () {
        () if error.is_parse_too_large() => "http_response_header_section_size",
        () if error.is_parse() => "http_protocol_error",
        () if error.is_timeout() => "http_response_timeout",
        () if error.is_incomplete_message() => "http_response_incomplete",
        () => "connection_terminated",
    }
}

/// The first error of this type in the chain of sources, looked for inside `io::Error` too.
fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        next = match error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
        {
            // An `io::Error` hides the error that it wraps from `source()`.
            Some(wrapped) => Some(wrapped),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tower::ServiceExt as _;

    use super::*;
    use crate::tls;

    #[tokio::test]
    async fn a_name_without_an_address_is_told_from_a_server_that_is_down() {
        // No name in the DNS has a part of 64 characters, so that nobody is asked for it.
        let unknown = format!("http://{}.invalid/", "x".repeat(64));
        let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let closed = format!("http://{}/", nobody.local_addr().unwrap());
        drop(nobody);
        for (url, told) in [(unknown, "dns_error"), (closed, "connection_refused")] {
            let config = tls::client_config(None, false).unwrap();
            let connector = tls::connector(config, Duration::from_secs(9));
            let error = connector.oneshot(url.parse().unwrap()).await.unwrap_err();
            let error = Error::Connect(error);
            assert_eq!(error.proxy_error(), told);
            assert!(error.is_retryable() && !error.was_sent());
        }
    }
}
