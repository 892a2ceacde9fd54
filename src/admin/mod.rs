//! The admin listener: what operators and their tools ask a running gateway.
//!
//! * `GET /metrics` – Prometheus text
//! * `GET /healthz` – 200 while the process runs
//! * `GET /readyz` – 200 when it can serve; else 503 with the reasons as JSON
//! * `POST /cache/purge` – drops what `{"account"?, "vin"?, "plate"?}` matches, all of it at once;
//!   answers `{"purged": N}`; `{}` drops everything
//! * `GET /config` – the configuration in force, without its secrets
//! * `GET /` – a page for people
//!
//! All but the first three ask for `admin.token` if there is one. A page in a browser somewhere
//! cannot reach any of it: a `Host` that is a name other than `localhost` is misdirected (421), no
//! answer carries a CORS field, and a purge is JSON, which no form can send.

mod guard;
mod page;
mod purge;
mod readiness;
mod respond;
mod service;

#[cfg(test)]
mod tests;

use secrecy::SecretString;

pub use self::{
    purge::{Purge, PurgeRequest, Purging, UnknownAccount},
    readiness::{Latch, Readiness},
    service::{Admin, Parts},
};

/// What the `[admin]` table says of those who ask.
#[derive(Debug)]
pub struct Config {
    /// The bearer token of all but `/metrics`, `/healthz` and `/readyz`.
    pub token: Option<SecretString>,
}
