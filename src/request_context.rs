//! What is known of a request besides what it says.

use std::sync::Arc;

use http::Extensions;
use tokio::time::Instant;

use crate::{
    client::Client, connection_memory::ConnectionMemory, peer::Peer, request_id::RequestId,
    route::Route, trace::RequestTrace,
};

/// The extension of a request that everybody reads. It is one, because each more is an allocation,
/// and each look-up a hash.
#[derive(Clone)]
pub struct RequestContext {
    /// Where it comes from.
    pub peer: Option<Peer>,
    /// What was seen of its connection before.
    pub(crate) memory: Option<Arc<ConnectionMemory>>,
    /// How many headers its client sent: one may have come to them, its ID.
    pub headers: usize,
    /// What it is called by.
    pub id: Option<RequestId>,
    /// Which endpoint it is for.
    pub route: Route,
    /// When its head was read.
    pub began_at: Option<Instant>,
    /// Who it counts against.
    pub client: Option<Client>,
    /// What is noted of it.
    pub trace: RequestTrace,
    /// How many vehicles it asks for, if it is forwarded as a whole; 0: it is no batch.
    pub vehicles: usize,
}

impl RequestContext {
    /// Of a request that nobody has looked at.
    const NOTHING: Self = Self {
        peer: None,
        memory: None,
        headers: 0,
        id: None,
        route: Route::Other,
        began_at: None,
        client: None,
        trace: RequestTrace::NOTHING,
        vehicles: 0,
    };

    /// That of a request with these extensions.
    pub fn of(extensions: &Extensions) -> &Self {
        static NOTHING: RequestContext = RequestContext::NOTHING;
        extensions.get().unwrap_or(&NOTHING)
    }

    /// The same, to add what is found out.
    pub fn of_mut(extensions: &mut Extensions) -> &mut Self {
        extensions.get_or_insert_default()
    }

    #[cfg(test)]
    pub(crate) fn of_route(route: Route) -> Self {
        Self { route, ..Self::default() }
    }
}

impl Default for RequestContext {
    fn default() -> Self {
        Self::NOTHING
    }
}

impl std::fmt::Debug for RequestContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RequestContext")
            .field("id", &self.id)
            .field("route", &self.route)
            .finish_non_exhaustive()
    }
}
