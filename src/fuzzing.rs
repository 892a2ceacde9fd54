//! What is thrown at everything that reads bytes from outside, and what must hold whatever comes.
//!
//! One function a subject. Each takes any bytes, reads them as the gateway would, and panics if
//! the result breaks a promise: not only that nothing panics by itself, but that what was
//! accepted is what it is taken for, told from a second, slower reading of the same bytes. They
//! stand in the modules whose promises they are.
//!
//! `fuzz/` feeds them with what a fuzzer thinks up, `tests/corpus.rs` with what it found. Nothing
//! of the program calls them.

pub use crate::{
    auth::{fuzzing::token, jwks::fuzzing::jwks},
    batch::fuzzing::{batch, response},
    config::fuzzing::config,
    gateway::fuzzing::head,
    normalize::fuzzing::upsert,
    vehicle::fuzzing::vehicle,
};

/// A function that panics if some bytes make the gateway break a promise.
pub type Target = fn(&[u8]);

/// Every target by its name, which is that of its folder in `fuzz/corpus`.
pub const TARGETS: [(&str, Target); 8] = [
    ("answer", response),
    ("batch", batch),
    ("config", config),
    ("head", head),
    ("jwks", jwks),
    ("token", token),
    ("upsert", upsert),
    ("vehicle", vehicle),
];
