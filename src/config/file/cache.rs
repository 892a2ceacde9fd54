//! `[cache]` and `[shared]`: what is held, here and for other replicas.

use std::path::PathBuf;

use crate::{
    config::{
        declaration::table,
        number::Part,
        secret::Secret,
        text::Namespace,
        units::{DAY, KIB, MIB, MINUTE, Size, TIB, Time},
        value::List,
    },
    forward::HarmlessWrite,
    shared_tier::ServerUrl,
};

/// How long something is kept; zero: it is not.
type Lifetime = Time<0, { 30 * DAY }>;

table! {
    pub(crate) struct Cache {
        enabled: bool = true,
        capacity: Size<KIB, TIB> = Size(512 * MIB),
        [Reload] stale_while_revalidate: Lifetime = Time::seconds(5 * 60),
        [Reload] stale_if_error: Lifetime = Time::seconds(60 * 60),
        [Reload] harmless_writes: List<HarmlessWrite> = List::new(),
        [Reload] ttl: Ttl = Ttl::default(),
        snapshot: Option<Snapshot> = None,
    }
}

table! {
    pub(crate) struct Snapshot {
        [Required] file: Option<PathBuf> = None,
        [Required] secret: Option<Secret> = None,
    }
}

table! {
    pub(crate) struct Ttl {
        finished: Lifetime = Time::seconds(15 * 60),
        pending: Lifetime = Time::seconds(10),
        failed: Lifetime = Time::seconds(10),
        absent: Lifetime = Time::seconds(30),
        jitter: Part = Part(0.1),
    }
}

table! {
    pub(crate) struct Shared {
        [Required] url: Option<ServerUrl> = None,
        user: Option<String> = None,
        password: Option<Secret> = None,
        [Required] secret: Option<Secret> = None,
        previous: List<Secret> = List::new(),
        namespace: Namespace = Namespace("vingate".to_owned()),
        ca: Option<PathBuf> = None,
        timeout: Time<1, MINUTE> = Time::millis(10),
        lease: Time<100, MINUTE> = Time::millis(150),
        write_wait: Time<0, MINUTE> = Time::millis(150),
        when_lost: Time<0, DAY> = Time::seconds(30),
        leases: bool = true,
    }
}
