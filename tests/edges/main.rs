//! What stands at the door of the gateway, held against both sides at once: what the caller got,
//! byte for byte, and what the upstream saw of it.
//!
//! Callers and upstreams here are raw sockets: no client library sends what most of these cases
//! need sent. A test waits for a connection to close or for bytes to come, never for time to
//! pass, but for the few that are about time.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod address;
mod caller;
mod closing;
mod descriptors;
mod frames;
mod http1;
mod http2;
mod misbehaviour;
mod reasons;
mod slow;
mod stuck;
#[path = "../support/mod.rs"]
mod support;
mod unread;
mod upstream;
