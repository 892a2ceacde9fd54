//! The file as it is written: every key, its bounds and its default. What a key is for, and why that
//! default, its comment in `config/vingate.toml` says.
//!
//! What may be left out without a default is an `Option`. What must not be left out is one, too,
//! and `Required`: the rest is read and checked all the same, so that all problems are found at once.

mod auth;
mod cache;
mod upstream;

use std::{
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
};

use ipnet::IpNet;
use tracing::Level;

use super::{
    declaration::table,
    number::{Part, Whole},
    secret::Secret,
    text::HostName,
    units::{GIB, HOUR, KIB, MIB, MINUTE, Size, Time, Timeout},
    value::List,
};
use crate::{
    telemetry::{Access, Format},
    upstream::Origin,
};

pub(crate) use self::{
    auth::{Auth, Key},
    cache::{Cache, Shared},
    upstream::{Account, Upstream},
};

table! {
    /// The configuration of vingate.
    pub(crate) struct File {
        server: Server = Server::default(),
        admin: Admin = Admin::default(),
        upstream: Upstream = Upstream::default(),
        [Reload] account: List<Account> = List::new(),
        auth: Auth = Auth::default(),
        [Reload] batch: Batch = Batch::default(),
        cache: Cache = Cache::default(),
        shared: Option<Shared> = None,
        [Reload] limit: Limit = Limit::default(),
        trace: Option<Trace> = None,
        [Reload] cors: Option<Cors> = None,
        log: Log = Log::default(),
    }
}

table! {
    pub(crate) struct Server {
        listen: SocketAddr = (Ipv4Addr::UNSPECIFIED, 8080).into(),
        workers: Whole<0, 1024> = Whole(0),
        drain_timeout: Timeout = Time::seconds(30),
        drain_delay: Time<0, HOUR> = Time::seconds(0),
        max_head: Size<{ 8 * KIB }, MIB> = Size(32 * KIB),
        max_fields: Whole<1, 10_000> = Whole(100),
        max_uri: Size<64, { 64 * KIB }> = Size(8 * KIB),
        max_connections: Whole<1, 1_000_000> = Whole(10_000),
        max_streams: Whole<1, 65_536> = Whole(128),
        header_timeout: Timeout = Time::seconds(10),
        idle_timeout: Timeout = Time::seconds(60),
        body_idle_timeout: Timeout = Time::seconds(30),
        write_idle_timeout: Timeout = Time::seconds(30),
        [Reload] trusted_proxies: List<IpNet> = List::new(),
        tls: Option<Tls> = None,
    }
}

table! {
    pub(crate) struct Tls {
        [Required] certificate: Option<PathBuf> = None,
        [Required] key: Option<PathBuf> = None,
        client_ca: Option<PathBuf> = None,
    }
}

table! {
    pub(crate) struct Admin {
        listen: SocketAddr = (Ipv4Addr::LOCALHOST, 9090).into(),
        [Reload] token: Option<Secret> = None,
        [Reload] hosts: List<HostName> = List::new(),
    }
}

table! {
    pub(crate) struct Batch {
        max_vehicles: Whole<1, 1_000_000> = Whole(10_000),
        chunk: Whole<1, 500> = Whole(500),
        max_parallel: Whole<1, 1_000> = Whole(4),
        gather_from: Whole<0, 1_000> = Whole(2),
        gather_for: Time<0, MINUTE> = Time::millis(100),
        refresh_wait: Time<0, HOUR> = Time::seconds(5),
        ride: Time<0, HOUR> = Time::seconds(0),
        gzip_from: Size<0, GIB> = Size(16 * KIB),
    }
}

table! {
    pub(crate) struct Limit {
        max_in_flight: Whole<1, 1_000_000> = Whole(2048),
        max_body: Size<1, GIB> = Size(8 * MIB),
        rate: Option<Rate> = None,
    }
}

table! {
    pub(crate) struct Rate {
        requests_per_second: Whole<1, 1_000_000_000> = Whole(50),
        burst: Whole<1, 1_000_000_000> = Whole(100),
    }
}

table! {
    pub(crate) struct Trace {
        [Required] otlp: Option<Origin> = None,
        [Reload] sample: Part = Part(0.1),
        [Reload] server_timing: bool = false,
    }
}

table! {
    pub(crate) struct Cors {
        [Required] origins: List<Origin> = List::new(),
    }
}

table! {
    pub(crate) struct Log {
        format: Format = Format::Json,
        [Reload] level: Level = Level::INFO,
        [Reload] access: Access = Access::Errors,
    }
}
