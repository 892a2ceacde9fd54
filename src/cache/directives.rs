//! The request directives of `Cache-Control` (RFC 9111 section 5.2.1), and what they and an
//! entry's life allow. Pure: `now` is an argument wherever time matters.

use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;

use super::{
    Class, Classes,
    entry::{Entry, Freshness},
};
use crate::cache_control::{Directive, directives};

/// What a request asks of caches.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directives {
    /// Neither read, join nor store.
    pub no_store: bool,
    /// Nothing that was asked for before this request.
    pub no_cache: bool,
    /// Nothing that takes a call.
    pub only_if_cached: bool,
    /// Nothing older.
    pub max_age: Option<Duration>,
    /// Nothing that stays fresh for less.
    pub min_fresh: Option<Duration>,
    /// Also what is stale for no longer; `Duration::MAX` if the directive has no argument.
    pub max_stale: Option<Duration>,
}

/// How long past their time entries may still be served.
#[derive(Clone, Copy, Debug)]
pub struct StaleWindows {
    /// While a refresh runs behind, class finished only.
    pub while_revalidate: Duration,
    /// When the refresh failed in a way that permits it.
    pub if_error: Duration,
}

/// What may be done with a held entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Serve it.
    Fresh,
    /// Serve it; `refresh` behind it or not.
    Stale {
        /// Whether the upstream is to be asked meanwhile.
        refresh: bool,
    },
    /// Ask the upstream.
    Unusable,
}

// === impl Directives ===

impl Directives {
    /// Reads every `Cache-Control` field of a request. Unknown directives are ignored; an
    /// argument that cannot be read counts as 0, the strictest.
    pub fn of(headers: &HeaderMap) -> Self {
        let mut of_request = Self::default();
        directives(headers).for_each(|directive| of_request.read(directive));
        of_request
    }

    fn read(&mut self, directive: Directive<'_>) {
        let argument = directive.seconds().map(Duration::from_secs);
        let seconds = argument.unwrap_or_default();
        // Of a directive that stands twice, the stricter counts.
        let stricter = |old: Option<Duration>, new: Duration| Some(old.map_or(new, |o| o.min(new)));
        if directive.is("no-store") {
            self.no_store = true;
        } else if directive.is("no-cache") {
            self.no_cache = true;
        } else if directive.is("only-if-cached") {
            self.only_if_cached = true;
        } else if directive.is("max-age") {
            self.max_age = stricter(self.max_age, seconds);
        } else if directive.is("min-fresh") {
            self.min_fresh = self.min_fresh.max(Some(seconds));
        } else if directive.is("max-stale") {
            self.max_stale = stricter(self.max_stale, argument.unwrap_or(Duration::MAX));
        }
    }

    /// What may be done with `entry` at `now`.
    pub(super) fn check(&self, entry: &Entry, windows: &StaleWindows, now: Instant) -> Verdict {
        if self.no_store || self.no_cache || self.max_age.is_some_and(|max| entry.age(now) > max) {
            return Verdict::Unusable;
        }
        // Most requests do not ask for how long, and a comparison costs less than a difference.
        if self.min_fresh.is_none() && now < entry.fresh_until() {
            return Verdict::Fresh;
        }
        match entry.freshness(now) {
            Freshness::Fresh(left) if self.min_fresh.is_some_and(|min| left < min) => {
                Verdict::Unusable
            }
            Freshness::Fresh(_) => Verdict::Fresh,
            Freshness::Stale(since) => self.check_stale(entry.classes(), since, windows),
        }
    }

    fn check_stale(&self, classes: Classes, since: Duration, windows: &StaleWindows) -> Verdict {
        let revalidates = classes.are_only(Class::Finished) && since <= windows.while_revalidate;
        let allowed = match self.max_stale {
            Some(limit) => since <= limit,
            None => revalidates && self.allows_stale(),
        };
        if allowed {
            Verdict::Stale { refresh: revalidates && !self.only_if_cached }
        } else {
            Verdict::Unusable
        }
    }

    /// Whether a stale entry may stand in for a failed refresh.
    pub(super) fn permits_stale_if_error(
        &self,
        entry: &Entry,
        windows: &StaleWindows,
        now: Instant,
    ) -> bool {
        let within = match entry.freshness(now) {
            Freshness::Fresh(_) => true,
            Freshness::Stale(since) => since <= windows.if_error,
        };
        within && !self.no_store && !self.no_cache && self.allows_stale()
    }

    fn allows_stale(&self) -> bool {
        self.max_age.is_none() && self.min_fresh.is_none()
    }
}
