//! The page for people, and what it shows.

use std::{sync::LazyLock, time::Duration};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::HeaderValue;
use prometheus::proto::MetricFamily;
use serde_json::{Value, json};

use super::{
    figures::{self, Figures},
    history::History,
};
use crate::digest;

/// One self-contained file.
pub(super) const PAGE: &str = include_str!("page.html");

/// Its own style and script, and requests to its own origin; nothing else.
pub(super) static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = |tag| BASE64_STANDARD.encode(digest::of(inner(tag).as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; script-src 'sha256-{}'; connect-src 'self'; \
         img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        hash("style"),
        hash("script"),
    );
    HeaderValue::try_from(policy).expect("hashes are visible ASCII")
});

/// What stands between `<tag>` and its end.
fn inner(tag: &str) -> &'static str {
    let after = PAGE.split(&format!("<{tag}>")).nth(1).unwrap_or_default();
    after.split(&format!("</{tag}>")).next().unwrap_or_default()
}

/// What `/status` says.
pub(super) fn status(
    uptime: Duration,
    reasons: &[&str],
    families: &[MetricFamily],
    history: &History,
) -> Value {
    let figures = figures::of(families);
    let sum = |prefix| figures::total(&figures, prefix);
    json!({
        "version": env!("CARGO_PKG_VERSION"),
        "uptime_seconds": uptime.as_secs(),
        "ready": reasons.is_empty(),
        "reasons": reasons,
        "state": state(reasons, &figures),
        "sums": {
            "requests": sum("requests."),
            "vehicles": sum("vehicles."),
            "calls": sum("calls."),
            "refusals": sum("refusals."),
        },
        "last_minute": history.last_minute(&figures),
        "figures": figures,
        "history": history.shown(figures.clone()),
    })
}

/// Whether all is well, which is "ready" alone, in words for people.
fn state(reasons: &[&str], figures: &Figures) -> String {
    let figure = |name| figures.get(name).copied();
    let mut state = match reasons {
        [] => "ready".to_owned(),
        _ => format!("not ready: {}", reasons.join(", ")),
    };
    if figure("breaker").is_some_and(|breaker| breaker > 0.0) {
        state += "; Sync fails, and is not called for now";
    }
    if figure("shared_valid") == Some(0.0) {
        state += "; writes of other replicas are not heard";
    }
    state
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_whether_all_is_well() {
        for (reasons, figures, said) in [
            (&[][..], &[][..], "ready"),
            (&[], &[("breaker", 0.0), ("shared_valid", 1.0)], "ready"),
            (&["starting", "jwks"], &[], "not ready: starting, jwks"),
            (&[], &[("breaker", 1.0)], "ready; Sync fails, and is not called for now"),
            (&[], &[("breaker", 2.0)], "ready; Sync fails, and is not called for now"),
            (&[], &[("shared_valid", 0.0)], "ready; writes of other replicas are not heard"),
        ] {
            let figures = figures
                .iter()
                .map(|(name, value)| ((*name).to_owned(), *value));
            assert_eq!(state(reasons, &figures.collect()), said);
        }
        let words = |text: &str| inner("script").contains(text);
        assert!(!words("Sync fails") && words("state === \"ready\""), "the page says the same");
    }

    #[test]
    fn is_one_small_file_that_asks_nobody_else() {
        assert!(PAGE.len() < 100 * 1024);
        assert_eq!((PAGE.matches("<style>").count(), PAGE.matches("<script>").count()), (1, 1));
        for foreign in ["src=", "@import", "url(", " style=", "onclick", "innerHTML"] {
            assert!(!PAGE.contains(foreign), "{foreign}");
        }
        let namespace = "http://www.w3.org/2000/svg";
        assert_eq!(PAGE.matches("//").count(), PAGE.matches(namespace).count() + comments());
        assert!(inner("style").contains("--ground") && inner("script").contains("poll()"));
    }

    #[test]
    fn shows_every_figure() {
        for figure in figures::names() {
            let is_shown = [format!("figures.{figure}"), format!("\"{figure}")]
                .iter()
                .any(|use_of_it| inner("script").contains(use_of_it));
            assert!(is_shown, "{figure}");
        }
    }

    /// A page whose URL has a password in it cannot ask for a path alone.
    #[test]
    fn asks_for_whole_urls() {
        assert_eq!(PAGE.matches("fetch(").count(), 2);
        assert_eq!(PAGE.matches("fetch(here(").count(), 2);
    }

    fn comments() -> usize {
        PAGE.lines()
            .filter(|line| line.trim_start().starts_with("// "))
            .count()
    }
}
