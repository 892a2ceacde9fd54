//! What the gateway promises of speed, memory and steadiness, measured over real sockets.
//!
//! The gateway is the program itself in a process of its own, so that its CPU time and its memory
//! are its own. What takes long is ignored by default; to see the figures:
//!
//! ```text
//! cargo test --release --test load -- --ignored --nocapture --test-threads 1 [NAME]
//! ```
//!
//! Figures are printed, never asserted: they are the machine's as much as the program's. Whether
//! answers are right and memory keeps within its bounds is asserted, in short versions of the same
//! that always run too; and that something was measured at all.
#![allow(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

mod connection;
mod failure;
mod figures;
mod follower;
mod issuer;
mod keyserver;
mod memory;
mod process;
mod restart;
mod revalidation;
mod rotation;
mod slow;
mod soak;
#[path = "../support/mod.rs"]
mod support;
mod swap;
