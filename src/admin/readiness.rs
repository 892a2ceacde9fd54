//! Whether the gateway can serve: a set of latches.

use std::sync::Arc;

use parking_lot::Mutex;

/// Ready when nobody holds a latch: a handle, cheap to clone.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<Vec<&'static str>>>);

/// A reason not to be ready, until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Latch {
    readiness: Readiness,
    reason: &'static str,
}

impl Readiness {
    /// Ready until the first latch.
    pub fn new() -> Self {
        Self::default()
    }

    /// Keeps the gateway from being ready because of `reason`, a word or two.
    pub fn latch(&self, reason: &'static str) -> Latch {
        self.0.lock().push(reason);
        Latch { readiness: self.clone(), reason }
    }

    /// Why the gateway is not ready, in the order in which it was said; empty if it is.
    pub fn reasons(&self) -> Vec<&'static str> {
        self.0.lock().clone()
    }
}

impl Drop for Latch {
    fn drop(&mut self) {
        let mut reasons = self.readiness.0.lock();
        if let Some(place) = reasons.iter().position(|reason| *reason == self.reason) {
            reasons.remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_ready_when_every_latch_is_dropped() {
        let readiness = Readiness::new();
        assert!(readiness.reasons().is_empty());
        let starting = readiness.latch("starting");
        let keys = [readiness.latch("keys"), readiness.latch("keys")];
        assert_eq!(readiness.reasons(), ["starting", "keys", "keys"]);
        drop(starting);
        assert_eq!(readiness.reasons(), ["keys", "keys"]);
        drop(keys);
        assert!(readiness.reasons().is_empty());
    }
}
