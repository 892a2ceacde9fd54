//! Tables: each key declared once, with its type, default and whether it can be reloaded.

use serde_json::{Map, Value as Json, json};
use toml::de::{DeTable, DeValue};

use super::{
    context::Context,
    key_path,
    value::{Form, Node, Value},
};

/// Declares a table as a struct whose fields have defaults.
///
/// The documentation of a table or key is what editors show for it where `config/vingate.toml` has
/// no comment. A `[Mark]` says what is special about the key.
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

        impl $crate::config::declaration::Table for $name {
            const ABOUT: &[&str] = &[$($about),*];

            const KEYS: &[$crate::config::declaration::Key<Self>] = &[$($crate::config::declaration::Key {
                name: stringify!($key),
                about: &[$($reason),*],
                marks: &[$($crate::config::declaration::Mark::$mark),*],
                is_table: <$type as $crate::config::value::Value>::IS_TABLE,
                form: <$type as $crate::config::value::Value>::form,
                show: |table| $crate::config::value::Value::show(&table.$key),
                read: |table, node, context| {
                    if let Some(value) = $crate::config::value::Value::read(node, context) {
                        table.$key = value;
                    }
                },
            },)*];
        }
    };
}

pub(crate) use table;

pub(crate) trait Table: Default + 'static {
    const ABOUT: &[&str];
    const KEYS: &[Key<Self>];
}

pub(crate) struct Key<T> {
    pub(crate) name: &'static str,
    pub(crate) about: &'static [&'static str],
    pub(crate) marks: &'static [Mark],
    pub(crate) is_table: bool,
    pub(crate) form: fn() -> Form,
    pub(crate) show: fn(&T) -> Json,
    pub(crate) read: fn(&mut T, &Node<'_>, &mut Context<'_>),
}

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

fn sentences(lines: &[&str]) -> Json {
    let lines: Vec<_> = lines.iter().map(|line| line.trim()).collect();
    lines.join(" ").into()
}

impl<T: Table> Value for T {
    const IS_TABLE: bool = true;

    fn form() -> Form {
        let (mut properties, mut required) = (Map::new(), Vec::new());
        let defaults = Self::default();
        for key in Self::KEYS {
            let (mut schema, default) = ((key.form)().schema, (key.show)(&defaults));
            if !key.about.is_empty() {
                schema["description"] = sentences(key.about);
            }
            if key.marks.contains(&Mark::Reload) {
                schema[RELOADABLE] = true.into();
            }
            // A table is required if one of its keys is.
            let needs_keys = key.is_table && schema.get("required").is_some();
            if key.marks.contains(&Mark::Required) || needs_keys {
                required.push(key.name);
            }
            // TOML has no null, and the defaults of a table are those of its keys.
            if !default.is_null() && !key.is_table {
                schema["default"] = default;
            }
            properties.insert(key.name.to_owned(), schema);
        }
        let mut schema = json!({
            "type": "object",
            "description": sentences(T::ABOUT),
            "properties": properties,
            "additionalProperties": false,
        });
        if !required.is_empty() {
            schema["required"] = required.into();
        }
        Form::new("a table", schema)
    }

    fn read(node: &Node<'_>, context: &mut Context<'_>) -> Option<Self> {
        let DeValue::Table(table) = node.value else {
            return node.is_not(context);
        };
        let mut read = Self::default();
        for key in Self::KEYS {
            let at = key_path::join(&node.key, key.name);
            if let Some((name, value)) = table.get_key_value(key.name) {
                if let Some(node) = Node::enter(at, value, name.span().start, context) {
                    (key.read)(&mut read, &node, context);
                }
            } else if key.is_table {
                // It may miss a key even if it is absent.
                let value = &DeValue::Table(DeTable::new());
                (key.read)(&mut read, &Node { key: at, value }, context);
            } else if key.marks.contains(&Mark::Required) && (key.show)(&read).is_null() {
                // Of a list, the check reports that it is empty.
                context.expected(&at, "nothing", (key.form)().expected_at(&at));
            }
        }
        for name in table.keys() {
            if !Self::KEYS.iter().any(|key| key.name == *name.get_ref()) {
                context.unknown(&node.key, name.get_ref(), name.span().start);
            }
        }
        Some(read)
    }

    fn show(&self) -> Json {
        let members = Self::KEYS
            .iter()
            .map(|key| (key.name.to_owned(), (key.show)(self)));
        members.collect::<Map<_, _>>().into()
    }
}
