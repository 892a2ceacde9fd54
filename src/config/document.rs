//! The TOML text as a tree whose nodes know their place.

use std::ops::Range;

use serde::de::IntoDeserializer;
use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue, Error, ValueDeserializer},
};

use super::{
    path::{KeyPath, Step},
    problem::Problem,
};

/// A TOML document from which nodes can be taken out, and that still knows where what is left
/// stood in the file.
pub(crate) struct Document<'a> {
    text: &'a str,
    whole: Spanned<DeValue<'a>>,
    left: Spanned<DeValue<'a>>,
}

// === impl Document ===

impl<'a> Document<'a> {
    /// Reads `text`, and adds what is not TOML to `problems`.
    ///
    /// Errors inside a value, such as a duration without quotes, are left behind with the value.
    /// `None`: the text is torn in another way, and whatever else could be said of it would
    /// be a guess.
    pub(crate) fn parse(text: &'a str, problems: &mut Vec<Problem>) -> Option<Self> {
        let (root, mut errors) = DeTable::parse_recoverable(text);
        let root = Spanned::new(root.span(), DeValue::Table(root.into_inner()));
        let mut document = Self { text, whole: root.clone(), left: root };
        errors.sort_by_key(|error| error.span().map_or(0, |span| span.start));

        let mut torn = errors.len() > MAX_ERRORS;
        let mut broken = Vec::new();
        for error in errors.into_iter().take(MAX_ERRORS) {
            let span = error.span().unwrap_or_default();
            let (line, column) = document.position(span.start);
            let leaf = leaf_at(&document.whole, &span);
            torn |= leaf.is_none() && error.message() != DUPLICATE_KEY;
            // What the parser says after its first stumble in a value is noise.
            if leaf.is_none() || leaf != broken.last().cloned() {
                let key = leaf.iter().map(KeyPath::to_string).collect();
                let text = not_toml(&error);
                problems.push(Problem { key, line: Some(line), column: Some(column), text });
                broken.extend(leaf);
            }
        }
        if torn {
            problems.dedup_by_key(|problem| problem.line);
        }
        // From the last to the first, so that no element moves before its turn.
        for path in broken.iter().rev() {
            document.take_out(path);
        }
        (!torn).then_some(document)
    }

    /// What is left, to be read by serde.
    pub(crate) fn deserializer(&self) -> ValueDeserializer<'a> {
        self.left.clone().into_deserializer()
    }

    /// The node at `path`, a path among what is left.
    pub(crate) fn node(&self, path: &KeyPath) -> Option<&DeValue<'a>> {
        let node = path.0.iter().try_fold(&self.left, child)?;
        Some(node.get_ref())
    }

    /// Takes the node at `path` out, a path among what is left; `false`: there is none.
    pub(crate) fn take_out(&mut self, path: &KeyPath) -> bool {
        let Some((last, above)) = path.0.split_last() else { return false };
        let parent = above.iter().try_fold(&mut self.left, child_mut);
        match (parent.map(Spanned::get_mut), last) {
            (Some(DeValue::Table(table)), Step::Name(name)) => {
                table.remove(name.as_str()).is_some()
            }
            (Some(DeValue::Array(array)), Step::Index(index)) if *index < array.len() => {
                let mut position = 0..;
                *array = std::mem::replace(array, DeArray::new())
                    .into_iter()
                    .filter(|_| position.next() != Some(*index))
                    .collect();
                true
            }
            _ => false,
        }
    }

    /// The path and the line, in the file, of `path`, a path among what is left. Of a key that is
    /// not there, the line is that of the nearest table around it.
    pub(crate) fn locate(&self, path: &KeyPath) -> (KeyPath, Option<usize>) {
        let (mut whole, mut left) = (Some(&self.whole), Some(&self.left));
        let mut located = KeyPath::default();
        let mut line = None;
        for step in &path.0 {
            let mut step = step.clone();
            left = left.and_then(|node| child(node, &step));
            if let (Step::Index(index), Some(left)) = (&mut step, left) {
                // Elements before it may be gone.
                let same = |element: &Spanned<DeValue<'_>>| element.span() == left.span();
                *index = elements(whole).iter().position(same).unwrap_or(*index);
            }
            let start = whole.and_then(|node| match (node.get_ref(), &step) {
                (DeValue::Table(table), Step::Name(name)) => table
                    .get_key_value(name.as_str())
                    .map(|(key, _)| key.span().start),
                _ => child(node, &step).map(|element| element.span().start),
            });
            line = start.map(|start| self.position(start).0).or(line);
            whole = whole.and_then(|node| child(node, &step));
            located.0.push(step);
        }
        (located, line)
    }

    /// Line and column of a byte, both from 1.
    fn position(&self, at: usize) -> (usize, usize) {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|c| *c != '\n').count() + 1;
        (line, column)
    }
}

/// A file with more errors is no configuration file.
const MAX_ERRORS: usize = 100;

/// The parser's word for a key or a table that stands twice; both are in the tree, as one.
const DUPLICATE_KEY: &str = "duplicate key";

/// How the parser's words begin for a text without quotes, by what its first letter could have
/// started.
const NO_VALUE: [&str; 4] =
    ["string values must be quoted", "invalid boolean", "invalid float", "invalid integer"];

fn not_toml(error: &Error) -> String {
    let message = error.message();
    if NO_VALUE.iter().any(|start| message.starts_with(start)) {
        "not TOML: neither a number, true or false, nor a text in quotes".to_owned()
    } else {
        format!("not TOML: {message}")
    }
}

fn elements<'t, 'a>(node: Option<&'t Spanned<DeValue<'a>>>) -> &'t [Spanned<DeValue<'a>>] {
    match node.map(Spanned::get_ref) {
        Some(DeValue::Array(array)) => array,
        _ => &[],
    }
}

fn child<'t, 'a>(node: &'t Spanned<DeValue<'a>>, step: &Step) -> Option<&'t Spanned<DeValue<'a>>> {
    match (node.get_ref(), step) {
        (DeValue::Table(table), Step::Name(name)) => table.get(name.as_str()),
        (DeValue::Array(array), Step::Index(index)) => array.get(*index),
        _ => None,
    }
}

fn child_mut<'t, 'a>(
    node: &'t mut Spanned<DeValue<'a>>,
    step: &Step,
) -> Option<&'t mut Spanned<DeValue<'a>>> {
    match (node.get_mut(), step) {
        (DeValue::Table(table), Step::Name(name)) => table.get_mut(name.as_str()),
        (DeValue::Array(array), Step::Index(index)) => array.get_mut(*index),
        _ => None,
    }
}

/// The way to the value, neither table nor array, that `span` is a part of.
fn leaf_at(node: &Spanned<DeValue<'_>>, span: &Range<usize>) -> Option<KeyPath> {
    let below = |step: Step, node| {
        let mut path = leaf_at(node, span)?;
        path.0.insert(0, step);
        Some(path)
    };
    match node.get_ref() {
        DeValue::Table(table) => table
            .iter()
            .find_map(|(key, value)| below(Step::Name(key.get_ref().clone().into_owned()), value)),
        DeValue::Array(array) => array
            .iter()
            .enumerate()
            .find_map(|(index, element)| below(Step::Index(index), element)),
        _ => {
            (node.span().start <= span.start && span.end <= node.span().end).then(KeyPath::default)
        }
    }
}
