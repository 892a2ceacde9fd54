//! Holds the sources to the house rules: imports go only downward, files stay small, and
//! nothing is left for later. Holds the alerts and the documents to the sources, and manifests to
//! the configuration.
//!
//! A module may use what stands on the levels below its own. Whether it may use its neighbours
//! on the same level, the level says. Test code (`#[cfg(test)]` items, `tests.rs`, `tests/`,
//! `testing.rs`, `testing/`, `fuzzing.rs`) may use what it likes.

mod circles;
mod deploy;
mod documents;
mod kubernetes;
mod machine;
mod names;
mod paths;
mod sizes;
mod source;
mod yaml;

use self::{
    paths::paths,
    source::{production, sources},
};

/// The modules of the crate, from the bottom to the top.
const LEVELS: [Level; 12] = [
    // Words that everybody speaks.
    together(&[
        "body",
        "backoff",
        "cache_control",
        "causes",
        "client",
        "connection_memory",
        "digest",
        "files",
        "gzip",
        "headers",
        "hex",
        "json",
        "labels",
        "last",
        "latest",
        "long_work",
        "peer",
        "problem",
        "proxy_status",
        "refusal_log",
        "refusals",
        "request_context",
        "request_id",
        "route",
        "rule",
        "seal",
        "timers",
        "tls",
        "trace",
        "vehicle",
    ]),
    // A mechanism, which knows nothing of what it is used for.
    apart(&["cache"]),
    // One subject each. What they need from one another, `app` hands over.
    apart(&["auth", "limit", "telemetry", "upstream", "vehicle_cache"]),
    apart(&["shared_tier", "snapshot"]),
    apart(&["loader", "normalize"]),
    apart(&["batch", "forward"]),
    // Where all of it becomes the path of a request.
    apart(&["gateway"]),
    // The edges.
    apart(&["admin", "sandbox", "server"]),
    // Translates a file into everybody's `Config`, so nobody else knows of files.
    apart(&["config"]),
    apart(&["app"]),
    // Two that use all the others: who runs them, and who tries them.
    apart(&["cli", "fuzzing"]),
    apart(&["main"]),
];

/// Modules that may use only these, whatever the levels say.
///
/// The sandbox stands in for Sync: a fault in code that it shared with the gateway would not
/// show in any test of the two.
const ONLY: [(&str, &[&str]); 1] = [("sandbox", &["vehicle"])];

/// What a finished program does not contain.
const UNFINISHED: [&str; 5] = ["TODO", "FIXME", "unimplemented!", "todo!", "dbg!"];

struct Level {
    modules: &'static [&'static str],
    /// Whether they may use one another.
    together: bool,
}

#[test]
fn imports_go_only_downward() {
    let mut wrong = Vec::new();
    for source in production() {
        // The root only declares modules, it uses none.
        if source.room() == "lib" {
            continue;
        }
        for path in paths(&source.text, &source.module(), &[]) {
            if let Some(reason) = objection(source.room(), &path.segments[0]) {
                wrong.push(format!("src/{}:{}: {reason}", source.path, path.line));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn every_module_has_its_level() {
    for source in sources() {
        let module = source.room();
        assert!(module == "lib" || level(module).is_some(), "{module} is not in LEVELS");
    }
}

#[test]
fn nothing_is_left_for_later() {
    for source in sources() {
        for (nth, line) in source.text.lines().enumerate() {
            if let Some(word) = unfinished(line) {
                panic!("src/{}:{} says {word}", source.path, nth + 1);
            }
        }
    }
}

#[test]
fn objects_to_what_goes_up_sideways_or_nowhere() {
    for (from, to, allowed) in [
        ("batch", "batch", true),
        ("batch", "vehicle_cache", true),
        ("batch", "vehicle", true),
        ("body", "route", true),
        ("main", "cli", true),
        ("sandbox", "vehicle", true),
        ("vehicle", "auth", false),
        ("auth", "vehicle_cache", false),
        ("batch", "forward", false),
        ("normalize", "batch", false),
        ("gateway", "server", false),
        ("upstream", "config", false),
        ("sandbox", "body", false),
        ("batch", "elsewhere", false),
        ("batch", "*", false),
    ] {
        assert_eq!(objection(from, to).is_none(), allowed, "{from} → {to}");
    }
}

#[test]
fn finds_words_but_not_parts_of_words() {
    for (line, found) in [
        ("// TODO: later", Some("TODO")),
        ("todo!()", Some("todo!")),
        ("    dbg!(x);", Some("dbg!")),
        ("const METODOS: u8 = 0;", None),
        ("my_todo!()", None),
        ("let todo = 1;", None),
    ] {
        assert_eq!(unfinished(line), found, "{line}");
    }
}

#[test]
fn finds_the_names_of_metrics() {
    let text = "sum(rate(vingate_a_total{x=\"vingate\"}[5m])) / vingate_b # vingate.toml";
    assert_eq!(metrics(text).collect::<Vec<_>>(), ["vingate_a_total", "vingate_b"]);
}

const fn together(modules: &'static [&'static str]) -> Level {
    Level { modules, together: true }
}

const fn apart(modules: &'static [&'static str]) -> Level {
    Level { modules, together: false }
}

/// Where a module stands.
fn level(module: &str) -> Option<usize> {
    LEVELS
        .iter()
        .position(|level| level.modules.contains(&module))
}

/// Why `from` may not use `to`, if it may not.
fn objection(from: &str, to: &str) -> Option<String> {
    if from == to {
        return None;
    }
    let arrow = format!("{from} → {to}");
    let (Some(from_level), Some(to_level)) = (level(from), level(to)) else {
        return Some(format!("{arrow}: not modules of LEVELS"));
    };
    if let Some((_, only)) = ONLY.iter().find(|(module, _)| *module == from) {
        return (!only.contains(&to)).then(|| format!("{arrow}: may use only {only:?}"));
    }
    if to_level > from_level {
        Some(format!("{arrow}: goes up"))
    } else if to_level == from_level && !LEVELS[from_level].together {
        Some(format!("{arrow}: goes sideways"))
    } else {
        None
    }
}

/// The gateway's own metrics that a text names.
fn metrics(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("vingate_"))
}

/// The word of [`UNFINISHED`] that stands in a line.
fn unfinished(line: &str) -> Option<&'static str> {
    let is_inside = |c: char| c.is_alphanumeric() || c == '_';
    UNFINISHED.into_iter().find(|word| {
        line.match_indices(word).any(|(at, _)| {
            let (before, after) = (&line[..at], &line[at + word.len()..]);
            !before.ends_with(is_inside) && !after.starts_with(is_inside)
        })
    })
}
