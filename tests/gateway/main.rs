//! The third ring: a real gateway on a free port, the sandbox as its upstream, a real client.
//!
//! One binary, one module a subject. Tests wait for what they need to have happened, never for
//! time to pass.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod accounts;
mod admin;
mod batch;
mod breaker;
mod cache;
mod commands;
mod cors;
mod drain;
mod fleet;
mod flights;
mod forward;
mod jwks;
mod limits;
mod openapi;
mod page;
mod pauses;
mod permits;
mod readme;
mod reload;
mod remote;
mod retries;
mod service_manager;
mod snapshot;
#[path = "../support/mod.rs"]
mod support;
mod tls;
mod tokens;
mod traces;
mod waiting;
mod watched;
mod writes;
