//! The TOML text as a tree that knows where its values are.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, DeValue, Error},
};

use super::{key_path, problems::Problem};

pub(crate) struct Document<'a> {
    text: &'a str,
    pub(crate) root: DeValue<'a>,
    /// Keys whose values are not TOML. What the tree has in their place means nothing.
    pub(crate) broken: Vec<String>,
}

/// A file with more errors is no configuration file.
const MAX_ERRORS: usize = 100;

/// The parser's words for a key or a table that is there twice; the tree has both, as one.
const DUPLICATE_KEY: &str = "duplicate key";

/// How the parser's words begin for a string without quotes, by what its first letter could have
/// started.
const NO_VALUE: [&str; 4] =
    ["string values must be quoted", "invalid boolean", "invalid float", "invalid integer"];

impl<'a> Document<'a> {
    /// Parses `text`, and adds what is not TOML to `problems`.
    ///
    /// An error inside a value, such as a duration without quotes, leaves the rest readable. After
    /// any other, more messages would be guesses: `None`.
    pub(crate) fn parse(text: &'a str, problems: &mut Vec<Problem>) -> Option<Self> {
        let (root, mut errors) = DeTable::parse_recoverable(text);
        let root = DeValue::Table(root.into_inner());
        let mut document = Self { text, root, broken: Vec::new() };
        errors.sort_by_key(|error| error.span().map_or(0, |span| span.start));

        let mut is_malformed = errors.len() > MAX_ERRORS;
        for error in errors.into_iter().take(MAX_ERRORS) {
            let span = error.span().unwrap_or_default();
            let (line, column) = document.position(span.start);
            let leaf = below(&document.root, "", &span);
            is_malformed |= leaf.is_none() && error.message() != DUPLICATE_KEY;
            // What the parser says after its first error in a value is noise.
            if leaf.is_none() || leaf.as_ref() != document.broken.last() {
                let key = leaf.clone().unwrap_or_default();
                let text = describe(&error);
                let (line, column) = (Some(line), Some(column));
                problems.push(Problem { key, line, column, found: None, text });
                document.broken.extend(leaf);
            }
        }
        if is_malformed {
            problems.dedup_by_key(|problem| problem.line);
        }
        (!is_malformed).then_some(document)
    }

    pub(crate) fn position(&self, at: usize) -> (usize, usize) {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        (line, column)
    }
}

fn describe(error: &Error) -> String {
    let message = error.message();
    if NO_VALUE.iter().any(|start| message.starts_with(start)) {
        "invalid TOML: expected a number, true, false or a string in quotes".to_owned()
    } else {
        format!("invalid TOML: {message}")
    }
}

/// The key of the value, neither table nor array, that `span` is a part of.
fn leaf_at(node: &Spanned<DeValue<'_>>, key: String, span: &Range<usize>) -> Option<String> {
    let is_inside = node.span().start <= span.start && span.end <= node.span().end;
    match node.get_ref() {
        value @ (DeValue::Table(_) | DeValue::Array(_)) => below(value, &key, span),
        _ => is_inside.then_some(key),
    }
}

fn below(value: &DeValue<'_>, key: &str, span: &Range<usize>) -> Option<String> {
    match value {
        DeValue::Table(table) => table
            .iter()
            .find_map(|(name, node)| leaf_at(node, key_path::join(key, name.get_ref()), span)),
        DeValue::Array(array) => array
            .iter()
            .enumerate()
            .find_map(|(index, node)| leaf_at(node, key_path::element(key, index), span)),
        _ => None,
    }
}
