//! Many replicas, one cache: what ties them together is kept in Redis or Valkey, and never needed.
//!
//! **The log.** Replicas tell one another of writes in a log, a stream on the server: before a
//! write is sent ([`LogEntry::Intent`](log_entry::LogEntry)), and when it is done. Each replica
//! reads the log every 25 ms, and less often where nothing happens ([`rhythm`]), drops what changed,
//! and does not keep what is about to change ([`follower`]).
//!
//! **The lease.** Whoever has read the log to its end trusts what it holds for a lease from the
//! moment it asked ([`trust`]). The response of a write leaves when a lease has passed since the
//! log had the write ([`release`]): by then everybody has read of it, or trusts nothing. Only the
//! clock of the process is read for that, and that only runs forward. A replica that trusts
//! nothing serves nothing that is older than `shared.when_lost`, and calls Sync for the rest.
//!
//! **Signs.** Each replica signs with each read how far it has applied the log. So mostly the
//! response of a write leaves before a lease has passed: when everybody has signed that they have
//! read of it ([`acknowledgements`]). By their signs replicas are counted, too ([`counting`]).
//!
//! **Eras.** A server that was started again, or took over from another, may have lost the end of
//! the log. It is another [era](position::Era): whoever finds itself in one forgets what it held
//! and reads the log from its beginning. So does whoever does not find the entry that it read
//! last.
//!
//! **Values.** What one replica has fetched is kept on the server for the others ([`sharing`]),
//! encrypted and under names that tell nothing ([`value_codec`]). Each value says up to where its
//! replica had read the log ([`known_writes`]), and whoever knows of a later write of the vehicle
//! does not take it. Requests wait for it some milliseconds at most, and when that has been in vain
//! for three times, nobody asks until the server responds in time again ([`reading`]).
//!
//! **Leases of vehicles.** For what nobody has one replica takes a lease on the server
//! ([`shared_leases`]) and asks Sync. The others wait for what comes of that, as long as something
//! does ([`searching`]).
//!
//! Nothing waits for the server for longer than a write that is told to it, which waits for 20 ms.
//! What cannot be told is told as soon as there is a server again ([`outbox`]).
//!
//! What happens when is decided by types without a clock, a lock or a socket ([`follower`],
//! [`release`]), which tests run in every order of steps.

mod acknowledgements;
mod awaiting;
mod bounded;
mod census;
mod config;
mod counting;
mod endpoint;
mod finding;
mod follower;
mod following;
mod known_writes;
mod lease_commands;
mod link;
mod log_entry;
mod metrics;
mod outbox;
mod polls;
mod position;
mod readers;
mod reading;
mod release;
mod reported;
mod rhythm;
mod rules;
mod searching;
mod server_clock;
mod share_queue;
mod shared_leases;
mod sharing;
mod telling;
mod trust;
mod value_codec;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use tokio::{sync::Notify, time::Instant};

use self::{
    acknowledgements::Acknowledgements,
    endpoint::Endpoint,
    known_writes::KnownWrites,
    log_entry::{LogEntry, WriteId},
    outbox::{Outbox, Outgoing, Pending},
    polls::Polls,
    position::Position,
    readers::Readers,
    rhythm::Rhythm,
    server_clock::ServerClock,
    share_queue::ShareQueue,
    shared_leases::SharedLeases,
    trust::Trust,
    value_codec::ValueCodec,
};
pub use self::{
    config::{Config, InvalidUrl, ServerUrl},
    endpoint::TlsError,
    metrics::Metrics,
};
pub use crate::seal::Secret;
use crate::seal::{self, Sealer, Secrets};

/// What ties replicas together: a handle, cheap to clone.
#[derive(Clone)]
pub struct SharedTier(Arc<Inner>);

struct Inner {
    config: Config,
    endpoint: Endpoint,
    /// The name of the log.
    log: String,
    /// The name of what replicas sign.
    signs: String,
    sealer: Sealer,
    outbox: Outbox,
    acknowledgements: Mutex<Acknowledgements>,
    /// Told when somebody waits for signs, and when some have come.
    signs_wanted: Notify,
    signs_have_come: Notify,
    known: Mutex<KnownWrites>,
    clock: Mutex<ServerClock>,
    values: ValueCodec,
    readers: Readers,
    share_queue: ShareQueue,
    leases: SharedLeases,
    polls: Polls,
    rhythm: Rhythm,
    metrics: Metrics,
    /// Tells the writes of this process from those of others.
    replica: u64,
    writes: AtomicU64,
}

