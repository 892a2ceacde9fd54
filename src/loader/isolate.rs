//! A call with vehicles of several requests that the upstream refuses: whose fault is it?
//!
//! The call is repeated in parts, cut along requests into eighths, all at once, and what is refused
//! again is cut again. One refused request among 500 is found in three rounds and 24 calls, while
//! everybody else gets their vehicles after the first round or the second. The last refusal goes to
//! its own request as it came.

use futures_util::future::join_all;

use super::{Failure, Loader, QueueKey, balanced, queue::Part};

/// Into how many calls one that was refused is cut.
const CUT: usize = 8;

/// How often.
const MAX_ROUNDS: usize = 3;

/// Calls in all: as many as one refused request takes.
const MAX_CALLS: usize = CUT * MAX_ROUNDS;

impl Loader {
    /// Finds out which of `parts` the upstream refuses, and fails only those.
    pub(super) async fn isolate(&self, key: QueueKey, parts: Vec<Part>, error: Failure) {
        let mut refused = vec![(parts, error)];
        let mut calls = 0;
        for _ in 0..MAX_ROUNDS {
            let mut groups = Vec::new();
            for (parts, error) in refused.drain(..) {
                let count = parts.len().min(CUT);
                if parts.len() == 1 || !error.is_leaders_fault() || calls + count > MAX_CALLS {
                    self.fail(key, parts, error).await;
                    continue;
                }
                calls += count;
                groups.extend(cut(parts, count));
            }
            let attempts = groups.into_iter().map(|parts| self.attempt_again(parts));
            refused = join_all(attempts)
                .await
                .into_iter()
                .filter_map(Result::err)
                .collect();
        }
        for (parts, error) in refused {
            self.fail(key, parts, error).await;
        }
    }

    async fn attempt_again(&self, parts: Vec<Part>) -> Result<(), (Vec<Part>, Failure)> {
        let Some(first) = parts.first() else {
            return Ok(());
        };
        match self
            .0
            .upstream
            .reserve(first.context.reservation(None))
            .await
        {
            Ok(permit) => self.attempt(permit, parts).await,
            Err(error) => Err((parts, Failure::new(error.into()))),
        }
    }
}

/// Cuts `parts` into so many groups, as equal in the number of requests as they can be.
fn cut(parts: Vec<Part>, count: usize) -> Vec<Vec<Part>> {
    let sizes = balanced(parts.len(), parts.len().div_ceil(count));
    let mut parts = parts.into_iter();
    sizes
        .map(|size| parts.by_ref().take(size).collect())
        .collect()
}
