//! The request path: its order is in `stack.rs`, one line a layer, each with its reason.
//!
//! Here is also the only place that knows what a caller sees of an error (`error.rs`).

mod dispatch;
mod edge;
mod error;
pub(crate) mod fuzzing;
mod identify;
mod peer;
mod problem;
mod refused;
mod respond;
mod route;
mod stack;

use ipnet::IpNet;

pub use self::{
    dispatch::{Batch, Undocumented, undocumented},
    error::Error,
    stack::{Gateway, Parts, stack},
};

/// What the edge of the request path needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Bytes of a request target.
    pub max_uri: usize,
    /// Fields of a request head.
    pub max_fields: usize,
    /// Peers whose `Forwarded` and `X-Forwarded-For` fields are believed.
    pub trusted_proxies: Vec<IpNet>,
}
