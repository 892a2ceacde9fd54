//! Which client a request counts against.

use std::convert::Infallible;

use http::Request;

use crate::{
    auth::Principal,
    body::Body,
    connection_memory::ConnectionMemory,
    limit::Client,
    peer::Peer,
    rule::{Pass, Rule},
    trace::RequestTrace,
};

/// Puts the [`Client`] into the extensions of a request: the issuer and subject of its token, else
/// the address that it comes from. The connection remembers it, and so does what is noted of the
/// request.
#[derive(Debug)]
pub(super) struct Identify;

impl Rule for Identify {
    type Error = Infallible;

    fn check(&self, request: &mut Request<Body>) -> Result<Pass<Infallible>, Infallible> {
        let extensions = request.extensions_mut();
        let named = extensions
            .get::<Principal>()
            .and_then(Principal::client_id)
            .map(Client::named);
        let at = || extensions.get::<Peer>().map(Client::at);
        if let Some(client) = named.or_else(at) {
            if let Some(memory) = ConnectionMemory::of(extensions) {
                memory.note_client(client.hash());
            }
            if let Some(trace) = extensions.get::<RequestTrace>()
                && let Some(peer) = extensions.get::<Peer>()
            {
                trace.note_client(peer.client, client.hash());
            }
            extensions.insert(client);
        }
        Ok(Pass::Now)
    }
}
