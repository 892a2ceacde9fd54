//! `[cache]`: the cache of vehicles.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    config::{
        number::Part,
        table::Table,
        text::Text,
        units::{DAY, KIB, MIB, Size, TIB, Time},
    },
    forward::HarmlessWrite,
};

/// The cache of vehicles.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Cache {
    /// Whether anything is kept.
    pub(crate) enabled: bool,
    /// Bytes held, keys and bookkeeping counted: some hundred thousand vehicles, and little
    /// enough for a small machine.
    pub(crate) capacity: Size<KIB, TIB>,
    /// How long after its life a finished result is still served at once, while it is refreshed
    /// behind: what is finished hardly changes.
    pub(crate) stale_while_revalidate: Life,
    /// How long after its life any result is served when the upstream fails.
    pub(crate) stale_if_error: Life,
    /// Writes that change no vehicle, as method and path: they drop nothing.
    pub(crate) harmless_writes: Vec<Text<HarmlessWrite>>,
    /// How long results stay fresh.
    pub(crate) ttl: Table<Ttl>,
}

/// How long something is kept; zero: it is not.
pub(crate) type Life = Time<0, { 30 * DAY }>;

/// How long a vehicle's results stay fresh, by what they say.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Ttl {
    /// Every result finished and with a status: it changes when Sync looks again, which is rare.
    pub(crate) finished: Life,
    /// Some result without finishedDateTime, or status -1: somebody is waiting for it.
    pub(crate) pending: Life,
    /// Some result finished without a status: it may be tried again soon.
    pub(crate) failed: Life,
    /// No element, or its info empty, null or missing: long enough to break a flood of questions
    /// for nothing, short enough for a vehicle that was just entered.
    pub(crate) absent: Life,
    /// Every life is longer or shorter by up to this part of it, below 1, so that what was
    /// fetched together does not expire together.
    pub(crate) jitter: Part,
}

// === impl Cache ===

impl Default for Cache {
    fn default() -> Self {
        Self {
            enabled: true,
            capacity: Size(512 * MIB),
            stale_while_revalidate: Time(Duration::from_secs(300)),
            stale_if_error: Time(Duration::from_secs(3600)),
            harmless_writes: Vec::new(),
            ttl: Table::default(),
        }
    }
}

// === impl Ttl ===

impl Default for Ttl {
    fn default() -> Self {
        Self {
            finished: Time(Duration::from_secs(900)),
            pending: Time(Duration::from_secs(10)),
            failed: Time(Duration::from_secs(10)),
            absent: Time(Duration::from_secs(30)),
            jitter: Part(0.1),
        }
    }
}
