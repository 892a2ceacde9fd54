//! vingate: a caching reverse proxy in front of the Sync vehicle API.
//!
//! Internal applications call it exactly as they would call Sync, only with a sloppier hand,
//! larger batches and one token of their own house. It checks the token, brings VINs and plates
//! into one spelling, answers vehicles from its cache, joins what others are asking for already,
//! asks Sync for the rest in as few calls as possible, and forwards everything else.
//!
//! The library exists for the program, the tests and the benches; its API promises nothing.
//!
//! # Layout
//!
//! From the bottom; a module imports only what stands above it in this list, and neighbours on
//! one line do not import each other (`tests/structure` holds the code to it).
//!
//! * [`vehicle`], [`route`], [`body`], [`peer`], [`request_id`], [`rule`]: the nouns of a request
//! * [`json`]: read strictly, changed in place
//! * [`problem`], [`proxy_status`]: what a response says of a failure
//! * [`tls`]: to the servers that are called · [`files`]: read, fingerprinted and watched
//! * [`auth`]: who is calling, what they may do, with which credential they go upstream
//! * [`limit`]: how much one moment, one client, one request may take
//! * [`cache`]: what is held, what is being asked for, what a write takes away
//! * [`upstream`]: calls to Sync, timed, counted and bounded, made again or not made at all
//! * [`telemetry`]: logs and the metrics of requests
//! * [`normalize`]: one spelling of vehicles in paths, queries and bodies
//! * [`loader`]: what nobody holds, fetched in calls that many requests share
//! * [`batch`]: the batch endpoint · [`forward`]: everything else
//! * [`gateway`]: the request path; `gateway/stack.rs` is the file to read first
//! * [`server`]: connections · [`admin`]: the admin listener · [`sandbox`]: Sync in memory
//! * [`config`]: the file, from TOML to what the modules work with
//! * [`app`]: every part made once and run · [`reload`]: the file read again while it runs
//! * [`cli`]: the subcommands
//!
//! # Life of a request
//!
//! 1. [`server`] reads its head, within bounds of size and time, and adds the [`peer::Peer`].
//! 2. It gets a [`request_id::RequestId`] and a [`route::Route`], decided once.
//! 3. [`telemetry`] counts it, from here to the last byte of its answer.
//! 4. The edge refuses what could be read in two ways; [`limit`] refuses what is too much.
//! 5. [`auth`] turns its token into a caller. Every request is checked, also one that the cache
//!    can answer.
//! 6. The caller's rate and share are counted; its scope and account decide which credential goes
//!    upstream, and so which partition of the cache it sees.
//! 7. [`normalize`] brings its vehicles into one spelling: what is keyed is what is sent.
//! 8. [`batch`] answers a batch: it claims all vehicles in one pass over the [`cache`], waits for
//!    what others are fetching, fetches the rest, and splices the answer from the bytes that
//!    Sync sent.
//! 9. [`forward`] streams everything else, both ways. A write drops what it changed from the
//!    cache before its answer leaves.
//! 10. Errors end in one place, `gateway/respond.rs`, which alone knows what a caller sees.

pub mod admin;
pub mod app;
pub mod auth;
pub mod batch;
pub mod body;
pub mod cache;
pub mod cli;
pub mod config;
pub mod files;
pub mod forward;
#[doc(hidden)]
pub mod fuzzing;
pub mod gateway;
pub mod json;
mod labels;
pub mod limit;
pub mod loader;
pub mod normalize;
pub mod peer;
pub mod problem;
pub mod proxy_status;
pub mod reload;
pub mod request_id;
pub mod route;
pub mod rule;
pub mod sandbox;
pub mod server;
pub mod telemetry;
pub mod tls;
pub mod upstream;
pub mod vehicle;
