//! `[admin]`: the listener for operators.

use std::net::{Ipv4Addr, SocketAddr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{secret::Secret, text::Text};

/// The listener for operators: metrics, health, readiness, purge.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Admin {
    /// Where to listen. By default on this machine only, because it can empty the cache.
    pub(crate) listen: Text<SocketAddr>,
    /// The bearer token for all but /metrics, /healthz and /readyz. Absent: none is asked for,
    /// which is allowed on a loopback address only.
    pub(crate) token: Option<Secret>,
}

// === impl Admin ===

impl Default for Admin {
    fn default() -> Self {
        Self { listen: Text((Ipv4Addr::LOCALHOST, 9090).into()), token: None }
    }
}
