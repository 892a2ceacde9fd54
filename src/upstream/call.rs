//! What a call is, and on whose behalf it is made.

use std::fmt;

use http::Request;

use crate::{body::Body, route::Route, trace};

/// A call to Sync, which takes a [`Permit`](super::Permit) to be sent.
///
/// The request's URI is in origin form, and its headers are final but for `Host`.
#[derive(Debug)]
pub struct Call {
    /// Which endpoint it goes to.
    pub route: Route,
    /// What is sent. Boxed, because it goes through many futures.
    pub request: Box<Request<Body>>,
    /// How many vehicles a batch call asks for that can be made in parts; 0: it is another one.
    pub vehicles: usize,
    /// What the spans of its attempts are children of.
    pub span: trace::Parent,
}

/// So many vehicles are few: a call of them is not too large for Sync.
pub const FEW_VEHICLES: usize = 25;

/// What is asked for before a call is made.
#[derive(Clone, Copy, Debug)]
pub struct Reservation {
    /// Who sets the pace of the call.
    pub kind: Kind,
    /// The credential that it carries; calls without one are an account of their own.
    pub account: Option<Account>,
    /// Who is waiting for it; calls without one are a client of their own.
    pub client: Option<ClientId>,
    /// How many vehicles a batch call will ask for, about; 0: it is another one.
    pub vehicles: usize,
    /// Bytes that are held for it while it waits.
    pub bytes: usize,
}

/// Who sets the pace of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The gateway: all of the request is buffered.
    Buffered,
    /// The client: the request's body is still coming, or the call becomes a tunnel.
    Streaming,
}

impl Reservation {
    /// Of nobody, for a call that holds nothing.
    pub const fn of(kind: Kind) -> Self {
        Self { kind, account: None, client: None, vehicles: 0, bytes: 0 }
    }
}

impl Kind {
    pub(super) const ALL: [Self; 2] = [Self::Buffered, Self::Streaming];
}

/// A digest of the credential that a call carries.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Account(pub [u8; 32]);

/// Who calls are shared out between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientId(pub u128);

impl Call {
    /// A call that is no batch call.
    pub fn new(route: Route, request: impl Into<Box<Request<Body>>>) -> Self {
        let request = request.into();
        Self { route, request, vehicles: 0, span: trace::Parent::default() }
    }

    /// Whether it is a batch call that can be made in parts.
    pub(super) fn is_divisible(&self) -> bool {
        self.vehicles > FEW_VEHICLES
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Account")
    }
}
