//! The log of who is refused and why.

use std::{fmt, net::IpAddr};

use http::Request;
use tracing::{field::display, info};

use super::{Error, Principal, TokenError};
use crate::{
    body::Body,
    client::Client,
    refusal_log::{Kind, RefusalLog},
    request_context::RequestContext,
};

/// Logs refusals, at the log's default level.
#[derive(Debug, Default)]
pub(super) struct RefusedLog(RefusalLog<Reason, (Option<IpAddr>, Option<Client>)>);

/// An [`Error`] without what differs from request to request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Reason {
    Missing,
    Token(TokenError),
    Scope,
    NoAccount,
}

impl RefusedLog {
    /// `request` was refused. Whoever showed a good token is named.
    pub(super) fn note(&self, error: &Error, request: &Request<Body>) {
        let extensions = request.extensions();
        let address = RequestContext::of(extensions).peer.map(|peer| peer.client);
        let named = extensions.get().and_then(Principal::client_id);
        let client = (address, named.map(Client::named));
        for (Kind { reason, client }, count) in self.0.note(Reason::of(error), Some(client)) {
            let (address, named) = client.unwrap_or_default();
            let client = address.map(display);
            let client_id = named.map(|named| named.to_string());
            info!(reason = reason.as_str(), client, client_id, count, "{reason}");
        }
    }
}

impl Reason {
    fn of(error: &Error) -> Self {
        match error {
            Error::Missing => Self::Missing,
            Error::Token(reason) => Self::Token(*reason),
            Error::Scope { .. } => Self::Scope,
            Error::NoAccount => Self::NoAccount,
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Token(reason) => reason.as_str(),
            Self::Scope => "scope",
            Self::NoAccount => "no_account",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing => f.write_str("request refused: it has no bearer token"),
            Self::Token(reason) => write!(f, "token refused: {reason}"),
            Self::Scope => f.write_str("request refused: the token lacks a scope"),
            Self::NoAccount => f.write_str("request refused: no account for the token's subject"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{
        super::{Identity, testing::log},
        *,
    };
    use crate::peer::Peer;

    fn request(from: &str, subject: Option<&str>) -> Request<Body> {
        let mut request = Request::new(Body::empty());
        let peer = Peer::new(from.parse().unwrap(), false);
        RequestContext::of_mut(request.extensions_mut()).peer = Some(peer);
        if let Some(subject) = subject {
            let identity = Identity::new("https://house.example", subject, true, false);
            let principal = Principal::Subject(Arc::new(identity));
            request.extensions_mut().insert(principal);
        }
        request
    }

    #[test]
    fn whoever_is_refused_is_in_the_log_once_with_the_reason() {
        let missing = || Error::Missing;
        let expired = || Error::Token(TokenError::Expired);
        let scope = || Error::Scope { needed: "v:w".into() };
        let no_account = || Error::NoAccount;
        for (error, subject, reason, message) in [
            (missing as fn() -> Error, None, "missing", "request refused: it has no bearer token"),
            (expired, None, "expired", "token refused: exp has passed"),
            (scope, Some("ann"), "scope", "request refused: the token lacks a scope"),
            (no_account, Some("ann"), "no_account", "request refused: no account for the token"),
        ] {
            let refusals = RefusedLog::default();
            let (log, _guard) = log();
            for from in ["192.0.2.7:1", "192.0.2.7:2", "192.0.2.8:1"] {
                refusals.note(&error(), &request(from, subject));
            }
            let text = log.text();
            assert_eq!(text.lines().count(), 2, "a line for each client: {text}");
            for (line, client) in text.lines().zip(["192.0.2.7", "192.0.2.8"]) {
                assert!(line.contains(message), "{line}");
                assert!(line.contains(&format!("reason=\"{reason}\" client={client} ")), "{line}");
                assert_eq!(line.contains("client_id"), subject.is_some(), "{line}");
                assert!(!line.contains("ann") && !line.contains("house"), "{line}");
            }
        }
    }

    #[test]
    fn subjects_behind_one_address_are_told_apart() {
        let refusals = RefusedLog::default();
        let (log, _guard) = log();
        for subject in ["ann", "bob", "ann"] {
            refusals.note(&Error::NoAccount, &request("192.0.2.7:1", Some(subject)));
        }
        assert_eq!(log.text().lines().count(), 2);
    }
}
