//! What a key can hold, and how it is read from the file, shown and described.
//!
//! serde stops at the first problem. Here each value notes its own, and the rest is read on.

use std::ops::Deref;

use serde_json::{Value as Json, json};
use toml::{Spanned, de::DeValue};

use super::{context::Context, example_file::example, key_path};

pub(crate) trait Value: Sized {
    /// Whether it is a table, which has keys and defaults even if it is absent.
    const IS_TABLE: bool = false;

    /// What the file may have.
    fn form() -> Form;

    /// Reads a string, or says what was found instead. Only who has the file sees that.
    fn from_text(_text: &str) -> Result<Self, String> {
        Err("a string".to_owned())
    }

    /// What is at `node`; `None` after noting why it cannot be used. By default, it is a string.
    fn read(node: &Node<'_>, context: &mut Context<'_>) -> Option<Self> {
        match node.value {
            DeValue::String(text) => node.valid(Self::from_text(text), context),
            _ => node.is_not(context),
        }
    }

    /// The value as in a file, without secrets.
    fn show(&self) -> Json;
}

/// What the file may have.
pub(crate) struct Form {
    /// In words, for the message of a problem.
    pub(crate) expected: String,
    /// As a JSON Schema, for editors.
    pub(crate) schema: Json,
}

pub(crate) struct Node<'t> {
    pub(crate) key: String,
    pub(crate) value: &'t DeValue<'t>,
}

pub(crate) type List<T> = Vec<Item<T>>;

/// An element of an array that knows its place: elements before it may have been wrong.
#[derive(Clone, Debug)]
pub(crate) struct Item<T> {
    pub(crate) at: String,
    pub(crate) item: T,
}

pub(crate) fn values<T: Clone>(list: &[Item<T>]) -> Vec<T> {
    list.iter().map(|item| item.item.clone()).collect()
}

impl Form {
    pub(crate) fn new(expected: impl Into<String>, schema: Json) -> Self {
        Self { expected: expected.into(), schema }
    }

    /// What is expected at `key`, with an example if its type has one.
    pub(crate) fn expected_at(&self, key: &str) -> String {
        match example(key, &self.schema) {
            Some(example) => format!("{}, such as {example:?}", self.expected),
            None => self.expected.clone(),
        }
    }
}

impl<'t> Node<'t> {
    /// What `spanned` holds at `key`; `None` if it is not TOML.
    pub(crate) fn enter(
        key: String,
        spanned: &'t Spanned<DeValue<'t>>,
        start: usize,
        context: &mut Context<'_>,
    ) -> Option<Self> {
        context
            .enter(&key, start)
            .then(|| Self { key, value: spanned.get_ref() })
    }

    /// Notes a value of another type than expected. It is not shown, since it may be a secret in
    /// the wrong place.
    pub(crate) fn is_not<T: Value>(&self, context: &mut Context<'_>) -> Option<T> {
        let name = self.value.type_str();
        let article = if name.starts_with(['a', 'i']) { "an" } else { "a" };
        let found = format_args!("{article} {name}");
        context.expected(&self.key, found, T::form().expected_at(&self.key));
        context.unreadable(&self.key);
        None
    }

    /// A value of the right type, unless it was `found` to be none of those expected.
    pub(crate) fn valid<T: Value>(
        &self,
        value: Result<T, String>,
        context: &mut Context<'_>,
    ) -> Option<T> {
        let noted = value.map_err(|found| {
            context.expected_of(&self.key, found, T::form().expected_at(&self.key));
            context.unreadable(&self.key);
        });
        noted.ok()
    }
}

impl<T: Value> Value for Option<T> {
    fn form() -> Form {
        T::form()
    }

    fn read(node: &Node<'_>, context: &mut Context<'_>) -> Option<Self> {
        T::read(node, context).map(Some)
    }

    fn show(&self) -> Json {
        self.as_ref().map_or(Json::Null, T::show)
    }
}

impl<T> Deref for Item<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.item
    }
}

impl<T> From<T> for Item<T> {
    fn from(item: T) -> Self {
        Self { at: String::new(), item }
    }
}

impl<T: Value> Value for List<T> {
    fn form() -> Form {
        Form::new("an array", json!({ "type": "array", "items": T::form().schema }))
    }

    fn read(node: &Node<'_>, context: &mut Context<'_>) -> Option<Self> {
        let DeValue::Array(array) = node.value else {
            return node.is_not(context);
        };
        let items = array.iter().enumerate().filter_map(|(index, element)| {
            let at = key_path::element(&node.key, index);
            let node = Node::enter(at, element, element.span().start, context)?;
            Some(Item { item: T::read(&node, context)?, at: node.key })
        });
        Some(items.collect())
    }

    fn show(&self) -> Json {
        self.iter().map(|item| item.show()).collect()
    }
}

impl Value for bool {
    fn form() -> Form {
        Form::new("true or false", json!({ "type": "boolean" }))
    }

    fn read(node: &Node<'_>, context: &mut Context<'_>) -> Option<Self> {
        match node.value {
            DeValue::Boolean(value) => Some(*value),
            _ => node.is_not(context),
        }
    }

    fn show(&self) -> Json {
        (*self).into()
    }
}

/// Reads one value, or lists its problems.
#[cfg(test)]
pub(super) fn read<T: Value>(text: &str) -> Result<T, Vec<String>> {
    use super::{context::Outside, problems::Problem, toml_document::Document};
    use crate::files::Sources;

    let (text, mut problems) = (format!("key = {text}"), Vec::new());
    let document = Document::parse(&text, &mut problems).unwrap();
    let DeValue::Table(root) = &document.root else { unreachable!() };
    let mut sources = Sources::default();
    let folder = std::path::Path::new("");
    let outside = Outside { folder, env: &|_| None, has_roots: || true };
    let mut context = Context::new(&document, &[], outside, &mut sources, &mut problems);
    let node = Node::enter("key".to_owned(), &root["key"], 0, &mut context);
    let value = node.and_then(|node| T::read(&node, &mut context));
    let said = |problem: Problem| Problem { key: String::new(), ..problem }.to_string();
    value.ok_or_else(|| problems.into_iter().map(said).collect())
}
