//! The request directives of `Cache-Control` (RFC 9111 section 5.2.1), and what they and an
//! entry's life allow. Pure: `now` is an argument wherever time matters.

use std::time::Duration;

use http::HeaderMap;
use tokio::time::Instant;

use super::{Class, Classes, Freshness, Results, StaleWindows};
use crate::{
    cache::{Rules, Verdict},
    cache_control::{Directive, directives},
};

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

/// What a request asks of caches, when it comes.
pub(super) struct DirectivesAt<'a> {
    pub(super) directives: &'a Directives,
    pub(super) stale: StaleWindows,
    /// Nothing older, because other replicas may have written.
    pub(super) doubt: Option<Duration>,
    pub(super) now: Instant,
}

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
        // Of a directive that appears twice, the stricter counts.
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

    fn allows_stale(&self) -> bool {
        self.max_age.is_none() && self.min_fresh.is_none()
    }
}

impl DirectivesAt<'_> {
    fn check_stale(&self, classes: Classes, since: Duration) -> Verdict {
        let revalidates = classes.are_only(Class::Finished) && since <= self.stale.while_revalidate;
        let allowed = match self.directives.max_stale {
            Some(limit) => since <= limit,
            None => revalidates && self.directives.allows_stale(),
        };
        if allowed {
            Verdict::Stale { refresh: revalidates && !self.directives.only_if_cached }
        } else {
            Verdict::Unusable
        }
    }

    /// Whether a stale entry may stand in for a failed refresh.
    pub(super) fn permit_stale_if_error(&self, results: &Results) -> bool {
        let Self { directives, stale, now, .. } = self;
        let within = match results.freshness(*now) {
            Freshness::Fresh(_) => true,
            Freshness::Stale(since) => since <= stale.if_error,
        };
        within && !directives.no_store && !directives.no_cache && directives.allows_stale()
    }
}

impl Rules<Results> for DirectivesAt<'_> {
    #[inline]
    fn check(&self, results: &Results) -> Verdict {
        let Self { directives, doubt, now, .. } = *self;
        let is_too_old = |max| results.age(now) > max;
        if directives.no_store
            || directives.no_cache
            || directives.max_age.is_some_and(is_too_old)
            || doubt.is_some_and(is_too_old)
        {
            return Verdict::Unusable;
        }
        // Most requests do not ask for how long, and a comparison costs less than a difference.
        if directives.min_fresh.is_none() && now < results.fresh_until() {
            return Verdict::Fresh;
        }
        match results.freshness(now) {
            Freshness::Fresh(left) if directives.min_fresh.is_some_and(|min| left < min) => {
                Verdict::Unusable
            }
            Freshness::Fresh(_) => Verdict::Fresh,
            Freshness::Stale(since) => self.check_stale(results.classes(), since),
        }
    }

    /// What was sent before it came is not what `no-cache` asks for, and in doubt may be older
    /// than what others wrote.
    fn joins_sent(&self) -> bool {
        !self.directives.no_cache && self.doubt.is_none_or(|max_age| !max_age.is_zero())
    }

    fn only_if_cached(&self) -> bool {
        self.directives.only_if_cached
    }
}
