//! `[upstream]`: where Sync is, and how it is called.

use std::{path::PathBuf, time::Duration};

use http::HeaderName;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    config::{
        number::{Part, Whole},
        table::Table,
        text::{CredentialField, Text},
        units::{GIB, MIB, Size, Time, Timeout},
    },
    upstream::Origin,
};

/// Where Sync is, and how it is called.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["url"]))]
pub(crate) struct Upstream {
    /// The origin of Sync: scheme, host, perhaps a port; no path, no query. Required, because a
    /// gateway that guesses where to send credentials is a danger.
    pub(crate) url: Option<Text<Origin>>,
    /// Who signs the upstream's certificate, PEM. Absent: whom the system trusts.
    pub(crate) ca: Option<PathBuf>,
    /// Fields that carry a credential, besides Authorization and Cookie: what differs in one of
    /// them never shares a cache entry. By default the usual name of an API key.
    pub(crate) credential_headers: Vec<Text<CredentialField>>,
    /// Until a connection stands, TLS included: three round trips and a lost packet.
    pub(crate) connect_timeout: Timeout,
    /// One try: from the last byte sent to the head of the answer. Sync works seconds on a batch
    /// of 500.
    pub(crate) attempt_timeout: Timeout,
    /// One client request: from its head to the head of its answer. Three attempts.
    pub(crate) request_timeout: Timeout,
    /// How long a body may stand still on the way from or to the upstream.
    pub(crate) stream_idle_timeout: Timeout,
    /// How long an idle connection is kept: well below the 4 minutes after which Azure's load
    /// balancer forgets it.
    pub(crate) pool_idle_timeout: Timeout,
    /// Calls to the upstream at once. It is never to be hurt: start low. Half of them at most are
    /// for calls whose body is still coming from the caller, and for WebSockets.
    pub(crate) max_in_flight: Whole<1, 100_000>,
    /// Of the calls at once, the part that one client may hold while others wait.
    pub(crate) client_share: Part,
    /// Bytes of one batch answer: 500 vehicles with 128 KiB each.
    pub(crate) max_answer: Size<1, { 4 * GIB }>,
    /// Second tries.
    pub(crate) retry: Table<Retry>,
    /// When to stop calling for a while.
    pub(crate) breaker: Table<Breaker>,
}

/// Second tries.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Retry {
    /// Tries in all, of safe methods only: what two more do not heal, more do not either.
    pub(crate) max_attempts: Whole<1, 10>,
    /// Retries for each first try, and always 10 a second: an upstream in trouble gets a fifth
    /// more, not three times as much.
    pub(crate) budget: Part,
}

/// When to stop calling for a while.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Breaker {
    /// The part of calls that fail at which calling stops: below half it is still of use.
    pub(crate) failure_ratio: Part,
    /// Calls in half a minute before the ratio means anything.
    pub(crate) min_requests: Whole<1, 100_000>,
    /// How long calling stops before one call probes: what a restart takes.
    pub(crate) open_for: Timeout,
}

// === impl Upstream ===

impl Default for Upstream {
    fn default() -> Self {
        Self {
            url: None,
            ca: None,
            credential_headers: vec![Text(CredentialField(HeaderName::from_static("x-api-key")))],
            connect_timeout: Time(Duration::from_secs(3)),
            attempt_timeout: Time(Duration::from_secs(20)),
            request_timeout: Time(Duration::from_secs(60)),
            stream_idle_timeout: Time(Duration::from_secs(60)),
            pool_idle_timeout: Time(Duration::from_secs(90)),
            max_in_flight: Whole(64),
            client_share: Part(0.5),
            max_answer: Size(64 * MIB),
            retry: Table::default(),
            breaker: Table::default(),
        }
    }
}

// === impl Retry ===

impl Default for Retry {
    fn default() -> Self {
        Self { max_attempts: Whole(3), budget: Part(0.2) }
    }
}

// === impl Breaker ===

impl Default for Breaker {
    fn default() -> Self {
        Self {
            failure_ratio: Part(0.5),
            min_requests: Whole(20),
            open_for: Time(Duration::from_secs(10)),
        }
    }
}
