//! Which modules of the crate a source uses, by its tokens: comments and texts are none of them.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// A use of another module, at a line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Arrow {
    pub(crate) line: usize,
    /// The module, or `*`.
    pub(crate) to: String,
}

/// The modules that `text` names by paths from the crate's root; its own module is `depth` below
/// the root.
pub(crate) fn arrows(text: &str, depth: usize) -> Vec<Arrow> {
    let mut arrows = Vec::new();
    collect(text.parse().expect("sources that compile are tokens"), depth, &mut arrows);
    arrows
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
        ("fn f(x: &crate::cache::Key) -> Vec<crate::auth::Principal> {}", vec!["cache", "auth"]),
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
        ("#[cfg(test)] use crate::cache::{Key, Entry}; use crate::auth::Principal;", vec!["auth"]),
        ("#[cfg(test)] mod tests; fn f() { crate::auth::f() }", vec!["auth"]),
    ] {
        let to: Vec<_> = arrows(text, 2).into_iter().map(|arrow| arrow.to).collect();
        assert_eq!(to, found, "{text}");
    }
}

#[test]
fn finds_the_line_and_minds_the_depth() {
    for (depth, text, found) in [
        (1, "\n\nuse super::auth::X;", vec![(3, "auth")]),
        (1, "use crate::{\n    route,\n    auth::X,\n};", vec![(2, "route"), (3, "auth")]),
        (2, "use super::auth::X;", vec![]),
        (3, "use super::super::super::auth::X;", vec![(1, "auth")]),
        (3, "use super::super::auth::X;", vec![]),
    ] {
        let arrows = arrows(text, depth);
        let arrows: Vec<_> = arrows.iter().map(|a| (a.line, a.to.as_str())).collect();
        assert_eq!(arrows, found, "{depth}: {text}");
    }
}
