//! Requests that find the queue for calls full: it is not a limit of this room, but whoever runs the
//! gateway looks for them here.

use std::sync::Arc;

use super::{Metrics, metrics::Reason, refused_clients::RefusedClients};
use crate::request_context::RequestContext;

/// Counts and logs them: a handle, cheap to clone.
#[derive(Clone, Debug)]
pub struct QueueRefusals(Arc<(Metrics, RefusedClients)>);

impl QueueRefusals {
    /// With none yet.
    pub fn new(metrics: Metrics) -> Self {
        Self(Arc::new((metrics, RefusedClients::default())))
    }

    /// A request with this context found the queue full.
    pub fn note(&self, context: &RequestContext) {
        let (metrics, refused) = &*self.0;
        metrics.refused(Reason::Queue);
        if let Some(client) = context.client {
            refused.note(Reason::Queue, client, context.peer.as_ref());
        }
    }
}
