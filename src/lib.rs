//! vingate: a caching reverse proxy in front of the Sync vehicle API.
//!
//! Internal applications call it exactly as they would call Sync, but may spell vehicles freely,
//! send larger batches, and use one token of their own organisation. vingate checks the token,
//! brings VINs and plates into one spelling, serves vehicles from its cache, fetches the rest in
//! as few calls as possible, and forwards everything else.
//!
//! The library exists for the program, the tests and the benches; its API promises nothing.
//!
//! # Layout
//!
//! From the bottom; a module imports only what stands above it in this list. Neighbours in one
//! item do not import each other, but for the first (`tests/structure` holds the code to it).
//!
//! * [`vehicle`], [`route`], [`body`], [`peer`], [`client`], [`request_id`], [`request_context`],
//!   [`rule`], [`json`], [`problem`], [`proxy_status`], [`gzip`], [`files`], [`tls`], [`trace`], and the files `backoff`, `latest`,
//!   `cache_control`, `causes`, `connection_memory`, `digest`, `headers`, `hex`, `labels`, `last`, `long_work`,
//!   `refusal_log`, `refusals`, `seal`, `timers`: what every room speaks of
//! * [`cache`]: what is held, what is in flight, what a write invalidates; of whatever it is
//! * [`auth`]: who is calling, what they may do, with which credential their calls go upstream ·
//!   [`limit`]: how much one moment, one client, one request may take · [`vehicle_cache`]: the
//!   cache of vehicles, how long each is good and what a write names of it · [`upstream`]: calls
//!   to Sync, permitted, timed, made again or not made at all · [`telemetry`]: logs and the
//!   metrics of requests
//! * [`shared_tier`]: what ties replicas together, kept in Redis · [`snapshot`]: what the cache
//!   holds, kept in a file over a restart
//! * [`loader`]: what nobody holds, fetched in calls that many requests share · [`normalize`]: one
//!   spelling of vehicles in paths, queries and bodies
//! * [`batch`]: the batch endpoint · [`forward`]: everything else
//! * [`gateway`]: the request path; `gateway/stack.rs` is the file to read first
//! * [`server`]: connections · [`admin`]: the admin listener · [`sandbox`]: Sync in memory
//! * [`config`]: the file, from TOML to what the rooms work with
//! * [`app`]: every part made once and run, and the file read again while it runs
//! * [`cli`]: the subcommands
//!
//! # Life of a request
//!
//! A batch request with one vehicle that nobody holds enters each room once, on the way down:
//!
//! 1. [`server`] reads the head of the request, within bounds of size and time, and adds the
//!    [`peer::Peer`].
//! 2. [`gateway`] takes it through `gateway/stack.rs`: it gets a [`request_id::RequestId`] and a
//!    [`route::Route`], [`telemetry`] counts it to the last byte of its response, what could be
//!    read in two ways is refused, and so is what is more than may be in flight ([`limit`]).
//! 3. [`auth`] checks its token, also when the cache can answer; [`limit`] refuses what is more
//!    than the share of its client; and [`auth`] decides which credential goes upstream, and so
//!    which partition of the cache the request sees.
//! 4. [`normalize`] brings vehicles in paths, queries and writes into one spelling: what is keyed
//!    is what is sent. A batch it leaves to the next room.
//! 5. [`batch`] reads the body, each vehicle once and in that spelling, and looks all of them up in
//!    one pass.
//! 6. [`vehicle_cache`] decides by class, age and `Cache-Control` what may be served, and [`cache`]
//!    says of each: a hit, stale, joined to a call under way, leading, or not cached and not to be
//!    fetched. For what the request leads, and for what is refreshed behind stale entries, it gives
//!    out leases.
//! 7. [`loader`] keeps the leases in the queue of their credential, or of this request if nobody may
//!    share. Small look-ups may wait there for company. When there is a permit, it fills a call from
//!    whatever waits in that queue, of this request and of others.
//! 8. [`upstream`] gives the permit, sends the call, and makes it again where that can hurt nobody.
//!
//! And up again: the loader takes Sync's response apart and fills the leases, which stores the
//! vehicle and wakes everybody who waits for it; batch splices the response from the bytes that
//! Sync sent. Errors are typed on the way and end in [`gateway`], which alone knows what a client
//! sees of them. Any other request goes from [`normalize`] to [`forward`], which streams it both
//! ways over a permit of its own, small bodies as a whole; a write drops what it changed from the
//! cache before its response leaves, here and, over the [`shared_tier`], in other replicas.
//!
//! # Glossary
//!
//! * **peer**: who is at the other end of a socket. **Client**: what limits count, a token's issuer
//!   and subject, else an address. **Principal**: whom a token speaks for.
//! * **credential**: the headers that say on whose behalf a call goes to Sync, and their digest.
//!   **Account**: a credential that the gateway holds for its clients.
//! * **partition**: the part of the cache that calls with one credential fill.
//! * **vehicle**: a VIN and a plate, which are its **tags**: a write names one or both. **Element**: what
//!   Sync's response has of one vehicle. **Entry**: an element that is held, with its lifetime.
//! * **flight**: the vehicles that one look-up leads. **Lease**: the right and the duty to fetch one
//!   of them. **Waiter**: what somebody waits with.
//! * **call**: one request to Sync. **Attempt**: one exchange for it. **Permit**: the right to make a call.
//! * **scope**: what a write may have changed. **Epoch**: how often a partition was dropped.
//!   **Fence**: nothing of a scope is stored while it stands.
//! * **effective config**: what the configuration file says, defaults included.

pub mod admin;
pub mod app;
pub mod auth;
mod backoff;
pub mod batch;
pub mod body;
pub mod cache;
mod cache_control;
mod causes;
pub mod cli;
pub mod client;
pub mod config;
mod connection_memory;
mod digest;
pub mod files;
pub mod forward;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod gateway;
pub mod gzip;
mod headers;
mod hex;
pub mod json;
mod labels;
mod last;
mod latest;
pub mod limit;
pub mod loader;
mod long_work;
pub mod normalize;
pub mod peer;
pub mod problem;
pub mod proxy_status;
mod refusal_log;
mod refusals;
pub mod request_context;
pub mod request_id;
pub mod route;
pub mod rule;
pub mod sandbox;
mod seal;
pub mod server;
pub mod shared_tier;
pub mod snapshot;
pub mod telemetry;
mod timers;
pub mod tls;
pub mod trace;
pub mod upstream;
pub mod vehicle;
pub mod vehicle_cache;
