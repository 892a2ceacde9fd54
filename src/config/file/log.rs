//! `[log]`: what is logged.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tracing::Level;

use crate::{
    config::choice::OneOf,
    telemetry::{Access, Format},
};

/// What is logged.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Log {
    /// How lines look: "json" for machines, which read most of them, "text" for people.
    pub(crate) format: OneOf<Format>,
    /// The least severe level that is written. By default what an operator wants to know.
    pub(crate) level: OneOf<Level>,
    /// Which requests get a line: "all", "errors" (answers of 500 and above, and refusals) or
    /// "off". By default errors, because a line a request costs more than a hit; counts are in
    /// the metrics.
    pub(crate) access: OneOf<Access>,
}

// === impl Log ===

impl Default for Log {
    fn default() -> Self {
        Self {
            format: OneOf(Format::Json),
            level: OneOf(Level::INFO),
            access: OneOf(Access::Errors),
        }
    }
}
