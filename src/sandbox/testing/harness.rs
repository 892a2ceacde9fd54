//! The API with what tests want to know of it and do to it.

use std::sync::Arc;

use super::{calls::Calls, faults::ActiveFaults};
use crate::sandbox::api::Api;

/// The API, the record of its calls and the faults that they meet.
pub(in crate::sandbox) struct Harness {
    pub(in crate::sandbox) api: Api,
    pub(in crate::sandbox) calls: Arc<Calls>,
    pub(in crate::sandbox) faults: ActiveFaults,
}

impl Harness {
    /// Forgets calls, faults and writes; releases what hangs.
    pub(super) fn clear(&self) {
        self.calls.clear();
        self.api.database.clear();
        self.faults.set(Vec::new());
    }
}
