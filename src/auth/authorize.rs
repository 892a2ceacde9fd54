//! May they: scope and account.

use std::sync::Arc;

use http::Request;

use super::{
    Credential, CredentialFields, Error, Principal, Scopes, SyncAccount,
    accounts::{Accounts, Assigned},
    refused_log::RefusedLog,
};
use crate::{
    body::Body,
    request_context::RequestContext,
    route::Access,
    rule::{Pass, Rule},
};

/// Judges scope and account: 403, or a [`Credential`] in the request's extensions and the
/// credential's fields in its head.
#[derive(Debug)]
pub struct Authorize {
    scopes: Option<Scopes>,
    fields: CredentialFields,
    origin: String,
    /// `None`: clients bring credentials of their own.
    accounts: Option<Accounts>,
    refusals: Arc<RefusedLog>,
}

impl Authorize {
    pub(super) fn new(
        scopes: Option<Scopes>,
        accounts: Vec<SyncAccount>,
        fields: CredentialFields,
        origin: String,
        refusals: Arc<RefusedLog>,
    ) -> Self {
        let accounts = (!accounts.is_empty()).then(|| Accounts::new(accounts, &origin));
        Self { scopes, fields, origin, accounts, refusals }
    }

    fn authorize(&self, request: &Request<Body>) -> Result<Option<&Assigned>, Error> {
        // Without `Authenticate` before it this rule lets nobody pass.
        let principal = request.extensions().get().ok_or(Error::Missing)?;
        self.check_scope(principal, request)?;
        match &self.accounts {
            Some(accounts) => accounts.of(principal).map(Some).ok_or(Error::NoAccount),
            None => Ok(None),
        }
    }

    fn check_scope(&self, principal: &Principal, request: &Request<Body>) -> Result<(), Error> {
        let (Some(scopes), Principal::Subject(identity)) = (&self.scopes, principal) else {
            return Ok(());
        };
        // A request that nobody routed is judged by its method alone.
        let route = RequestContext::of(request.extensions()).route;
        let (allowed, needed) = match route.access(request.method()) {
            Access::Read => (identity.may_read, &scopes.read),
            Access::Write => (identity.may_write, &scopes.write),
        };
        if allowed { Ok(()) } else { Err(Error::Scope { needed: needed.clone() }) }
    }
}

impl Rule for Authorize {
    type Error = Error;

    fn check(&self, request: &mut Request<Body>) -> Result<Pass<Error>, Error> {
        let authorized = self.authorize(request);
        let assigned = authorized.inspect_err(|error| self.refusals.note(error, request))?;
        let headers = request.headers_mut();
        let credential = match assigned {
            Some(assigned) => {
                self.fields.remove_from(headers);
                headers.insert(&assigned.header, assigned.value.clone());
                assigned.credential
            }
            None => {
                self.fields.mark_sensitive(headers);
                Credential { digest: self.fields.digest(&self.origin, headers), is_account: false }
            }
        };
        request.extensions_mut().insert(credential);
        Ok(Pass::Now)
    }
}

#[cfg(test)]
mod tests;
