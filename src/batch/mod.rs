//! The batch endpoint: many vehicles asked for at once.

mod asked;
mod elements;
mod error;
mod split;

/// What the `[batch]` table says, with the limit on one answer of the upstream.
#[derive(Clone, Debug)]
pub struct Config {
    /// Vehicles in one client request.
    pub max_vehicles: usize,
    /// Vehicles in one upstream call, never above 500.
    pub chunk: usize,
    /// Upstream calls at once for one client request.
    pub max_parallel: usize,
    /// Bytes of one upstream answer.
    pub max_answer: usize,
}

pub use self::{asked::Asked, elements::Elements, error::*, split::balanced};
