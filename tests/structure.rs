//! Holds the sources to the house rules: imports go only downward, files stay small, and
//! nothing is left for later. Holds the alerts to the sources.
//!
//! A module may use what stands on the levels below its own. Whether it may use its neighbours
//! on the same level, the level says. Test code (`#[cfg(test)]` items, `tests.rs`, `tests/`,
//! `testing.rs`) may use what it likes.

use std::{
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// The modules of the crate, from the bottom to the top.
const LEVELS: [Level; 10] = [
    // Words that everybody speaks.
    together(&["body", "peer", "request_id", "route", "rule", "vehicle"]),
    // One subject each. What they need from one another, `app` hands over.
    apart(&["auth", "cache", "limit", "telemetry", "upstream"]),
    apart(&["normalize"]),
    apart(&["batch", "forward"]),
    // Where all of it becomes the path of a request.
    apart(&["gateway"]),
    // The edges.
    apart(&["admin", "sandbox", "server"]),
    // Translates a file into everybody's `Config`, so nobody else knows of files.
    apart(&["config"]),
    together(&["app", "reload"]),
    apart(&["cli"]),
    apart(&["main"]),
];

/// Modules that may use only these, whatever the levels say.
///
/// The sandbox stands in for Sync: a fault in code that it shared with the gateway would not
/// show in any test of the two.
const ONLY: [(&str, &[&str]); 1] = [("sandbox", &["vehicle"])];

/// Lines of a file, its tests included.
const MAX_LINES: usize = 500;

/// Files that may be longer, each with its reason.
const LONGER: [(&str, &str); 0] = [];

/// What a finished program does not contain.
const UNFINISHED: [&str; 5] = ["TODO", "FIXME", "unimplemented!", "todo!", "dbg!"];

struct Level {
    modules: &'static [&'static str],
    /// Whether they may use one another.
    together: bool,
}

/// A file of `src/`.
struct Source {
    /// From `src/` on, with `/`.
    path: String,
    text: String,
}

/// A use of another module, at a line.
#[derive(Debug, PartialEq, Eq)]
struct Arrow {
    line: usize,
    to: String,
}

