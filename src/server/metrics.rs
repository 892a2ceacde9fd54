//! Why connections fail.

use std::{
    error::Error,
    io,
    time::{SystemTime, UNIX_EPOCH},
};

use prometheus::{IntCounter, IntGaugeVec, Registry, register_int_gauge_vec_with_registry};
use tracing::debug;

use super::negotiated::NotNegotiated;
use crate::labels::labels;

/// The counters of a listener's connections: a handle, cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    errors: [IntCounter; Reason::ALL.len()],
    /// Without labels, and without a value unless there is a certificate.
    certificate_expires_at: IntGaugeVec,
}

labels! {
    /// Why a connection failed; the label of `vingate_http_connection_errors_total`.
    pub(super) enum Reason {
        Malformed = "malformed",
        HeadTooLarge = "head_too_large",
        HeaderTimeout = "header_timeout",
        WriteTimeout = "write_timeout",
        /// The other end went away in the middle of a request or a response.
        Incomplete = "incomplete",
        /// The body of our own response failed.
        Response = "response",
        /// The other end broke the rules of HTTP/2, or refused ours.
        Http2 = "http2",
        /// The TLS handshake failed, or TLS broke later.
        Tls = "tls",
        Io = "io",
        /// It was closed without a request in flight, because others waited.
        Evicted = "evicted",
        /// It was cut at the end of the drain.
        Drain = "drain",
        Accept = "accept",
        Other = "other",
    }
}

impl Metrics {
    /// Counters that `registry` knows. Fails if it knows some of that name already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let errors = Reason::counters(
            registry,
            "vingate_http_connection_errors_total",
            "reason",
            "Client connections that failed, by reason",
        )?;
        let certificate_expires_at = register_int_gauge_vec_with_registry!(
            "vingate_http_certificate_expiry_timestamp_seconds",
            "Expiry of the first certificate of the listener's chain to expire, in seconds since 1970",
            &[],
            registry
        )?;
        Ok(Self { errors, certificate_expires_at })
    }

    /// Counters that are not shown, for listeners other than the public one.
    pub fn unregistered() -> prometheus::Result<Self> {
        Self::register(&Registry::new())
    }

    /// Counts and logs a failure. The line carries nothing that the other end has sent.
    pub(super) fn note(&self, reason: Reason) {
        self.errors[reason].inc();
        debug!(reason = reason.as_str(), "connection failed");
    }

    pub(super) fn certificate_expires(&self, at: SystemTime) {
        let seconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        self.certificate_expires_at
            .with_label_values::<&str>(&[])
            .set(seconds.try_into().unwrap_or(i64::MAX));
    }

    #[cfg(test)]
    pub(super) fn certificate_expires_at(&self) -> i64 {
        self.certificate_expires_at
            .with_label_values::<&str>(&[])
            .get()
    }

    #[cfg(test)]
    pub(super) fn count(&self, reason: Reason) -> u64 {
        self.errors[reason].get()
    }
}

impl Reason {
    /// What hyper's `error` means.
    pub(super) fn of(error: &(dyn Error + 'static), http2: bool) -> Self {
        let Some(hyper) = error.downcast_ref::<hyper::Error>() else {
            return error.downcast_ref().map_or(Self::Other, Self::of_io);
        };
        let io = match hyper.source().and_then(|source| source.downcast_ref()) {
            Some(error) => Some(Self::of_io(error)),
            None => hyper.is_shutdown().then_some(Self::Io),
        };
        match io {
            _ if hyper.is_parse_too_large() => Self::HeadTooLarge,
            _ if hyper.is_parse() => Self::Malformed,
            _ if hyper.is_incomplete_message() => Self::Incomplete,
            _ if hyper.is_user() => Self::Response,
            Some(reason) => reason,
            None if http2 => Self::Http2,
            None => Self::Other,
        }
    }

    fn of_io(error: &io::Error) -> Self {
        match error.get_ref() {
            Some(inner) if inner.is::<rustls::Error>() => Self::Tls,
            Some(inner) if inner.is::<NotNegotiated>() => Self::Malformed,
            _ => Self::Io,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_every_reason_from_the_start() {
        let registry = Registry::new();
        let metrics = Metrics::register(&registry).unwrap();
        metrics.note(Reason::Io);
        let families = registry.gather();
        assert_eq!(families.len(), 1);
        assert_eq!(families[0].get_metric().len(), Reason::ALL.len());
        assert_eq!((metrics.count(Reason::Io), metrics.count(Reason::Http2)), (1, 0));
        assert!(Metrics::register(&registry).is_err(), "names are taken once");
    }
}
