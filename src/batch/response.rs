//! The head of a batch response: what it says about where its parts come from and how long they
//! are good.

use std::{fmt::Write as _, time::Duration};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode,
    header::{AGE, CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH},
};
use tokio::time::Instant;

use super::{
    gather::{Gathered, Part},
    splice::Splice,
};
use crate::{
    body::Body,
    digest,
    headers::{ACCEPT_QUERY, PSEUDONYM, pseudonym},
    hex::hex,
    vehicle_cache::{CacheStatus, Directives, Freshness},
};

/// Makes the response of what was gathered.
pub(super) struct Composer<'a> {
    pub(super) method: &'a Method,
    pub(super) fields: &'a HeaderMap,
    pub(super) directives: &'a Directives,
    /// Whether the request has a credential, and the cache is on.
    pub(super) is_cacheable: bool,
}

/// How many vehicles came from where, and how long the response is good.
#[derive(Debug)]
pub(super) struct Tally {
    counts: [u64; CacheStatus::ALL.len()],
    /// Of the oldest part.
    age: Duration,
    /// Until the first part is stale; with a stale part, how long it is so.
    freshness: Freshness,
}

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

impl Composer<'_> {
    /// A 200, or a 304 if the client has the same response already.
    pub(super) fn compose(&self, gathered: Gathered, tally: &Tally) -> Response<Body> {
        let etag = etag(&gathered.parts);
        let is_known = self
            .fields
            .get_all(IF_NONE_MATCH)
            .iter()
            .any(|field| matches(field, &etag));
        let mut response = match is_known {
            true => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::NOT_MODIFIED;
                response
            }
            false => {
                let entries = gathered.parts.into_iter().map(|part| part.entry);
                let mut response = Response::new(Body::new(Splice::new(entries)));
                response.headers_mut().insert(CONTENT_TYPE, JSON);
                response
            }
        };
        let status = gathered.masked_failure.and_then(|failure| failure.status());
        let head = response.headers_mut();
        head.insert(CACHE_STATUS, text(tally.cache_status(self, status)));
        head.insert(CACHE_CONTROL, text(tally.cache_control(self)));
        head.insert(AGE, tally.age.as_secs().into());
        head.insert(ETAG, text(etag));
        head.insert(ACCEPT_QUERY, JSON);
        response
    }
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
        self.counts[from.index()]
    }

    /// `Cache-Status` (RFC 9211).
    fn cache_status(&self, composer: &Composer<'_>, upstream: Option<StatusCode>) -> String {
        let of = |from| self.count(from);
        let held = of(CacheStatus::Hit) + of(CacheStatus::Absent) + of(CacheStatus::Stale);
        let asked = of(CacheStatus::Miss) + of(CacheStatus::Bypass);
        let (stale_on_error, joined) = (of(CacheStatus::StaleOnError), of(CacheStatus::Joined));

        let mut status = String::with_capacity(96);
        status.push_str(concat!(pseudonym!(), "; "));
        let directives = composer.directives;
        match () {
            () if !composer.is_cacheable => status.push_str("fwd=bypass"),
            () if stale_on_error > 0 => {
                status.push_str("fwd=stale");
                if let Some(upstream) = upstream {
                    // Writing to a string does not fail.
                    let _ = write!(status, "; fwd-status={}", upstream.as_u16());
                }
            }
            () if asked + joined == 0 => {
                let _ = write!(status, "hit; ttl={}", self.ttl());
            }
            () if directives.no_store || directives.no_cache => status.push_str("fwd=request"),
            () if held > 0 => status.push_str("fwd=partial"),
            () if asked > 0 => status.push_str("fwd=miss"),
            () => status.push_str("fwd=miss; collapsed"),
        }
        let _ = write!(
            status,
            "; detail=\"hit={} stale={} joined={joined} miss={asked} absent={}\"",
            of(CacheStatus::Hit),
            of(CacheStatus::Stale) + stale_on_error,
            of(CacheStatus::Absent),
        );
        status
    }

    /// `Cache-Control`. Caches that key by URI must ask again, because the body of a `GET` is no
    /// part of their key; that of a `QUERY` is (RFC 10008 section 2.7).
    fn cache_control(&self, composer: &Composer<'_>) -> String {
        if composer.directives.no_store || !composer.is_cacheable {
            return "no-store".to_owned();
        }
        let max_age = match self.freshness {
            Freshness::Fresh(left) => self.age.as_secs() + left.as_secs(),
            Freshness::Stale(_) => 0,
        };
        match *composer.method == Method::QUERY {
            true => format!("private, max-age={max_age}"),
            false => format!("private, no-cache, max-age={max_age}"),
        }
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

/// Says of a response that it did not come by way of the cache.
/// `asked` distinct vehicles were asked for.
pub(super) fn mark_bypassed(mut response: Response<Body>, asked: usize) -> Response<Body> {
    let status =
        format!("{PSEUDONYM}; fwd=bypass; detail=\"hit=0 stale=0 joined=0 miss={asked} absent=0\"");
    let head = response.headers_mut();
    head.append(CACHE_STATUS, text(status));
    head.insert(ACCEPT_QUERY, JSON);
    response
}

/// A strong validator: a hash of the elements' own hashes in their order, which is the same
/// after a restart and on every replica.
fn etag(parts: &[Part]) -> String {
    let parts = parts.iter().filter(|part| !part.entry.bytes().is_empty());
    let hash = digest::of_equally_long(parts.map(|part| &part.entry.content_hash()[..]));
    ["\"", &hex(&hash[..16]), "\""].concat()
}

/// Whether an `If-None-Match` field names `etag`, by weak comparison (RFC 9110 section 13.1.2).
fn matches(field: &HeaderValue, etag: &str) -> bool {
    // An entity tag may contain a comma, but none that is ours does.
    let Ok(field) = field.to_str() else { return false };
    field
        .split(',')
        .map(str::trim)
        .any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}

/// A field value of printable ASCII.
fn text(text: String) -> HeaderValue {
    HeaderValue::from_maybe_shared(bytes::Bytes::from(text))
        .expect("letters, digits and punctuation make a field value")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_tags_weakly_and_one_by_one() {
        let etag = "\"a1\"";
        for (field, is_named) in [
            ("\"a1\"", true),
            ("W/\"a1\"", true),
            ("\"b\", \"a1\"", true),
            ("\"b\",W/\"a1\" ,\"c\"", true),
            ("*", true),
            ("", false),
            ("a1", false),
            ("\"a\"", false),
            ("\"a1\" \"b\"", false),
            ("w/\"a1\"", false),
            ("\"A1\"", false),
            ("\u{e9}", false),
        ] {
            let field = HeaderValue::from_bytes(field.as_bytes()).unwrap();
            assert_eq!(matches(&field, etag), is_named, "{field:?}");
        }
    }
}