#[test]
fn imports_go_only_downward() {
    let wrong: Vec<_> = sources()
        .iter()
        .filter(|source| !source.is_test())
        .flat_map(|source| {
            let arrows = source.arrows().into_iter();
            arrows.filter_map(|arrow| {
                let refused = refusal(source.module(), &arrow.to)?;
                Some(format!("src/{}:{}: {refused}", source.path, arrow.line))
            })
        })
        .collect();
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

#[test]
fn every_module_has_its_level() {
    for source in sources() {
        let module = source.module();
        assert!(module == "lib" || level(module).is_some(), "{module} is not in LEVELS");
    }
}

#[test]
fn no_file_is_too_long() {
    for Source { path, text } in sources() {
        let lines = text.lines().count();
        let has_reason = LONGER.iter().any(|(longer, _)| *longer == path);
        assert!(
            has_reason || lines <= MAX_LINES,
            "src/{path} has {lines} lines, more than {MAX_LINES}"
        );
    }
}

#[test]
fn nothing_is_left_for_later() {
    for Source { path, text } in sources() {
        for (nth, line) in text.lines().enumerate() {
            if let Some(word) = unfinished(line) {
                panic!("src/{path}:{} says {word}", nth + 1);
            }
        }
    }
}

/// A metric that was renamed would silence its alerts, and nobody would hear of it.
#[test]
fn alerts_ask_for_metrics_that_are_registered() {
    let alerts = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/alerts.yml");
    let alerts = fs::read_to_string(alerts).expect("the alerts are readable text");
    let names: Vec<_> = metrics(&alerts).collect();
    assert!(!names.is_empty(), "found no metrics in the alerts");
    let sources = sources();
    for name in names {
        let registered = format!("\"{}\"", name.trim_end_matches("_bucket"));
        let is_known = sources
            .iter()
            .any(|source| source.text.contains(&registered));
        assert!(is_known, "no module registers {name}");
    }
}

#[test]
fn finds_every_form_of_a_path() {
    for (text, found) in [
        ("use crate::cache::Key;", vec!["cache"]),
        ("pub use crate::cache::Key;", vec!["cache"]),
        (
            "use crate::{cache::{Key, Entry}, route::Route, vehicle};",
            vec!["cache", "route", "vehicle"],
        ),
        ("use crate::*;", vec!["*"]),
        ("fn f(x: &crate::cache::Key) -> Vec<crate::auth::Caller> {}", vec!["cache", "auth"]),
        ("fn f() { println!(\"{}\", crate::cache::NAME) }", vec!["cache"]),
        ("use super::super::cache::Key;", vec!["cache"]),
        ("use super::super::{cache::Key, auth};", vec!["cache", "auth"]),
        ("mod inner { use super::super::super::cache::Key; }", vec!["cache"]),
        ("use vingate::cli;", vec!["cli"]),
        // Not other modules of the crate:
        ("use super::cache::Key;", vec![]),
        ("mod inner { use super::super::cache::Key; }", vec![]),
        ("use other::crate_::x; pub(crate) fn f() {}", vec![]),
        ("// use crate::cache;\n/// [`Key`](crate::cache::Key)\nfn f() {}", vec![]),
        ("const TEXT: &str = \"crate::cache\";", vec![]),
        ("#[cfg(test)] mod tests { use crate::cache::Key; }", vec![]),
        ("#[cfg(test)] use crate::cache::{Key, Entry}; use crate::auth::Caller;", vec!["auth"]),
        ("#[cfg(test)] mod tests; fn f() { crate::auth::f() }", vec!["auth"]),
    ] {
        let source = Source { path: "batch/asked.rs".into(), text: text.into() };
        let arrows = source.arrows();
        let to: Vec<_> = arrows.iter().map(|arrow| arrow.to.as_str()).collect();
        assert_eq!(to, found, "{text}");
    }
}

#[test]
fn finds_the_line_and_knows_how_deep_a_file_is() {
    for (path, text, found) in [
        ("cache/mod.rs", "\n\nuse super::auth::X;", vec![(3, "auth")]),
        (
            "cache/mod.rs",
            "use crate::{\n    route,\n    auth::X,\n};",
            vec![(2, "route"), (3, "auth")],
        ),
        ("route.rs", "use super::auth::X;", vec![(1, "auth")]),
        ("batch/asked/read.rs", "use super::super::super::auth::X;", vec![(1, "auth")]),
        ("batch/asked/read.rs", "use super::super::auth::X;", vec![]),
    ] {
        let arrows = Source { path: path.into(), text: text.into() }.arrows();
        let arrows: Vec<_> = arrows.iter().map(|a| (a.line, a.to.as_str())).collect();
        assert_eq!(arrows, found, "{path}: {text}");
    }
}

#[test]
fn refuses_what_goes_up_sideways_or_nowhere() {
    for (from, to, allowed) in [
        ("batch", "batch", true),
        ("batch", "cache", true),
        ("batch", "vehicle", true),
        ("body", "route", true),
        ("main", "cli", true),
        ("sandbox", "vehicle", true),
        ("vehicle", "auth", false),
        ("auth", "cache", false),
        ("batch", "forward", false),
        ("normalize", "batch", false),
        ("gateway", "server", false),
        ("upstream", "config", false),
        ("sandbox", "body", false),
        ("batch", "elsewhere", false),
        ("batch", "*", false),
    ] {
        assert_eq!(refusal(from, to).is_none(), allowed, "{from} → {to}");
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

// === impl Level ===

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
fn refusal(from: &str, to: &str) -> Option<String> {
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

// === impl Source ===

impl Source {
    /// The first segment of the module path, `lib` for the crate's root.
    fn module(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// Segments of the module path.
    fn depth(&self) -> usize {
        let parts = self.path.split('/').count();
        if self.path.ends_with("/mod.rs") { parts - 1 } else { parts }
    }

    fn is_test(&self) -> bool {
        let mut parts = self.path.split('/');
        parts.any(|part| matches!(part, "tests" | "tests.rs" | "testing" | "testing.rs"))
    }

    /// Its uses of modules of the crate. The root only declares modules, it uses none.
    fn arrows(&self) -> Vec<Arrow> {
        let mut arrows = Vec::new();
        if self.module() != "lib" {
            let tokens = self.text.parse().expect("sources that compile are tokens");
            collect(tokens, self.depth(), &mut arrows);
        }
        arrows
    }
}

/// Every file of `src/`.
fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut sources = Vec::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for path in children(&folder) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a source is readable text");
                let below = path.strip_prefix(&root).expect("it was found there");
                sources.push(Source { path: below.display().to_string(), text });
            }
        }
    }
    assert!(sources.len() > 1, "found no sources in {}", root.display());
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}

fn children(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder of sources is readable");
    entries.map(|entry| entry.expect("a folder of sources is readable").path())
}

/// Collects the modules named by paths that start at the crate's root, in code that is `depth`
/// modules below it.
fn collect(tokens: TokenStream, depth: usize, arrows: &mut Vec<Arrow>) {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let mut rest = &tokens[..];
    while let [first, after @ ..] = rest {
        if let [TokenTree::Punct(hash), TokenTree::Group(attribute), item @ ..] = rest
            && hash.as_char() == '#'
            && attribute.stream().to_string().replace(' ', "") == "cfg(test)"
        {
            rest = after_item(item);
            continue;
        }
        if let Some(path) = from_root(rest, depth) {
            arrows.extend(heads(path));
        }
        rest = match rest {
            [TokenTree::Ident(keyword), TokenTree::Ident(_), TokenTree::Group(body), next @ ..]
                if keyword == "mod" =>
            {
                collect(body.stream(), depth + 1, arrows);
                next
            }
            // Past all of `super::super::`, so that its end is not taken for a shorter one.
            _ if is(first, "super") => {
                let mut end = rest;
                while let Some(next) = after_segment(end, "super") {
                    end = next;
                }
                if end.len() < rest.len() { end } else { after }
            }
            _ => {
                if let TokenTree::Group(group) = first {
                    collect(group.stream(), depth, arrows);
                }
                after
            }
        };
    }
}

/// What follows the root in a path that starts there: `crate::`, the crate's name (in the
/// program), or as many `super::` as the code is deep.
fn from_root(path: &[TokenTree], depth: usize) -> Option<&[TokenTree]> {
    after_segment(path, "crate")
        .or_else(|| after_segment(path, "vingate"))
        .or_else(|| (0..depth).try_fold(path, |path, _| after_segment(path, "super")))
}

/// What follows `segment::`.
fn after_segment<'a>(path: &'a [TokenTree], segment: &str) -> Option<&'a [TokenTree]> {
    match path {
        [first, TokenTree::Punct(one), TokenTree::Punct(two), rest @ ..]
            if is(first, segment)
                && (one.as_char(), one.spacing()) == (':', Spacing::Joint)
                && two.as_char() == ':' =>
        {
            Some(rest)
        }
        _ => None,
    }
}

/// The first names of a path, of which a group has several.
fn heads(path: &[TokenTree]) -> Vec<Arrow> {
    match path.first() {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
            let tokens: Vec<_> = group.stream().into_iter().collect();
            tokens
                .split(|token| matches!(token, TokenTree::Punct(p) if p.as_char() == ','))
                .flat_map(heads)
                .collect()
        }
        Some(token) => vec![Arrow { line: token.span().start().line, to: token.to_string() }],
        None => Vec::new(),
    }
}

/// What follows an item: its body, or the semicolon.
fn after_item(tokens: &[TokenTree]) -> &[TokenTree] {
    let end = tokens.iter().position(|token| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        TokenTree::Punct(punct) => punct.as_char() == ';',
        _ => false,
    });
    end.map_or(&[], |end| &tokens[end + 1..])
}

fn is(token: &TokenTree, name: &str) -> bool {
    matches!(token, TokenTree::Ident(ident) if ident == name)
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
