//! `[shared]`: what ties replicas together.

use std::path::PathBuf;

use crate::{
    config::{
        declaration::table,
        secret::Secret,
        text::Namespace,
        units::{DAY, MINUTE, Time},
        value::List,
    },
    shared_tier::ServerUrl,
};

table! {
    /// One Redis (7.0 or later) or Valkey (7.2 or later), in which replicas keep vehicles for one
    /// another, and over which they tell one another of writes. It is never needed: without it each replica is on its own. If absent, replicas share
    /// nothing. All replicas have the same keys here.
    pub(crate) struct Shared {
        /// Where it is: redis://HOST:PORT, or rediss:// for TLS. Neither user nor password.
        [Required] url: Option<ServerUrl> = None,
        /// As whom it is spoken to. If absent, as its default user.
        user: Option<String> = None,
        /// The password of that user.
        password: Option<Secret> = None,
        /// At least 32 bytes, which encrypt what is kept there.
        [Required] secret: Option<Secret> = None,
        /// Former secrets, which only decrypt, so that replicas can change the secret one by one.
        previous: List<Secret> = List::new(),
        /// Part of the names of all that is kept there: letters, digits, "-", "_" and ".".
        namespace: Namespace = Namespace("vingate".to_owned()),
        /// The CA certificates of the server, PEM. If absent, those that the system trusts.
        ca: Option<PathBuf> = None,
        /// The longest that a request waits for vehicles that other replicas have fetched, and 2 ms
        /// more for each 500 vehicles beyond the first, and for each 500 that nobody has. After three such waits in a row nobody waits
        /// until the server responds in time again.
        timeout: Time<1, MINUTE> = Time::millis(10),
        /// How long a replica trusts what it last heard of writes. It asks every 25 ms, so that
        /// five may be lost, and every 50 ms while nothing is looked up or written.
        lease: Time<100, MINUTE> = Time::millis(150),
        /// How long after a write was announced its response leaves at the latest; not less than
        /// the lease. Mostly it leaves some 30 ms after that, when all other replicas have read of
        /// the write, which Sync's own latency covers. Zero: at once, and others may serve what was
        /// before the write for some 30 ms more, for a lease at most.
        write_wait: Time<0, MINUTE> = Time::millis(150),
        /// Nothing older is served by a replica that does not hear of writes. Long enough for a
        /// server that starts again, short enough for people who wait for their change.
        when_lost: Time<0, DAY> = Time::seconds(30),
        /// Whether one replica asks Sync for a vehicle that no replica has, and the others wait for
        /// it: while it comes, and for no longer than about a call takes and 250 ms when it does not.
        leases: bool = true,
    }
}
