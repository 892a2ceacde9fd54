//! The documented Sync API in memory: the upstream of `demo`, of the integration tests and of
//! trials without credentials.
//!
//! It is strict: what the documentation forbids gets its 400, so that a sloppy gateway shows.
//! Where the documentation is silent it takes what comes and chooses one simple behaviour of its
//! own. It shares no code with what it helps to test but [`vehicle`](crate::vehicle): a fault
//! in the gateway's parsing must not hide behind the same fault here.
//!
//! The API is [`api`] and below. [`testing`] is a harness around it, with all that the
//! documentation does not have: counters, faults and `/sandbox/…`. [`run`] serves both.
//!
//! | documented | response |
//! |---|---|
//! | `GET /api/batch/scraping/` | results of 1 to 500 vehicles ([`scraping`]) |
//! | `GET /api/vehicles` | vehicles that were written, then a page of the fleet |
//! | `PUT /api/upsert-vehicle-info` | the merged vehicle |
//! | `PATCH /api/v2/vehicles/{vin}/status` | 204; 404 for a VIN that ends in `000404`, 409 for `000409` |
//! | `PUT /api/upsert-tax-identity` | the merged tax identity |
//! | anything else below `/` | 404 |
//!
//! | the sandbox's own | |
//! |---|---|
//! | `GET /sandbox/calls` | [`Counters`] as JSON |
//! | `POST /sandbox/faults` | takes one [`Faults`] or an array of them; `[]` removes them |
//! | `POST /sandbox/reset` | forgets calls, faults and writes |
//! | `GET /sandbox/bytes/{n}` | a body of `n` bytes; byte `i` is `i % 251` |
//! | `POST /sandbox/sink` | reads any body, responds with `{"length","sha256"}` |
//! | any `/sandbox/echo…` | the request as JSON, the body itself up to 64 KiB of UTF-8 |
//!
//! Results come from a hash of seed, VIN and plate, so they never change. Each result names the
//! `account` (a hash of the request's credential) and a `version` that grows with every write of
//! the vehicle, so that foreign and stale bytes can be told from right ones. All credentials are
//! one user's: what one writes, all see. Any `Authorization` or `X-API-Key`
//! that is not empty is a credential.
//!
//! The documentation does not show an error's body; here it is
//! `{"type":…,"detail":…,"message":…}` with the two words of the documentation's error tables.
//!
//! Memory is bounded: the oldest recorded calls are forgotten, large bodies are only counted
//! and digested, and writes beyond a limit get 507.

mod account_tag;
mod api;
mod database;
mod element;
mod error;
mod filters;
mod fleet;
mod received;
mod reply;
mod run;
mod scraping;
mod tax;
mod testing;
mod vehicles;

#[cfg(test)]
mod tests;

pub use self::{
    fleet::Class,
    run::Sandbox,
    testing::{Call, Counters, Faults, Handle, Mutation, Only},
};
