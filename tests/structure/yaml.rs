//! Files in YAML, read as JSON.

use std::collections::BTreeSet;

use serde_json::{Map, Value};
use vingate::config::Config;
use yaml_rust2::{Yaml, YamlLoader};

use crate::deploy::shipped;

/// The documents of a file below `deploy/`.
pub(crate) fn documents(name: &str) -> Vec<Value> {
    parse(&shipped(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

pub(crate) fn parse(text: &str) -> Result<Vec<Value>, String> {
    let documents = YamlLoader::load_from_str(text).map_err(|error| error.to_string())?;
    Ok(documents.iter().map(value).collect())
}

/// What stands at a JSON pointer, which there has to be.
pub(crate) fn at<'v>(value: &'v Value, pointer: &str) -> &'v Value {
    let found = value.pointer(pointer);
    found.unwrap_or_else(|| panic!("nothing is at {pointer} of {value}"))
}

/// The text that stands there.
pub(crate) fn text<'v>(value: &'v Value, pointer: &str) -> &'v str {
    let text = at(value, pointer).as_str();
    text.unwrap_or_else(|| panic!("no text is at {pointer} of {value}"))
}

/// The list that stands there.
pub(crate) fn list<'v>(value: &'v Value, pointer: &str) -> &'v [Value] {
    let list = at(value, pointer).as_array();
    list.unwrap_or_else(|| panic!("no list is at {pointer} of {value}"))
}

/// The texts of a list.
pub(crate) fn texts<'v>(value: &'v Value, pointer: &str) -> BTreeSet<&'v str> {
    list(value, pointer).iter().map(|it| text(it, "")).collect()
}

/// The configuration that is deployed, whatever its secrets are.
pub(crate) fn configuration(text: &str) -> Config {
    let mut parts = text.split("{ file = \"");
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (_, rest) = part.split_once('"').expect("a path has an end");
        text += "{ env = \"SECRET\"";
        text += rest;
    }
    let secret = |_: &str| Some("a-secret-of-tests-a-secret-of-tests!".into());
    Config::parse(&text, "vingate.toml".as_ref(), &secret)
        .unwrap_or_else(|problems| panic!("{problems}"))
}

fn value(yaml: &Yaml) -> Value {
    match yaml {
        Yaml::String(text) | Yaml::Real(text) => text.as_str().into(),
        Yaml::Integer(number) => (*number).into(),
        Yaml::Boolean(is_so) => (*is_so).into(),
        Yaml::Array(items) => items.iter().map(value).collect(),
        Yaml::Hash(members) => {
            let mut object = Map::new();
            for (name, member) in members {
                let name = name.as_str().expect("a name is a text");
                match (name, value(member)) {
                    // What is merged gives way to what is there.
                    ("<<", Value::Object(merged)) => {
                        merged.into_iter().for_each(|(name, member)| {
                            object.entry(name).or_insert(member);
                        });
                    }
                    (name, member) => {
                        object.insert(name.into(), member);
                    }
                }
            }
            Value::Object(object)
        }
        Yaml::Null | Yaml::Alias(_) | Yaml::BadValue => Value::Null,
    }
}

#[test]
fn reads_what_is_merged_as_less_than_what_is_there() {
    let text = "a: &a { x: 1, y: [b] }\nb: { <<: *a, x: 2 }\nc: { x: 3, <<: *a }\n";
    let read = parse(text).unwrap();
    assert_eq!(read[0]["b"], serde_json::json!({ "x": 2, "y": ["b"] }));
    assert_eq!(read[0]["c"]["x"], 3);
}
