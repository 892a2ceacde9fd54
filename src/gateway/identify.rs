//! Which client a request counts against.

use std::convert::Infallible;

use http::Request;

use crate::{
    auth::Principal,
    body::Body,
    client::Client,
    request_context::RequestContext,
    rule::{Pass, Rule},
};

/// Finds out the [`Client`] of a request: the issuer and subject of its token, else the address that
/// it comes from. The connection remembers it, and so does what is noted of the request.
#[derive(Debug)]
pub(super) struct Identify;

impl Rule for Identify {
    type Error = Infallible;

    fn check(&self, request: &mut Request<Body>) -> Result<Pass<Infallible>, Infallible> {
        let extensions = request.extensions_mut();
        let named = extensions.get().and_then(Principal::client_id);
        let context = RequestContext::of_mut(extensions);
        let at = || context.peer.as_ref().map(Client::at);
        context.client = named.map(Client::named).or_else(at);
        if let Some(client) = context.client {
            if let Some(memory) = &context.memory {
                memory.note_client(client.hash());
            }
            context.trace.note_client(client);
        }
        Ok(Pass::Now)
    }
}
