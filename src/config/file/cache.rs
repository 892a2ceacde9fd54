//! `[cache]`: the cache of vehicles.

use std::path::PathBuf;

use crate::{
    config::{
        declaration::table,
        number::Part,
        secret::Secret,
        units::{DAY, KIB, MIB, Size, TIB, Time},
        value::List,
    },
    forward::HarmlessWrite,
};

/// How long something is kept; zero: it is not.
type Lifetime = Time<0, { 30 * DAY }>;

table! {
    /// The cache of vehicles.
    pub(crate) struct Cache {
        /// Whether anything is stored.
        enabled: bool = true,
        /// Bytes held, keys and bookkeeping included: some hundred thousand vehicles, and little
        /// enough for a small machine.
        capacity: Size<KIB, TIB> = Size(512 * MIB),
        /// How long after its lifetime a finished result is still served at once while it is
        /// refreshed in the background. Finished results hardly change.
        [Reload] stale_while_revalidate: Lifetime = Time::seconds(5 * 60),
        /// How long after its lifetime any result is served when the upstream fails.
        [Reload] stale_if_error: Lifetime = Time::seconds(60 * 60),
        /// Writes that change no vehicle, such as "POST /api/reports/*": method and path, with an
        /// asterisk for the rest of a path. They drop nothing. All other writes drop the vehicles
        /// that they name, or everything of their credential.
        [Reload] harmless_writes: List<HarmlessWrite> = List::new(),
        /// How long a vehicle's results stay fresh, by what they say. Zero: they never are. A
        /// change applies to what is stored afterwards.
        [Reload] ttl: Ttl = Ttl::default(),
        snapshot: Option<Snapshot> = None,
    }
}

table! {
    /// A file that keeps what is held over a restart: written at the end of a drain, and used once
    /// at the next start. If absent, a restart begins with an empty cache.
    pub(crate) struct Snapshot {
        /// Where it is, in a folder that the gateway can write to. Each gateway has its own.
        [Required] file: Option<PathBuf> = None,
        /// At least 32 bytes, which encrypt it.
        [Required] secret: Option<Secret> = None,
    }
}

table! {
    /// How long a vehicle's results stay fresh, by what they say. Zero: they never are. A
    /// change applies to what is stored afterwards.
    pub(crate) struct Ttl {
        /// Every result is finished and has a status. It changes when Sync looks again, which is
        /// rare.
        finished: Lifetime = Time::seconds(15 * 60),
        /// Some result has no finishedDateTime, or status -1. Somebody is waiting for it.
        pending: Lifetime = Time::seconds(10),
        /// Some result is finished without a status. Sync may try again soon.
        failed: Lifetime = Time::seconds(10),
        /// No element, or its info is empty, null or missing. Long enough to break a flood of
        /// questions for nothing, short enough for a vehicle that was just entered.
        absent: Lifetime = Time::seconds(30),
        /// Every lifetime is longer or shorter by up to this part of it, below 1, so that what was
        /// fetched together does not expire together.
        jitter: Part = Part(0.1),
    }
}