impl SharedTier {
    /// Sets up what it takes; nothing is connected yet. `metrics` are those of the same lease.
    pub fn new(config: Config, metrics: Metrics) -> Result<Self, TlsError> {
        let endpoint = Endpoint::of(&config)?;
        let secrets = Secrets::new(&config.secret, &config.previous);
        let share_queue = ShareQueue::new();
        Ok(Self(Arc::new(Inner {
            endpoint,
            // In braces: one hash slot of a cluster.
            log: format!("{{vg1:{}}}:log", config.namespace),
            signs: format!("{{vg1:{}}}:seen", config.namespace),
            sealer: secrets.sealer(b"log"),
            outbox: Outbox::new(Instant::now()),
            acknowledgements: Mutex::new(Acknowledgements::new(config.lease)),
            signs_wanted: Notify::new(),
            signs_have_come: Notify::new(),
            known: Mutex::new(KnownWrites::new()),
            clock: Mutex::default(),
            values: ValueCodec::new(&config.namespace, secrets),
            readers: Readers::default(),
            leases: SharedLeases::new(share_queue.clone()),
            share_queue,
            polls: Polls::default(),
            rhythm: Rhythm::new(config.write_wait),
            metrics,
            replica: u64::from_le_bytes(seal::random()),
            writes: AtomicU64::new(0),
            config,
        })))
    }

    /// Ready when all was told that others have to know, and they have what was fetched. While
    /// there is no server, that does not come.
    pub async fn flushed(&self) {
        self.0.outbox.emptied().await;
        self.0.share_queue.emptied().await;
    }
}

/// Milliseconds that a value may be ahead of the server's clock, as far as that is known here.
const AHEAD: u64 = 2_000;

impl Inner {
    fn trust(&self) -> &Trust {
        &self.metrics.trust
    }

    /// How long ago the server's clock showed so many milliseconds since 1970.
    fn age(&self, milliseconds: u64) -> Option<Duration> {
        let now = self.clock.lock().at(Instant::now())?;
        // A clock that was set back says nothing of how old it is.
        (milliseconds <= now.saturating_add(AHEAD))
            .then(|| Duration::from_millis(now.saturating_sub(milliseconds)))
    }

    /// By which this replica is known to others.
    fn name(&self) -> [u8; 8] {
        self.replica.to_le_bytes()
    }

    /// Where a sign stands.
    fn place_of(&self, name: &[u8]) -> Vec<u8> {
        [self.signs.as_bytes(), name].concat()
    }

    fn next_write(&self) -> WriteId {
        let number = self.writes.fetch_add(1, Ordering::Relaxed);
        WriteId { replica: self.replica, number }
    }

    /// Lets an entry wait until it is in the log. Gives what comes then.
    fn push(&self, entry: LogEntry) -> Pending {
        // Under the lock, so that they wait in the order of their numbers.
        let mut known = self.known.lock();
        let number = known.tell(&entry);
        self.outbox.push(entry, number)
    }

    /// The first of what was sent stands there in the log.
    fn logged(&self, sent: &[Arc<Outgoing>], positions: &[Position]) {
        let mut known = self.known.lock();
        for (sent, position) in sent.iter().zip(positions) {
            known.logged(sent.number, &sent.entry, *position);
        }
        drop(known);
        let mut acknowledgements = self.acknowledgements.lock();
        positions.iter().for_each(|at| acknowledgements.logged(*at));
        drop(acknowledgements);
        // Now responses may leave that wait for it.
        self.outbox.done(sent, positions);
    }

    /// Puts a first entry into an empty log, unless one is about to come.
    fn begin_log(&self) {
        if self.outbox.is_empty() {
            drop(self.push(LogEntry::Beginning));
        }
    }
}

impl std::fmt::Debug for SharedTier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SharedTier")
            .field("config", &self.0.config)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
