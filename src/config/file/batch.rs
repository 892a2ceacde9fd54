//! `[batch]`: the batch endpoint.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::number::Whole;

/// The batch endpoint.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Batch {
    /// Vehicles in one client request; above: 413. A large fleet, 20 calls at most.
    pub(crate) max_vehicles: Whole<1, 1_000_000>,
    /// Vehicles in one upstream call. Sync takes 500, and fewer calls are kinder to it.
    pub(crate) chunk: Whole<1, 500>,
    /// Upstream calls at once for one client request: one large batch shall not take all of
    /// upstream.max_in_flight.
    pub(crate) max_parallel: Whole<1, 1_000>,
}

// === impl Batch ===

impl Default for Batch {
    fn default() -> Self {
        Self { max_vehicles: Whole(10_000), chunk: Whole(500), max_parallel: Whole(4) }
    }
}
