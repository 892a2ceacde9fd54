//! What connections die of.

use std::{
    error::Error,
    io,
    time::{SystemTime, UNIX_EPOCH},
};

use prometheus::{IntCounter, IntCounterVec, IntGaugeVec, Opts, Registry};
use tracing::debug;

use super::io::Unagreed;

/// The counters of a listener's connections: a handle, cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    errors: [IntCounter; Reason::ALL.len()],
    /// Without labels, but only with a value if there is a certificate.
    certificate_expires_at: IntGaugeVec,
}

/// Why a connection did not end well; the label of `vingate_http_connection_errors_total`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// What came is not HTTP.
    Malformed,
    /// The head of a request is larger than allowed.
    HeadTooLarge,
    /// The head of a request did not come in time.
    HeaderTimeout,
    /// The answer was not taken in time.
    WriteTimeout,
    /// The other end went away in the middle of a request or an answer.
    Incomplete,
    /// Our own answer broke off.
    Answer,
    /// The other end broke the rules of HTTP/2, or refused ours.
    Http2,
    /// No TLS came to be, or it broke.
    Tls,
    /// The socket failed.
    Io,
    /// It was closed without a request in flight, because others waited to get in.
    Evicted,
    /// It was cut, because it had not ended when the time to drain had.
    Drain,
    /// A connection could not be accepted.
    Accept,
    /// Anything else.
    Other,
}

// === impl Metrics ===

impl Metrics {
    /// Counters that `registry` knows. Fails if it knows some of that name already.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let (metrics, family) = Self::new()?;
        registry.register(Box::new(family))?;
        registry.register(Box::new(metrics.certificate_expires_at.clone()))?;
        Ok(metrics)
    }

    /// Counters that nobody reads, for listeners beside the main one.
    pub fn unregistered() -> prometheus::Result<Self> {
        Ok(Self::new()?.0)
    }

    fn new() -> prometheus::Result<(Self, IntCounterVec)> {
        let opts = Opts::new(
            "vingate_http_connection_errors_total",
            "Connections of callers that did not end well, by reason.",
        );
        let family = IntCounterVec::new(opts, &["reason"])?;
        let errors = Reason::ALL.map(|reason| family.with_label_values(&[reason.as_str()]));
        let opts = Opts::new(
            "vingate_http_certificate_expiry_timestamp_seconds",
            "When the first certificate of the listener's chain ceases to be valid.",
        );
        let certificate_expires_at = IntGaugeVec::new(opts, &[])?;
        Ok((Self { errors, certificate_expires_at }, family))
    }

    /// Counts and notes an end. The line carries nothing that the other end has sent.
    pub(super) fn note(&self, reason: Reason) {
        self.errors[reason as usize].inc();
        debug!(reason = reason.as_str(), "a connection did not end well");
    }

    /// The listener's certificate, from now on, is one that is valid until then.
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
        self.errors[reason as usize].get()
    }
}

// === impl Reason ===

impl Reason {
    pub(super) const ALL: [Self; 13] = [
        Self::Malformed,
        Self::HeadTooLarge,
        Self::HeaderTimeout,
        Self::WriteTimeout,
        Self::Incomplete,
        Self::Answer,
        Self::Http2,
        Self::Tls,
        Self::Io,
        Self::Evicted,
        Self::Drain,
        Self::Accept,
        Self::Other,
    ];

    /// The metric label.
    fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::HeadTooLarge => "head_too_large",
            Self::HeaderTimeout => "header_timeout",
            Self::WriteTimeout => "write_timeout",
            Self::Incomplete => "incomplete",
            Self::Answer => "answer",
            Self::Http2 => "http2",
            Self::Tls => "tls",
            Self::Io => "io",
            Self::Evicted => "evicted",
            Self::Drain => "drain",
            Self::Accept => "accept",
            Self::Other => "other",
        }
    }

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
            _ if hyper.is_user() => Self::Answer,
            Some(reason) => reason,
            None if http2 => Self::Http2,
            None => Self::Other,
        }
    }

    fn of_io(error: &io::Error) -> Self {
        match error.get_ref() {
            Some(inner) if inner.is::<rustls::Error>() => Self::Tls,
            Some(inner) if inner.is::<Unagreed>() => Self::Malformed,
            _ => Self::Io,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indexes_its_reasons_and_names_each_once() {
        let names: std::collections::HashSet<_> = Reason::ALL.map(Reason::as_str).into();
        assert_eq!(names.len(), Reason::ALL.len());
        for (index, reason) in Reason::ALL.into_iter().enumerate() {
            assert_eq!(reason as usize, index);
        }
    }

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
