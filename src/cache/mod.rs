//! A sharded cache with leases: what is held, what is being fetched, and what a write takes away.
//!
//! It knows nothing of what it holds: that is the [`Contents`]. Entries are keyed by a partition
//! and an item ([`Key`]). A request [looks up](Cache::look_up_by) all its items in one pass and
//! learns of each whether it is held, whether somebody fetches it already ([`Waiter`]), or that it
//! has to be fetched ([`Leases`]). A write [removes](Cache::remove) by tags, under the same locks:
//! it drops entries and takes calls under way out of the table, which therefore can neither be
//! joined by later readers nor store what they bring.
//!
//! moka decides what stays when memory is short (TinyLFU); look-ups do not go through it. Its
//! recency bookkeeping and clock cost several times what the look-up itself does, so it hears of
//! an entry's hits at most once a second, and of every miss. Freshness is decided here too
//! ([`Rules`]): moka sees no times.

mod by_shard;
mod changed_meanwhile;
mod contents;
mod entry;
mod fence;
mod flight;
mod holds;
mod key;
mod lease;
mod lookup;
mod prehashed;
mod refresh;
mod removal;
mod replace;
mod restore;
mod store;
mod sweep;
mod table;

pub use self::{
    contents::{Contents, Moment, TAGS},
    entry::Entry,
    flight::{Flight, Outcome, Waiter},
    key::{Key, Partition, Scope},
    lease::{Guard, Lease, Leases, Stored},
    lookup::{Lookup, Lookups, Rules, Verdict},
    removal::Hold,
    restore::{HeldEntry, Restoring},
    store::{Cache, Gauges},
};

#[cfg(test)]
pub(crate) use self::{removal::FEW_TAGS, store::Store};

#[cfg(test)]
pub(crate) mod tests;

// In tests every use of these is also a place where another thread may come in between.
#[cfg(test)]
use tests::lock::{LookupLock, Mutex, Notify};
#[cfg(not(test))]
use {parking_lot::Mutex, tokio::sync::Notify};

/// Lets one request after the other look up what has to be fetched.
#[cfg(not(test))]
type LookupLock = Mutex<()>;
