//! The harness around the API: it records calls, makes them fail on request, and offers ends
//! for what is forwarded.
//!
//! It imports the API and is not imported by it. It is part of the library and not behind
//! `cfg(test)`, for two reasons: `vingate sandbox` offers faults and counters to trials of other
//! programs, and the tests in `tests/` see the library as it is built for everybody. Production
//! traffic never passes here.

mod calls;
mod control;
mod fault_text;
mod faults;
mod handle;
mod harness;
mod helpers;
mod mutation;
mod payload;
mod respond;

pub(super) use self::{calls::Calls, faults::ActiveFaults, harness::Harness};
pub use self::{
    calls::{Call, Counters},
    faults::{Faults, Only},
    handle::Handle,
    mutation::Mutation,
};
