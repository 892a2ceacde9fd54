//! `/sandbox/calls`, `/sandbox/faults` and `/sandbox/reset`: the sandbox read and steered.
//!
//! These calls are neither counted nor broken.

use http::Method;
use serde::Deserialize;

use super::{
    faults::Faults,
    received::Received,
    response::{Answer, Refusal},
    serve::Shared,
};

/// What reads or steers the sandbox.
#[derive(Clone, Copy, Debug)]
pub(super) enum Control {
    Calls,
    Faults,
    Reset,
}

/// One, or several in their order.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    One(Box<Faults>),
    More(Vec<Faults>),
}

// === impl Control ===

impl Control {
    /// What a call steers, if it does.
    pub(super) fn of(method: &Method, path: &str) -> Option<Self> {
        match (method, path) {
            (&Method::GET, "/sandbox/calls") => Some(Self::Calls),
            (&Method::POST, "/sandbox/faults") => Some(Self::Faults),
            (&Method::POST, "/sandbox/reset") => Some(Self::Reset),
            _ => None,
        }
    }

    pub(super) fn response(self, shared: &Shared, received: &Received) -> Result<Answer, Refusal> {
        match self {
            Self::Calls => return Ok(Answer::json(&shared.calls.counters())),
            Self::Faults => {
                let faults: OneOrMore =
                    serde_json::from_value(received.json(Refusal::bad_request)?).map_err(|_| {
                        Refusal::bad_request("neither one `Faults` nor an array of them")
                    })?;
                shared.faults.set(match faults {
                    OneOrMore::One(faults) => vec![*faults],
                    OneOrMore::More(faults) => faults,
                });
            }
            Self::Reset => shared.clear(),
        }
        Ok(Answer::no_content())
    }
}
