//! `/sandbox/calls`, `/sandbox/faults` and `/sandbox/reset`: the sandbox read and controlled.
//!
//! These calls are neither counted nor reached by faults.

use bytes::Bytes;
use http::{Method, Response};
use serde::Deserialize;

use super::{faults::Faults, harness::Harness};
use crate::sandbox::{error::ApiError, received::Received, reply};

/// What reads or controls the sandbox.
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

impl Control {
    /// What a call controls, if it does.
    pub(super) fn of(method: &Method, path: &str) -> Option<Self> {
        match (method, path) {
            (&Method::GET, "/sandbox/calls") => Some(Self::Calls),
            (&Method::POST, "/sandbox/faults") => Some(Self::Faults),
            (&Method::POST, "/sandbox/reset") => Some(Self::Reset),
            _ => None,
        }
    }

    pub(super) fn respond(
        self,
        harness: &Harness,
        received: &Received,
    ) -> Result<Response<Bytes>, ApiError> {
        match self {
            Self::Calls => return Ok(reply::json(&harness.calls.counters())),
            Self::Faults => {
                let faults: OneOrMore = serde_json::from_value(
                    received.json(ApiError::bad_request)?,
                )
                .map_err(|_| ApiError::bad_request("neither one `Faults` nor an array of them"))?;
                harness.faults.set(match faults {
                    OneOrMore::One(faults) => vec![*faults],
                    OneOrMore::More(faults) => faults,
                });
            }
            Self::Reset => harness.clear(),
        }
        Ok(reply::no_content())
    }
}
