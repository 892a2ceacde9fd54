//! The file as it is written: every key, its bounds, its default, and why that default.
//!
//! What may be left out without a default is an `Option`. What must not be left out is one, too,
//! and `Required`: the rest is read and checked all the same, so that all problems are found at once.

mod auth;
mod cache;
mod server;
mod shared_table;
mod upstream;

use std::net::{Ipv4Addr, SocketAddr};

use tracing::Level;

use super::{
    declaration::table,
    number::{Part, Whole},
    secret::Secret,
    text::HostName,
    units::{GIB, HOUR, KIB, MIB, MINUTE, Size, Time},
    value::List,
};
use crate::{
    telemetry::{Access, Format},
    upstream::Origin,
};

pub(crate) use self::{
    auth::{Auth, Key},
    cache::Cache,
    server::{Cors, Server},
    shared_table::Shared,
    upstream::{Account, Upstream},
};

table! {
    /// The configuration of vingate.
    pub(crate) struct File {
        server: Server = Server::default(),
        admin: Admin = Admin::default(),
        upstream: Upstream = Upstream::default(),
        /// The accounts at Sync. Without any, each client's own credential goes upstream; with one
        /// or more, a subject without an account gets a 403.
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
    /// The listener for operators: metrics, health, readiness, purge.
    pub(crate) struct Admin {
        /// Where to listen. By default on this machine only, because it can empty the cache.
        listen: SocketAddr = (Ipv4Addr::LOCALHOST, 9090).into(),
        /// The bearer token for everything but /metrics, /healthz and /readyz, at least 16
        /// characters. If absent, none is required, which is allowed on a loopback address only.
        [Reload] token: Option<Secret> = None,
        /// Names that this listener has, such as "vingate.internal", besides addresses and
        /// localhost. Without a token, requests for other hosts are refused: a foreign page may have
        /// sent them.
        [Reload] hosts: List<HostName> = List::new(),
    }
}

table! {
    /// The batch endpoint.
    pub(crate) struct Batch {
        /// Vehicles in one client request; above: 413. A large fleet, at most 20 calls.
        max_vehicles: Whole<1, 1_000_000> = Whole(10_000),
        /// Vehicles in one upstream call. Sync takes 500, and fewer calls are kinder to it.
        chunk: Whole<1, 500> = Whole(500),
        /// Upstream calls at once for one client request, so that one large batch does not take all
        /// of upstream.max_in_flight.
        max_parallel: Whole<1, 1_000> = Whole(4),
        /// Small look-ups of one account, of at most a quarter of chunk, share calls while so many
        /// of their calls are under way; below, each leaves at once. 0: they never wait for each
        /// other.
        gather_from: Whole<0, 1_000> = Whole(2),
        /// The longest that one of them waits for company. It waits for a quarter of the median
        /// call, at least 25 ms, and for no longer than this.
        gather_for: Time<0, MINUTE> = Time::millis(100),
        /// How long a refresh behind a stale result waits for a call of its account to travel with:
        /// nobody waits for it. Zero: it goes at once.
        refresh_wait: Time<0, HOUR> = Time::seconds(5),
        /// Finished results that expire within this, and were served since they were fetched, travel
        /// in the free room of calls, such as "1m". Zero: none do, because each costs Sync a vehicle,
        /// and that saves calls only where calls with room leave all the time.
        ride: Time<0, HOUR> = Time::seconds(0),
        /// Responses of so many bytes are sent in gzip to clients that take it, put together from
        /// vehicles that were compressed when they were wanted for the second time. 0: none are.
        gzip_from: Size<0, GIB> = Size(16 * KIB),
    }
}

table! {
    /// How much of the gateway one moment, one client or one request may take.
    pub(crate) struct Limit {
        /// Client requests at once; above: 503. One client gets at most a quarter of it. Most are
        /// answered from the cache within a millisecond, so that many mean that something is stuck.
        max_in_flight: Whole<1, 1_000_000> = Whole(2048),
        /// Bytes of a request body that is buffered: batches, vehicle writes, GET bodies of unknown
        /// length; above: 413. Streams are unbounded. Sixteen times what a batch of 10,000 vehicles
        /// takes.
        max_body: Size<1, GIB> = Size(8 * MIB),
        rate: Option<Rate> = None,
    }
}

table! {
    /// Requests a second for each client: by issuer and subject, else by peer address; above: 429.
    /// If absent, there is no limit.
    pub(crate) struct Rate {
        /// In the long run. More than an application that batches ever needs.
        requests_per_second: Whole<1, 1_000_000_000> = Whole(50),
        /// At once. Two seconds' worth.
        burst: Whole<1, 1_000_000_000> = Whole(100),
    }
}

table! {
    /// Traces, sent to a collector by OTLP over HTTP. If absent, none are.
    pub(crate) struct Trace {
        /// Where the collector is; spans are posted to /v1/traces there.
        [Required] otlp: Option<Origin> = None,
        /// The part of requests that is sampled, besides up to 100 a second that come with a
        /// sampled traceparent. By default enough to see where time goes.
        [Reload] sample: Part = Part(0.1),
        /// Whether responses say in Server-Timing where their time went.
        [Reload] server_timing: bool = false,
    }
}

table! {
    /// What is logged.
    pub(crate) struct Log {
        /// "json" for machines, which read most logs, or "text" for people.
        format: Format = Format::Json,
        /// The least severe level that is written: "error", "warn", "info", "debug" or "trace". By
        /// default what an operator wants to know.
        [Reload] level: Level = Level::INFO,
        /// Which requests get a line: "all", "errors" (status 500 and above, and refusals) or
        /// "off". By default errors, because a line costs more than a hit; the metrics count all.
        [Reload] access: Access = Access::Errors,
    }
}
