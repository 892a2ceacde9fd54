//! Holds `config/vingate.toml` against the declarations.

use std::path::Path;

use serde_json::Value as Json;

use super::{
    Config,
    context::{Context, Outside},
    example_file::{TEXT, comments, uncommented},
    file::{Account, File, Rate},
    json_schema::{self, schema},
    key_path,
    toml_document::Document,
    value::{Node, Value as _},
};
use crate::files::Sources;

/// Reads the example as a whole, and looks at what was read.
fn read_all<T>(look: impl FnOnce(&File, &Context<'_>) -> T) -> T {
    let (text, mut problems, mut sources) = (uncommented(), Vec::new(), Sources::default());
    let document = Document::parse(&text, &mut problems).unwrap();
    let outside = Outside { folder: Path::new(""), env: &|_| None, has_roots: || true };
    let mut context = Context::new(&document, &[], outside, &mut sources, &mut problems);
    let root = Node { key: String::new(), value: &document.root };
    let file = File::read(&root, &mut context).unwrap();
    let seen = look(&file, &context);
    assert_eq!(problems, []);
    seen
}

/// Compares every key that has a default; what has none, or is one of several, is an example.
fn same(written: &Json, default: &Json, key: &str) {
    match (written, default) {
        (Json::Object(written), Json::Object(default)) => {
            for (name, default) in default {
                same(&written[name], default, &format!("{key}.{name}"));
            }
        }
        (_, Json::Null) => {}
        (Json::Array(written), Json::Array(_)) if written.iter().any(Json::is_object) => {}
        _ => assert_eq!(written, default, "{key}"),
    }
}

#[test]
fn shows_every_key_with_its_default() {
    let written = read_all(|file, _| file.show());
    same(&written, &File::default().show(), "");
    same(&written["limit"]["rate"], &Rate::default().show(), "limit.rate");
    assert_eq!(written["account"][0]["header"], Account::default().header.show());
}

#[test]
fn shows_every_key() {
    read_all(|_, context| {
        for key in json_schema::keys() {
            let places = ["", "[0]", "[1]"].map(|index| {
                let key = key.replacen("account.", &format!("account{index}."), 1);
                key.replacen("auth.key.", &format!("auth.key{index}."), 1)
            });
            // Where a secret is kept is shown by one of its two keys.
            let shown = key.ends_with(".env")
                || key.ends_with(".file")
                || places.iter().any(|key| context.is_written(key));
            assert!(shown, "{key} is not in config/vingate.toml");
        }
    });
}

#[test]
fn gives_the_reason_of_every_key() {
    let comments = comments();
    for key in json_schema::keys() {
        let declared = declared(&key);
        let about = declared["description"].as_str().unwrap();
        if !key.contains('.') {
            let about = format!("{about} {}", reload_note(&key, &declared));
            assert_eq!(comments.get(&key), Some(&about), "{key}");
        }
        // Where a secret is kept is said once for all.
        let is_commented = comments
            .get(&key)
            .is_some_and(|comment| comment.starts_with(about));
        assert!(is_commented || key.ends_with(".env") || key.ends_with(".file"), "{key}");
    }
}

fn declared(key: &str) -> Json {
    key.split('.').fold(schema(), |schema, name| {
        schema.get("items").unwrap_or(&schema)["properties"][name].clone()
    })
}

/// Which keys of a table a running gateway can change.
fn reload_note(table: &str, declared: &Json) -> String {
    let reloadable = json_schema::reloadable();
    if reloadable.iter().any(|key| key == table) {
        return "Reloaded: all keys.".to_owned();
    }
    let names = declared["properties"].as_object().unwrap().keys();
    let names = names.filter(|name| reloadable.contains(&key_path::join(table, name)));
    let names: Vec<_> = names.map(String::as_str).collect();
    let names = if names.is_empty() { "no key".to_owned() } else { names.join(", ") };
    format!("Reloaded: {names}.")
}

#[test]
fn needs_nothing_but_the_variable_that_it_names() {
    let path = Path::new("config/vingate.toml");
    let problems = Config::parse(TEXT, path, &|_| None).unwrap_err().list;
    let texts: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        ["auth.key[0].secret: found no environment variable VINGATE_JWT_SECRET, expected a secret"]
    );
}
