//! `[limit]`: how much of the gateway one moment, one client or one request may take.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{
    number::Whole,
    table::Table,
    units::{GIB, MIB, Size},
};

/// How much of the gateway one moment, one client or one request may take.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Limit {
    /// Client requests at once; above: 503. One client: a quarter of it. Most are answered from
    /// the cache within a millisecond, so this many mean that something is stuck.
    pub(crate) max_in_flight: Whole<1, 1_000_000>,
    /// Bytes of a request body that is buffered: batches, vehicle writes, GET bodies of unknown
    /// length. Streams are unbounded. Sixteen times what a batch of 10,000 vehicles takes.
    pub(crate) max_body: Size<1, GIB>,
    /// Requests a second, for each client. Absent: no limit.
    pub(crate) rate: Option<Table<Rate>>,
}

/// Requests a second, for each client: by issuer and subject, else by peer address.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Rate {
    /// In the long run: more than an application that batches ever needs.
    pub(crate) requests_per_second: Whole<1, 1_000_000_000>,
    /// At once: two seconds' worth.
    pub(crate) burst: Whole<1, 1_000_000_000>,
}

// === impl Limit ===

impl Default for Limit {
    fn default() -> Self {
        Self { max_in_flight: Whole(2048), max_body: Size(8 * MIB), rate: None }
    }
}

// === impl Rate ===

impl Default for Rate {
    fn default() -> Self {
        Self { requests_per_second: Whole(50), burst: Whole(100) }
    }
}
