//! The file as it is written: every key, its bounds, its default, and why that default.
//!
//! One file a table. The documentation of a key is what editors show for it, so it speaks to the
//! operator. What may be left out without a default is an `Option`; what must not be left out is
//! one, too, because the check reports it together with everything else.

mod account;
mod admin;
mod auth;
mod batch;
mod cache;
mod limit;
mod log;
mod server;
mod upstream;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::table::Table;

pub(crate) use self::{
    account::Account,
    admin::Admin,
    auth::{Auth, Key, Scope},
    batch::Batch,
    cache::Cache,
    limit::Limit,
    log::Log,
    server::Server,
    upstream::Upstream,
};

/// The configuration of vingate.
#[derive(Clone, Debug, Default, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "vingate", extend("required" = ["upstream"]))]
pub(crate) struct File {
    /// The listener for callers, and what a connection may take.
    pub(crate) server: Table<Server>,
    /// The listener for operators: metrics, health, readiness, purge.
    pub(crate) admin: Table<Admin>,
    /// Where Sync is, and how it is called.
    pub(crate) upstream: Table<Upstream>,
    /// The accounts at Sync. None: the caller's own credential goes upstream.
    pub(crate) account: Vec<Table<Account>>,
    /// The tokens that callers show.
    pub(crate) auth: Table<Auth>,
    /// The batch endpoint.
    pub(crate) batch: Table<Batch>,
    /// The cache of vehicles.
    pub(crate) cache: Table<Cache>,
    /// How much of the gateway one moment, one client or one request may take.
    pub(crate) limit: Table<Limit>,
    /// What is logged.
    pub(crate) log: Table<Log>,
}
