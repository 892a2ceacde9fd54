//! Several gateways in front of one sandbox, tied together by a real `redis-server`.
//!
//! Each test starts a server of its own on a free port. Where there is none, nothing of this can
//! be tried, and a line says so.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod acknowledgements;
#[path = "../../src/server/tls/testing.rs"]
#[allow(dead_code, reason = "the program's own tests use the rest")]
mod certificates;
mod coherence;
mod cutting_proxy;
mod demo;
mod failures;
mod histories;
mod leases;
mod parts;
mod redis_server;
mod restart;
#[path = "../support/mod.rs"]
mod support;
mod tls;
mod values;
