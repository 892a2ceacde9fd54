//! Keys of a set that cannot be used, named in the log.

use tracing::warn;

use crate::vehicle::Vin;

/// Keys of a set that were left out, for the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct LeftOut {
    /// Each with its `kid`, or its place in the set, and the reason.
    pub(super) named: Vec<(String, String)>,
    /// Those that were not looked at.
    pub(super) beyond: usize,
}

// === impl LeftOut ===

impl LeftOut {
    /// How many there are.
    pub(super) fn count(&self) -> usize {
        self.named.len() + self.beyond
    }

    /// Writes a line for each, unless all of them are `known` already.
    pub(super) fn log_unless(&self, known: &mut Self) {
        if self == known {
            return;
        }
        known.clone_from(self);
        for (key, reason) in &self.named {
            // No line shows a vehicle, whoever put it there.
            let key = if Vin::parse(key).is_ok() { "***" } else { key };
            warn!(key, reason, "published key left out");
        }
        if self.beyond > 0 {
            warn!(keys = self.beyond, "published keys left out: the set is too long");
        }
    }
}
