//! The paths by which a source uses other modules of the crate, by its tokens: comments and texts
//! are none of them.

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

/// A use of something of the crate.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) line: usize,
    /// From the root of the crate on; the last is a name or `*`.
    pub(crate) segments: Vec<String>,
    /// Whether the source only passes it on, with `pub use`.
    pub(crate) is_reexport: bool,
}

/// A source that is read.
struct Reader<'a> {
    /// Modules that are declared in the source: a path may start with one.
    children: &'a [String],
    paths: Vec<Path>,
}

/// The paths into the crate that `text` has outside tests. It is the module `module`, and
/// `children` are the modules below it that have files of their own.
pub(crate) fn paths(text: &str, module: &[String], children: &[String]) -> Vec<Path> {
    let mut reader = Reader { children, paths: Vec::new() };
    reader.read(tokens(text), module);
    reader.paths
}

/// The tokens of a source without its test code.
pub(crate) fn tokens(text: &str) -> Vec<TokenTree> {
    without_tests(text.parse().expect("sources that compile are tokens"))
}

/// `tokens` without items behind `#[cfg(test)]`.
pub(crate) fn without_tests(tokens: TokenStream) -> Vec<TokenTree> {
    let tokens: Vec<_> = tokens.into_iter().collect();
    let (mut kept, mut rest) = (Vec::new(), &tokens[..]);
    while let [first, after @ ..] = rest {
        rest = match rest {
            [TokenTree::Punct(hash), TokenTree::Group(attribute), item @ ..]
                if hash.as_char() == '#' && is_test_only(attribute.stream()) =>
            {
                after_item(item)
            }
            _ => {
                kept.push(first.clone());
                after
            }
        };
    }
    kept
}

impl Reader<'_> {
    /// Collects the paths of code in `module`.
    fn read(&mut self, tokens: Vec<TokenTree>, module: &[String]) {
        let mut rest = &tokens[..];
        let (mut is_public, mut is_reexport) = (false, false);
        while let [first, after @ ..] = rest {
            if let Some((base, path)) = self.anchor(rest, module) {
                rest = self.leaves(path, base, is_reexport);
                continue;
            }
            if let [TokenTree::Ident(word), TokenTree::Group(scope), next @ ..] = rest
                && word == "pub"
                && scope.delimiter() == Delimiter::Parenthesis
            {
                // Who may see an item is no use of theirs.
                (is_public, rest) = (true, next);
                continue;
            }
            match first {
                TokenTree::Ident(word) if word == "pub" => is_public = true,
                TokenTree::Ident(word) if word == "use" => is_reexport = is_public,
                _ => is_public = false,
            }
            if is_punct(first, ';') {
                is_reexport = false;
            }
            rest = match rest {
                [
                    TokenTree::Ident(keyword),
                    TokenTree::Ident(name),
                    TokenTree::Group(body),
                    next @ ..,
                ] if keyword == "mod" => {
                    let inner: Vec<_> = module.iter().cloned().chain([name.to_string()]).collect();
                    self.read(without_tests(body.stream()), &inner);
                    next
                }
                // A path out of the crate, to its end: a segment of it starts no other.
                [TokenTree::Ident(_), next @ ..] => {
                    let mut end = next;
                    while let Some([TokenTree::Ident(_), next @ ..]) = after_colons(end) {
                        end = next;
                    }
                    end
                }
                _ => {
                    if let TokenTree::Group(group) = first {
                        self.read(without_tests(group.stream()), module);
                    }
                    after
                }
            };
        }
    }

    /// Where a path into the crate starts, and what follows: `crate::`, the crate's name (in the
    /// program), `self::`, `super::` as often as there is, or a module below this one.
    fn anchor<'t>(
        &self,
        path: &'t [TokenTree],
        module: &[String],
    ) -> Option<(Vec<String>, &'t [TokenTree])> {
        let root = after_segment(path, "crate").or_else(|| after_segment(path, "vingate"));
        if let Some(rest) = root {
            return Some((Vec::new(), rest));
        }
        let (mut depth, mut rest) = (module.len(), path);
        while let Some(next) = after_segment(rest, "super") {
            (depth, rest) = (depth.checked_sub(1)?, next);
        }
        if rest.len() < path.len() {
            return Some((module[..depth].to_vec(), rest));
        }
        if let Some(rest) = after_segment(path, "self") {
            return Some((module.to_vec(), rest));
        }
        let is_child = |name: &String| after_segment(path, name).is_some();
        self.children
            .iter()
            .any(is_child)
            .then(|| (module.to_vec(), path))
    }

    /// Collects the paths that go on from `base` with `path`: one, or those of a group. Returns
    /// what follows them.
    fn leaves<'t>(
        &mut self,
        path: &'t [TokenTree],
        mut base: Vec<String>,
        is_reexport: bool,
    ) -> &'t [TokenTree] {
        let [first, after @ ..] = path else { return path };
        match first {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                let tokens: Vec<_> = group.stream().into_iter().collect();
                for path in tokens.split(|token| is_punct(token, ',')) {
                    self.leaves(path, base.clone(), is_reexport);
                }
                after
            }
            TokenTree::Ident(_) | TokenTree::Punct(_) => {
                base.push(first.to_string());
                match after_colons(after) {
                    Some(next @ [TokenTree::Ident(_) | TokenTree::Group(_), ..]) => {
                        self.leaves(next, base, is_reexport)
                    }
                    Some(next) if next.first().is_some_and(|token| is_punct(token, '*')) => {
                        self.leaves(next, base, is_reexport)
                    }
                    _ => {
                        let line = first.span().start().line;
                        self.paths.push(Path { line, segments: base, is_reexport });
                        after
                    }
                }
            }
            _ => path,
        }
    }
}

