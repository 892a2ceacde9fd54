//! The request path: its order is in `stack.rs`, one line a layer, each with its reason.
//!
//! Here is also the only place that knows what a client sees of an error (`error.rs`).

mod cors;
mod dispatch;
mod edge;
mod error;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod identify;
mod leftover;
mod openapi;
mod problem_details;
mod respond;
mod routing;
mod stack;
mod trusted_proxies;
mod unauthorized;

use http::HeaderValue;
use ipnet::IpNet;

pub use self::{
    dispatch::{Batch, Undocumented, undocumented},
    error::Error,
    openapi::OPENAPI,
    stack::{Gateway, Parts, stack},
};

/// What the edge of the request path needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Bytes of a request target.
    pub max_uri: usize,
    /// Header fields of a request.
    pub max_fields: usize,
    /// Peers whose `Forwarded` and `X-Forwarded-*` are believed and appended to.
    pub trusted_proxies: Vec<IpNet>,
    /// Origins of browser applications, as browsers write them. None: CORS is left to the upstream.
    pub origins: Vec<HeaderValue>,
}
