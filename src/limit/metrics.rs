//! What the limits refuse: counted, and logged by client, so that it is known whom to speak with.

use std::{net::IpAddr, sync::Arc};

use prometheus::{IntCounter, Registry};
use tracing::{field::display, info};

use crate::{
    client::Client,
    labels::labels,
    peer::Peer,
    refusal_log::{Kind, RefusalLog},
};

/// Counts what the limits refuse, and logs to whom: a handle, cheap to clone.
#[derive(Clone, Debug)]
pub struct Metrics {
    refusals: [IntCounter; Reason::ALL.len()],
    log: Arc<RefusalLog<Reason, (Client, Option<IpAddr>)>>,
}

labels! {
    /// Why a request is refused; the label of `vingate_limit_refusals_total`.
    #[derive(Hash)]
    pub(super) enum Reason {
        InFlight = "in_flight",
        ClientInFlight = "client_in_flight",
        Rate = "rate",
        Queue = "queue",
    }
}

impl Metrics {
    /// Registers the metrics of the limits.
    pub fn register(registry: &Registry) -> prometheus::Result<Self> {
        let (name, help) = ("vingate_limit_refusals_total", "Requests refused for their quantity");
        let refusals = Reason::counters(registry, name, "reason", help)?;
        Ok(Self { refusals, log: Arc::default() })
    }

    /// A request was refused, whoever sent it.
    pub(super) fn refused(&self, reason: Reason) {
        self.refusals[reason].inc();
    }

    /// A request of `client` was refused, which came from there.
    pub(super) fn refused_client(&self, reason: Reason, client: Client, from: Option<&Peer>) {
        self.refused(reason);
        let client = (client, from.map(|peer| peer.client));
        for (Kind { reason, client }, count) in self.log.note(reason, Some(client)) {
            let client_id = client.map(|(client, _)| client.to_string());
            let client = client.and_then(|(_, address)| address).map(display);
            info!(reason = reason.as_str(), client, client_id, count, "client refused");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::atomic::{AtomicUsize, Ordering::Relaxed},
    };

    use http::Request;
    use prometheus::Registry;

    use super::*;
    use crate::{
        body::Body,
        limit::{Error, QueueRefusals, Rate, RateLimit, ReplicaCount, Share},
        request_context::RequestContext,
        rule::Rule,
    };

    /// Counts lines.
    #[derive(Clone, Default)]
    struct Lines(Arc<AtomicUsize>);

    impl io::Write for Lines {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            self.0.fetch_add(1, Relaxed);
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn request(client: u128) -> Request<Body> {
        let mut request = Request::new(Body::empty());
        let context = RequestContext::of_mut(request.extensions_mut());
        context.client = Some(Client::named(client));
        context.peer = Some(Peer::new("192.0.2.7:1".parse().unwrap(), false));
        request
    }

    #[test]
    fn a_client_above_a_limit_has_a_line_and_not_one_for_each_request() {
        let metrics = Metrics::register(&Registry::new()).unwrap();
        let one = std::num::NonZeroU32::MIN;
        let rate = Rate { requests_per_second: one, burst: one };
        let rate = RateLimit::new(Some(rate), ReplicaCount::default(), metrics.clone());
        let share = Share::new(4, metrics.clone());
        let queue = QueueRefusals::new(metrics);
        let _held = [1, 2].map(|client| share.check(&mut request(client)).ok());
        for rule in [&rate as &dyn Rule<Error = Error>, &share] {
            let lines = Lines::default();
            let writer = lines.clone();
            let log = tracing_subscriber::fmt().with_writer(move || writer.clone());
            let _guard = tracing::subscriber::set_default(log.finish());
            for client in [1, 2] {
                let refused = (0..50).filter(|_| rule.check(&mut request(client)).is_err());
                assert!(refused.count() > 40);
            }
            assert_eq!(lines.0.load(Relaxed), 2);
        }
        let lines = Lines::default();
        let writer = lines.clone();
        let log = tracing_subscriber::fmt().with_writer(move || writer.clone());
        let _guard = tracing::subscriber::set_default(log.finish());
        for nth in 0..50 {
            queue.note(RequestContext::of(request(nth % 2).extensions()));
        }
        assert_eq!(lines.0.load(Relaxed), 2, "nor has one that finds the queue full");
    }
}
