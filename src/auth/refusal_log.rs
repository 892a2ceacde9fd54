//! Log lines of refused tokens: enough to see why a client is refused, and so few that nobody
//! fills a disk by sending bad ones.

use std::{collections::HashMap, net::IpAddr, time::Duration};

use parking_lot::Mutex;
use tokio::time::Instant;
use tracing::{field::display, info};

use super::TokenError;

/// The least time between two lines of one reason and client.
const EVERY: Duration = Duration::from_secs(10);

/// Clients and reasons that are told apart. Beyond, a reason has one line for all other clients.
const MAX_PAIRS: usize = 1024;

/// Writes why tokens were refused: one line for each reason and client in [`EVERY`], which says
/// how many others there were since the line before it.
#[derive(Debug, Default)]
pub(super) struct RefusalLog(Mutex<Pairs>);

#[derive(Debug, Default)]
struct Pairs(HashMap<Pair, Written>);

/// Without a client: all that are not told apart.
type Pair = (TokenError, Option<IpAddr>);

#[derive(Debug)]
struct Written {
    at: Instant,
    /// Refusals since then.
    others: u64,
}

// === impl RefusalLog ===

impl RefusalLog {
    /// A token of `client` was refused.
    pub(super) fn note(&self, reason: TokenError, client: Option<IpAddr>) {
        let line = self.0.lock().note((reason, client), Instant::now());
        if let Some(((reason, client), others)) = line {
            let client = client.map(display);
            info!(reason = reason.as_str(), client, others, "token refused");
        }
    }
}

// === impl Pairs ===

impl Pairs {
    /// The line to write, with the number of others that it stands for.
    fn note(&mut self, pair: Pair, now: Instant) -> Option<(Pair, u64)> {
        let pair = if self.has_room(&pair, now) { pair } else { (pair.0, None) };
        let Some(written) = self.0.get_mut(&pair) else {
            self.0.insert(pair, Written { at: now, others: 0 });
            return Some((pair, 0));
        };
        if now < written.at + EVERY {
            written.others += 1;
            return None;
        }
        let others = written.others;
        *written = Written { at: now, others: 0 };
        Some((pair, others))
    }

    /// Pairs whose next line would be written at once are given up for others.
    fn has_room(&mut self, pair: &Pair, now: Instant) -> bool {
        if self.0.len() >= MAX_PAIRS && !self.0.contains_key(pair) {
            self.0.retain(|_, written| now < written.at + EVERY);
        }
        self.0.len() < MAX_PAIRS || self.0.contains_key(pair)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(number: u32) -> Option<IpAddr> {
        Some(IpAddr::from(number.to_be_bytes()))
    }

    #[tokio::test(start_paused = true)]
    async fn writes_one_line_for_each_reason_and_client_and_counts_the_rest() {
        let (mut pairs, start) = (Pairs::default(), Instant::now());
        let expired = (TokenError::Expired, client(1));
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(pairs.note(expired, at(0)), Some((expired, 0)));
        for second in 1..10 {
            assert_eq!(pairs.note(expired, at(second)), None);
        }
        for other in [(TokenError::Sub, client(1)), (TokenError::Expired, client(2))] {
            assert_eq!(pairs.note(other, at(5)), Some((other, 0)));
        }
        assert_eq!(pairs.note(expired, at(10)), Some((expired, 9)));
        assert_eq!(pairs.note(expired, at(19)), None);
        assert_eq!(pairs.note(expired, at(30)), Some((expired, 1)));
        assert_eq!(pairs.note(expired, at(60)), Some((expired, 0)));
    }

    #[tokio::test(start_paused = true)]
    async fn holds_a_bounded_number_of_clients_and_still_writes_of_the_others() {
        let (mut pairs, start) = (Pairs::default(), Instant::now());
        let mut lines = Vec::new();
        for number in 0..100_000 {
            lines.extend(pairs.note((TokenError::Signature, client(number)), start));
        }
        assert_eq!(lines.len(), MAX_PAIRS + 1);
        assert_eq!(lines[MAX_PAIRS], ((TokenError::Signature, None), 0));
        assert!(pairs.0.len() <= MAX_PAIRS + TokenError::ALL.len());

        let next = (TokenError::Signature, client(200_000));
        assert_eq!(pairs.note(next, start + EVERY), Some((next, 0)), "there is room again");
    }
}