/// What follows `segment::`.
fn after_segment<'a>(path: &'a [TokenTree], segment: &str) -> Option<&'a [TokenTree]> {
    match path {
        [TokenTree::Ident(first), rest @ ..] if first == segment => after_colons(rest),
        _ => None,
    }
}

/// What follows `::`.
fn after_colons(tokens: &[TokenTree]) -> Option<&[TokenTree]> {
    match tokens {
        [TokenTree::Punct(one), TokenTree::Punct(two), rest @ ..]
            if (one.as_char(), one.spacing()) == (':', Spacing::Joint) && two.as_char() == ':' =>
        {
            Some(rest)
        }
        _ => None,
    }
}

/// What follows an item: its body, or the semicolon.
fn after_item(tokens: &[TokenTree]) -> &[TokenTree] {
    let end = tokens.iter().position(|token| match token {
        TokenTree::Group(group) => group.delimiter() == Delimiter::Brace,
        token => is_punct(token, ';'),
    });
    end.map_or(&[], |end| &tokens[end + 1..])
}

/// Whether an attribute leaves its item out of the program.
fn is_test_only(attribute: TokenStream) -> bool {
    let attribute = attribute.to_string().replace(' ', "");
    matches!(attribute.as_str(), "cfg(test)" | "cfg(any(test,fuzzing))")
}

fn is_punct(token: &TokenTree, character: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == character)
}

/// The rooms other than its own that a source in the room `own` names, with their lines.
#[cfg(test)]
fn rooms(text: &str, depth: usize) -> Vec<(usize, String)> {
    let module = &["own", "inner", "deep"].map(str::to_owned)[..depth];
    let mut rooms: Vec<_> = paths(text, module, &[])
        .into_iter()
        .map(|path| (path.line, path.segments[0].clone()))
        .filter(|(_, room)| room != "own")
        .collect();
    rooms.dedup();
    rooms
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
        let to: Vec<_> = rooms(text, 2).into_iter().map(|(_, room)| room).collect();
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
        let rooms = rooms(text, depth);
        let rooms: Vec<_> = rooms
            .iter()
            .map(|(line, room)| (*line, room.as_str()))
            .collect();
        assert_eq!(rooms, found, "{depth}: {text}");
    }
}

#[test]
fn finds_paths_within_a_room() {
    let module = ["own".to_owned(), "inner".to_owned()];
    for (text, found) in [
        ("use super::{b::{B, C}, D};", vec!["own::b::B", "own::b::C", "own::D"]),
        ("use self::b::B;", vec!["own::inner::b::B"]),
        ("fn f() { child::g() }", vec!["own::inner::child::g"]),
        ("fn f() { other::child::g(); child.g() }", vec![]),
        ("pub(in super::super) fn f() {}", vec![]),
        ("fn f() { super::b::g::<super::c::T>() }", vec!["own::b::g", "own::c::T"]),
        ("pub(super) use self::b::*;", vec!["pub own::inner::b::*"]),
    ] {
        let paths: Vec<_> = paths(text, &module, &["child".to_owned()])
            .into_iter()
            .map(|path| (path.is_reexport, path.segments.join("::")))
            .map(|(is_reexport, path)| if is_reexport { format!("pub {path}") } else { path })
            .collect();
        assert_eq!(paths, found, "{text}");
    }
}
