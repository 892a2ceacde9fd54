//! Tables: each key declared once, with its reason, type, default and whether it can be reloaded.

use serde_json::{Map, Value as Json, json};
use toml::de::{DeTable, DeValue};

use super::{
    context::Context,
    key,
    value::{Form, Node, Value},
};

/// Declares a table as a struct whose fields have defaults.
///
/// The documentation of a key is what editors show for it; a key that is a table may leave it to
/// that table. A `[Mark]` says what is special about the key.
macro_rules! table {
    (
        $(#[doc = $about:literal])*
        pub(crate) struct $name:ident {
            $($(#[doc = $reason:literal])* $([$mark:ident])* $key:ident: $type:ty = $default:expr,)*
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug)]
        pub(crate) struct $name { $($(#[doc = $reason])* pub(crate) $key: $type,)* }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: $default,)* }
            }
        }

        impl $crate::config::table::Table for $name {
            const ABOUT: &[&str] = &[$($about),*];

            fn each(&mut self, visitor: &mut impl $crate::config::table::Visitor) {
                $(visitor.visit(
                    &$crate::config::table::Key {
                        name: stringify!($key),
                        about: &[$($reason),*],
                        marks: &[$($crate::config::table::Mark::$mark),*],
                    },
                    &mut self.$key,
                );)*
            }
        }
    };
}

pub(crate) use table;

/// What `table!` makes of a declaration.
pub(crate) trait Table: Clone + Default {
    const ABOUT: &[&str];

    /// Visits every key with its value.
    fn each(&mut self, visitor: &mut impl Visitor);
}

pub(crate) trait Visitor {
    fn visit<T: Value>(&mut self, key: &Key, value: &mut T);
}

/// A key as it is declared.
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) about: &'static [&'static str],
    pub(crate) marks: &'static [Mark],
}

/// What is special about a key.
#[derive(PartialEq)]
pub(crate) enum Mark {
    /// Its table is incomplete without it.
    Required,
    /// A running gateway can change it, and all that is below it. Every other key needs a restart,
    /// so that a new key does until somebody has thought about it.
    Reload,
}

/// The member of a key's schema that says that a running gateway can change it.
pub(crate) const RELOADABLE: &str = "x-reloadable";

/// Reads the keys of one table of the file.
struct Reader<'c, 'd> {
    key: &'c str,
    table: &'c DeTable<'c>,
    known: Vec<&'static str>,
    context: &'c mut Context<'d>,
}

/// Collects the schemas of the keys of one table.
#[derive(Default)]
struct Schemas {
    properties: Map<String, Json>,
    required: Vec<&'static str>,
}

fn sentences(lines: &[&str]) -> Json {
    let lines: Vec<_> = lines.iter().map(|line| line.trim()).collect();
    lines.join(" ").into()
}

// === impl Visitor ===

impl Visitor for Reader<'_, '_> {
    fn visit<T: Value>(&mut self, &Key { name, marks, .. }: &Key, value: &mut T) {
        self.known.push(name);
        let key = key::join(self.key, name);
        let read = match self.table.get_key_value(name) {
            Some((name, node)) => Node::read(key, node, name.span().start, self.context),
            // A table may miss a key even if it is absent.
            None if T::IS_TABLE => {
                let value = &DeValue::Table(DeTable::new());
                T::read(&Node { key, value }, self.context)
            }
            // Of a list, the check reports that it is empty.
            None if marks.contains(&Mark::Required) && value.show().is_null() => {
                self.context.expected(&key, "nothing", T::form().expected);
                None
            }
            None => None,
        };
        if let Some(read) = read {
            *value = read;
        }
    }
}

impl Visitor for Map<String, Json> {
    fn visit<T: Value>(&mut self, key: &Key, value: &mut T) {
        self.insert(key.name.to_owned(), value.show());
    }
}

impl Visitor for Schemas {
    fn visit<T: Value>(&mut self, &Key { name, about, marks }: &Key, value: &mut T) {
        let (mut schema, default) = (T::form().schema, value.show());
        if !about.is_empty() {
            schema["description"] = sentences(about);
        }
        if marks.contains(&Mark::Reload) {
            schema[RELOADABLE] = true.into();
        }
        // A table is required if one of its keys is.
        if marks.contains(&Mark::Required) || T::IS_TABLE && schema.get("required").is_some() {
            self.required.push(name);
        }
        // TOML has no null, and the defaults of a table are those of its keys.
        if !default.is_null() && !T::IS_TABLE {
            schema["default"] = default;
        }
        self.properties.insert(name.to_owned(), schema);
    }
}

// === impl Table ===

impl<T: Table> Value for T {
    const IS_TABLE: bool = true;

    fn form() -> Form {
        let mut schemas = Schemas::default();
        Self::default().each(&mut schemas);
        let mut schema = json!({
            "type": "object",
            "description": sentences(T::ABOUT),
            "properties": schemas.properties,
            "additionalProperties": false,
        });
        if !schemas.required.is_empty() {
            schema["required"] = schemas.required.into();
        }
        Form::new("a table", schema)
    }

    fn read(node: &Node<'_>, context: &mut Context<'_>) -> Option<Self> {
        let DeValue::Table(table) = node.value else {
            return node.is_not(context);
        };
        let mut value = Self::default();
        let mut reader = Reader { key: &node.key, table, known: Vec::new(), context };
        value.each(&mut reader);
        let Reader { known, context, .. } = reader;
        for name in table.keys() {
            if !known.contains(&&**name.get_ref()) {
                context.unknown(&node.key, name.get_ref(), name.span().start);
            }
        }
        Some(value)
    }

    fn show(&self) -> Json {
        let mut shown = Map::new();
        self.clone().each(&mut shown);
        shown.into()
    }
}
