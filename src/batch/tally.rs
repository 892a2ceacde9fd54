//! What a batch response says about where its parts come from and how long they are good.

use std::time::Duration;

use http::{Method, StatusCode};
use tokio::time::Instant;

use super::gather::Part;
use crate::{
    headers::pseudonym,
    vehicle_cache::{CacheStatus, Directives, Freshness},
};

/// How many vehicles came from where, and how long the response is good.
#[derive(Debug)]
pub(super) struct Tally {
    counts: [u64; CacheStatus::ALL.len()],
    /// Of the oldest part.
    pub(super) age: Duration,
    /// Until the first part is stale; with a stale part, how long it is so.
    freshness: Freshness,
}

/// What of a request decides what its response says.
pub(super) struct Terms<'a> {
    pub(super) method: &'a Method,
    pub(super) directives: &'a Directives,
    /// Whether the request has a credential, and the cache is on.
    pub(super) is_cacheable: bool,
}

impl Tally {
    /// Counts the parts of a response.
    pub(super) fn of(parts: &[Part], now: Instant) -> Self {
        let mut counts = [0; CacheStatus::ALL.len()];
        let (mut filled_at, mut fresh_until) = (now, None);
        for Part { entry, from } in parts {
            counts[from.index()] += 1;
            filled_at = entry.filled_at().instant.min(filled_at);
            let until = entry.fresh_until();
            fresh_until = Some(fresh_until.map_or(until, |other| until.min(other)));
        }
        Self {
            counts,
            age: now.saturating_duration_since(filled_at),
            freshness: Freshness::at(fresh_until.unwrap_or(now), now),
        }
    }

    /// How many vehicles came from where.
    pub(super) fn counts(&self) -> impl Iterator<Item = (CacheStatus, u64)> + '_ {
        CacheStatus::ALL
            .into_iter()
            .map(|from| (from, self.count(from)))
    }

    fn count(&self, from: CacheStatus) -> u64 {
        self.counts[from]
    }

    /// `Cache-Status` (RFC 9211).
    pub(super) fn cache_status(&self, terms: &Terms<'_>, upstream: Option<StatusCode>) -> String {
        let of = |from| self.count(from);
        let held = of(CacheStatus::Hit) + of(CacheStatus::Absent) + of(CacheStatus::Stale);
        let asked = of(CacheStatus::Miss) + of(CacheStatus::Bypass);
        let (stale_on_error, joined) = (of(CacheStatus::StaleOnError), of(CacheStatus::Joined));

        let mut status = String::with_capacity(96);
        status.push_str(concat!(pseudonym!(), "; "));
        let directives = terms.directives;
        match () {
            () if !terms.is_cacheable => status.push_str("fwd=bypass"),
            () if stale_on_error > 0 => {
                status.push_str("fwd=stale");
                if let Some(upstream) = upstream {
                    status.push_str("; fwd-status=");
                    status.push_str(upstream.as_str());
                }
            }
            () if asked + joined == 0 => {
                status.push_str("hit; ttl=");
                push_number(&mut status, self.ttl());
            }
            () if directives.no_store || directives.no_cache => status.push_str("fwd=request"),
            () if held > 0 => status.push_str("fwd=partial"),
            () if asked > 0 => status.push_str("fwd=miss"),
            () => status.push_str("fwd=miss; collapsed"),
        }
        status.push_str("; detail=\"");
        for (name, count) in [
            ("hit=", of(CacheStatus::Hit)),
            (" stale=", of(CacheStatus::Stale) + stale_on_error),
            (" joined=", joined),
            (" miss=", asked),
            (" absent=", of(CacheStatus::Absent)),
        ] {
            status.push_str(name);
            push_number(&mut status, count);
        }
        status.push('"');
        status
    }

    /// `Cache-Control`. Caches that key by URI must ask again, because the body of a `GET` is no
    /// part of their key; that of a `QUERY` is (RFC 10008 section 2.7).
    pub(super) fn cache_control(&self, terms: &Terms<'_>) -> String {
        if terms.directives.no_store || !terms.is_cacheable {
            return "no-store".to_owned();
        }
        let max_age = match self.freshness {
            Freshness::Fresh(left) => self.age.as_secs() + left.as_secs(),
            Freshness::Stale(_) => 0,
        };
        let mut control = String::with_capacity(48);
        control.push_str(match *terms.method == Method::QUERY {
            true => "private, max-age=",
            false => "private, no-cache, max-age=",
        });
        push_number(&mut control, max_age);
        control
    }

    /// Whole seconds until the first part is stale; negative since then.
    fn ttl(&self) -> i64 {
        let seconds = |d: Duration| i64::try_from(d.as_secs()).unwrap_or(i64::MAX);
        match self.freshness {
            Freshness::Fresh(left) => seconds(left),
            Freshness::Stale(since) if since.is_zero() => 0,
            // Stale for half a second is stale all the same.
            Freshness::Stale(since) => -seconds(since).max(1),
        }
    }
}

/// Without the machinery of `fmt`, which costs a response for one vehicle more than its vehicle.
fn push_number(text: &mut String, number: impl itoa::Integer) {
    text.push_str(itoa::Buffer::new().format(number));
}
