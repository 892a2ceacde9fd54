//! Files and functions stay small.

use proc_macro2::{Delimiter, TokenTree};

use crate::{
    paths::{tokens, without_tests},
    source::{production, sources},
};

/// Lines of a file, its tests included.
const MAX_FILE: usize = 500;

/// Lines of production code that nine of ten files have at most.
const MOST_FILES: usize = 210;

/// Lines of a production function, its head included.
const MAX_FUNCTION: usize = 70;

#[test]
fn no_file_is_too_long() {
    for source in sources() {
        let lines = source.text.lines().count();
        assert!(lines <= MAX_FILE, "src/{} has {lines} lines, more than {MAX_FILE}", source.path);
    }
}

#[test]
fn most_files_are_short() {
    let mut lines: Vec<_> = production()
        .iter()
        .map(|source| production_lines(&source.text))
        .collect();
    lines.sort_unstable();
    let most = lines[lines.len() * 9 / 10];
    assert!(most <= MOST_FILES, "one file in ten has {most} lines or more");
}

#[test]
fn no_function_is_too_long() {
    let mut long = Vec::new();
    for source in production() {
        let functions = functions(&tokens(&source.text));
        let functions = functions
            .into_iter()
            .filter(|(_, lines)| *lines > MAX_FUNCTION);
        long.extend(functions.map(|(name, _)| format!("{}: {name}", source.path)));
    }
    assert!(long.is_empty(), "more than {MAX_FUNCTION} lines: {long:#?}");
}

#[test]
fn counts_lines_outside_tests() {
    let text = "fn a() {\n    b()\n}\n\n#[cfg(test)]\nmod tests {\n    fn c() {}\n}\n";
    assert_eq!(production_lines(text), 4);
    assert_eq!(functions(&tokens(text)), [("a".to_owned(), 3)]);
    assert_eq!(
        functions(&tokens("impl A { fn b(&self) -> fn() { } fn c(\n) -> D where\n{ } }")),
        [("b".to_owned(), 1), ("c".to_owned(), 3)]
    );
}

/// The lines of a text that are outside test code.
fn production_lines(text: &str) -> usize {
    let all: proc_macro2::TokenStream = text.parse().expect("sources that compile are tokens");
    let span = |token: &TokenTree| (token.span().start().line, token.span().end().line);
    let kept: Vec<_> = tokens(text).iter().map(span).collect();
    let tests = all
        .into_iter()
        .map(|token| span(&token))
        .filter(|lines| !kept.contains(lines));
    let mut lines: Vec<_> = tests.flat_map(|(start, end)| start..=end).collect();
    lines.dedup();
    text.lines().count() - lines.len()
}

/// Every function with a body, and its lines.
fn functions(tokens: &[TokenTree]) -> Vec<(String, usize)> {
    let mut functions = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        if let [TokenTree::Ident(keyword), TokenTree::Ident(name), rest @ ..] = &tokens[at..]
            && keyword == "fn"
            && let Some(body) = body(rest)
        {
            let lines = body.span_close().end().line - keyword.span().start().line + 1;
            functions.push((name.to_string(), lines));
        }
        if let TokenTree::Group(group) = token {
            functions.extend(self::functions(&without_tests(group.stream())));
        }
    }
    functions
}

/// The body of a function whose head is before it; none if a semicolon comes first.
fn body(tokens: &[TokenTree]) -> Option<&proc_macro2::Group> {
    for token in tokens {
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => return Some(group),
            TokenTree::Punct(punct) if punct.as_char() == ';' => return None,
            _ => {}
        }
    }
    None
}
