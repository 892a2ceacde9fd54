//! The vehicle cache: what is held, what is being asked for, and what a write takes away.
//!
//! Entries are keyed by partition, VIN and plate ([`Key`]). A request [looks up](Cache::lookup)
//! all its vehicles in one pass and learns of each whether it is held, whether somebody fetches
//! it already ([`Waiter`]), or that it has to be fetched ([`Leases`]). A write
//! [invalidates](Invalidate::invalidate) under the same locks: it removes entries and takes calls
//! under way out of the table, which therefore can neither be joined by later readers nor store
//! what they bring.
//!
//! moka decides what stays when memory is short (TinyLFU); look-ups do not go through it. Its
//! recency bookkeeping and clock cost several times what the look-up itself does, so it hears of
//! an entry's hits at most once a second, and of every miss. Freshness is ours too: moka sees no
//! times.

mod by_shard;
mod directives;
mod entry;
mod fence;
mod flight;
mod invalidate;
mod key;
mod lease;
mod lookup;
mod metrics;
mod store;
mod sweep;
mod table;

use std::time::Duration;

pub use self::{
    directives::{Directives, StaleWindows},
    entry::{Class, Classes, ContentHash, Element, Entry, Freshness, Moment},
    flight::{Failure, Flight, Outcome, Waiter},
    invalidate::{Cause, Invalidate, InvalidationScope, PurgeFilter},
    key::{Key, Partition},
    lease::{Lease, Leases, Stored},
    lookup::{Lookup, Lookups},
    metrics::{CacheStatus, Metrics},
    store::Cache,
};

/// What the `[cache]` table says of the whole.
#[derive(Clone, Debug)]
pub struct Config {
    /// Whether anything is kept.
    pub enabled: bool,
    /// Bytes held, keys and bookkeeping counted.
    pub capacity: u64,
}

/// What it says of entries; [`Cache::set_lifetimes`] changes it.
#[derive(Clone, Debug)]
pub struct Lifetimes {
    /// How long results stay fresh, from when they are stored.
    pub ttl: Ttl,
    /// How long past that they may still be served.
    pub stale: StaleWindows,
}

/// How long a vehicle's results stay fresh, by their content.
#[derive(Clone, Debug)]
pub struct Ttl {
    /// Every result finished and with a status.
    pub finished: Duration,
    /// Some result not finished.
    pub pending: Duration,
    /// Some result finished without a status.
    pub failed: Duration,
    /// No results.
    pub absent: Duration,
    /// Every life is longer or shorter by up to this part of it, 0 to 1.
    pub jitter: f64,
}

#[cfg(test)]
mod tests;

// In tests every use of these is also a place where another thread may come in between.
#[cfg(test)]
use tests::lock::{LookupLock, Mutex, Notify};
#[cfg(not(test))]
use {parking_lot::Mutex, tokio::sync::Notify};

/// Lets one request after the other look up what has to be fetched.
#[cfg(not(test))]
type LookupLock = Mutex<()>;
