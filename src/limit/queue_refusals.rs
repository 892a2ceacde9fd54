use super::{Metrics, metrics::Reason};
use crate::request_context::RequestContext;

/// Notes requests that find the queue for calls full: it is not a limit of this room, but whoever
/// runs the gateway looks for them here. A handle, cheap to clone.
#[derive(Clone, Debug)]
pub struct QueueRefusals(Metrics);

impl QueueRefusals {
    /// Notes them there.
    pub fn new(metrics: Metrics) -> Self {
        Self(metrics)
    }

    /// A request with this context found the queue full.
    pub fn note(&self, context: &RequestContext) {
        match context.client {
            Some(client) => {
                let peer = context.peer.as_ref();
                self.0.refused_client(Reason::Queue, client, peer);
            }
            None => self.0.refused(Reason::Queue),
        }
    }
}
