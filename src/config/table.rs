//! Tables: each key declared once, with its reason, type, default and whether it can be reloaded.

use serde_json::{Map, Value as Json, json};
use toml::de::{DeTable, DeValue};

use super::{
    context::Context,
    key,
    value::{Node, Value},
};

/// Declares a table as a struct whose fields have defaults.
///
/// The documentation of a key is what editors show for it. `#[required]` says that the table is
/// incomplete without the key. `#[reload]` says that a running gateway can change the key and all
/// that is below it; every other key needs a restart, so that a new key does until somebody has
/// thought about it.
macro_rules! table {
    (
        $(#[doc = $about:literal])*
        pub(crate) struct $name:ident {
            $($(#[$($attribute:tt)*])* $key:ident: $type:ty = $default:expr,)*
        }
    ) => {
        $(#[doc = $about])*
        #[derive(Clone, Debug)]
        pub(crate) struct $name { $(pub(crate) $key: $type,)* }

        impl Default for $name {
            fn default() -> Self {
                Self { $($key: $default,)* }
            }
        }

        impl $crate::config::table::Table for $name {
            const ABOUT: &[&str] = &[$($about),*];

            fn each(&mut self, visitor: &mut impl $crate::config::table::Visitor) {
                use $crate::config::table::{Key, attribute};
                $(visitor.visit(
                    &Key { name: stringify!($key), above: &[$(attribute!($($attribute)*)),*] },
                    &mut self.$key,
                );)*
            }
        }
    };
}

macro_rules! attribute {
    (doc = $line:literal) => {
        $crate::config::table::Attribute::About($line)
    };
    (required) => {
        $crate::config::table::Attribute::Required
    };
    (reload) => {
        $crate::config::table::Attribute::Reload
    };
}

pub(crate) use {attribute, table};

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
    pub(crate) above: &'static [Attribute],
}

/// What is declared above a key.
#[derive(PartialEq)]
pub(crate) enum Attribute {
    /// A line of its documentation.
    About(&'static str),
    Required,
    Reload,
}

/// The member of a key's schema that says that a running gateway can change it.
pub(crate) const RELOADABLE: &str = "x-reloadable";

/// Reads the keys of one table of the file.
struct Reader<'c, 'd> {
    key: &'c str,
    /// `None`: the table is absent.
    table: Option<&'c DeTable<'c>>,
    known: Vec<&'static str>,
    context: &'c mut Context<'d>,
}

/// Collects the schemas of the keys of one table.
#[derive(Default)]
struct Schemas {
    properties: Map<String, Json>,
    required: Vec<&'static str>,
}

fn sentences<'a>(lines: impl Iterator<Item = &'a str>) -> Json {
    lines.map(str::trim).collect::<Vec<_>>().join(" ").into()
}

// === impl Visitor ===

impl Visitor for Reader<'_, '_> {
    fn visit<T: Value>(&mut self, &Key { name, above }: &Key, value: &mut T) {
        self.known.push(name);
        let key = key::join(self.key, name);
        let read = match self.table.and_then(|table| table.get_key_value(name)) {
            Some((name, node)) => Node::read(key, node, name.span().start, self.context),
            // Of a list, the check reports that it is empty.
            None if above.contains(&Attribute::Required) && value.show().is_null() => {
                self.context.expected(&key, "nothing", T::expected());
                None
            }
            None => T::absent(&key, self.context),
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
    fn visit<T: Value>(&mut self, &Key { name, above }: &Key, value: &mut T) {
        let (mut schema, default) = (T::schema(), value.show());
        let about = above.iter().filter_map(|attribute| match attribute {
            Attribute::About(line) => Some(*line),
            Attribute::Required | Attribute::Reload => None,
        });
        schema["description"] = sentences(about);
        if above.contains(&Attribute::Reload) {
            schema[RELOADABLE] = true.into();
        }
        // A table is required if one of its keys is.
        let is_table = default.is_object();
        if above.contains(&Attribute::Required) || is_table && schema.get("required").is_some() {
            self.required.push(name);
        }
        // TOML has no null, and the defaults of a table are those of its keys.
        if !default.is_null() && !is_table {
            schema["default"] = default;
        }
        self.properties.insert(name.to_owned(), schema);
    }
}

// === impl Table ===

impl<T: Table> Value for T {
    fn expected() -> String {
        "a table".to_owned()
    }

    fn read(node: &Node<'_>, context: &mut Context<'_>) -> Option<Self> {
        let DeValue::Table(table) = node.value else {
            return node.is_not(&Self::expected(), context);
        };
        let mut value = Self::default();
        let mut reader = Reader { key: &node.key, table: Some(table), known: Vec::new(), context };
        value.each(&mut reader);
        let Reader { known, context, .. } = reader;
        for name in table
            .keys()
            .filter(|name| !known.contains(&&**name.get_ref()))
        {
            context.unknown(&node.key, name.get_ref(), name.span().start);
        }
        Some(value)
    }

    fn absent(key: &str, context: &mut Context<'_>) -> Option<Self> {
        let mut value = Self::default();
        value.each(&mut Reader { key, table: None, known: Vec::new(), context });
        Some(value)
    }

    fn show(&self) -> Json {
        let mut shown = Map::new();
        self.clone().each(&mut shown);
        shown.into()
    }

    fn schema() -> Json {
        let mut schemas = Schemas::default();
        Self::default().each(&mut schemas);
        let mut schema = json!({
            "type": "object",
            "description": sentences(T::ABOUT.iter().copied()),
            "properties": schemas.properties,
            "additionalProperties": false,
        });
        if !schemas.required.is_empty() {
            schema["required"] = schemas.required.into();
        }
        schema
    }
}
