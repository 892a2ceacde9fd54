//! The admin listener: for operators and their tools.
//!
//! * `GET /metrics` – Prometheus text
//! * `GET /healthz` – 200 while the process runs
//! * `GET /readyz` – 200 when it can serve; else 503 with the reasons as JSON
//! * `POST /cache/purge` – drops the entries that match every member of
//!   `{"account"?, "vin"?, "plate"?}`; responds with `{"purged": N}`; `{}` drops everything
//! * `POST /explain` – what is known of the vehicle of `{"vin", "plate", "account"?}`, never its
//!   results
//! * `GET /config` – the effective configuration, without its secrets
//! * `GET /` – a page for people, live
//! * `GET /status` – its figures, with those of the last 15 minutes, and the last minute in rates
//! * `GET /openapi.json` – the description of the public listener
//!
//! All but the first three need `admin.token` if there is one. Without it, a foreign page in a
//! browser still cannot use them: a `Host` that is neither an address nor `localhost` nor in
//! `admin.hosts` is misdirected (421), no response carries a CORS field, and a purge is JSON, which
//! no form can send.

mod cache_purge;
mod explanation;
mod figures;
mod guard;
mod history;
mod json_body;
mod last_minute;
mod page;
mod readiness;
mod responses;
mod service;
mod words;

#[cfg(test)]
mod tests;

use secrecy::SecretString;

pub use self::{
    cache_purge::Accounts,
    history::History,
    readiness::{Latch, Readiness},
    service::{Admin, Parts},
};

/// What the `[admin]` table says of clients.
#[derive(Debug)]
pub struct Config {
    /// The bearer token of all but `/metrics`, `/healthz` and `/readyz`.
    pub token: Option<SecretString>,
    /// Names of this listener, besides addresses and `localhost`.
    pub hosts: Vec<String>,
}
