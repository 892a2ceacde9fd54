use std::sync::Arc;

use http::HeaderMap;

use crate::{
    trace::RequestTrace,
    upstream::{Account, ClientId, Kind, Reservation},
    vehicle_cache::{Directives, Partition},
};

/// Whose leases may share a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum QueueKey {
    /// Those that carry the same credential.
    Shared(Partition),
    /// One request's, which shares nothing.
    Private(usize),
}

/// What calls need to know of a request, and may outlive it.
#[derive(Clone, Debug)]
pub struct CallContext {
    /// Whose entries are filled; `None`: nobody's, and no call is shared.
    pub partition: Option<Partition>,
    /// The credential that the calls carry.
    pub account: Option<Account>,
    /// Who is waiting.
    pub client: Option<ClientId>,
    /// Whether the credential is an account's, not the client's own.
    pub is_account: bool,
    /// What the request allows.
    pub directives: Directives,
    /// What is noted of it.
    pub trace: RequestTrace,
    /// What the calls carry: see [`Loader::headers`](super::Loader::headers).
    pub headers: HeaderMap,
}

impl CallContext {
    /// For a call of about so many vehicles, in the turn of this client.
    pub(super) fn reservation(&self, client: Option<ClientId>, vehicles: usize) -> Reservation {
        let Self { account, .. } = *self;
        Reservation { account, client, vehicles, ..Reservation::of(Kind::Buffered) }
    }

    /// Whose turn a call for these takes; `None`: what many share is no client's own.
    pub(super) fn only_client<'a>(contexts: impl Iterator<Item = &'a Self>) -> Option<ClientId> {
        let mut clients = contexts.map(|context| context.client);
        let client = clients.next()?;
        client.filter(|_| clients.all(|other| other == client))
    }

    /// Whether calls may carry what others wait for.
    pub(super) fn is_shared(&self) -> bool {
        self.partition.is_some() && !self.directives.no_store
    }

    pub(super) fn queue_key(self: &Arc<Self>) -> QueueKey {
        match self.partition.filter(|_| self.is_shared()) {
            Some(partition) => QueueKey::Shared(partition),
            // No two contexts stand at one address, as long as the queue has this one.
            None => QueueKey::Private(Arc::as_ptr(self).addr()),
        }
    }
}
