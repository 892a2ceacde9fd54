//! Holds `config/vingate.toml` against the code.

use std::path::Path;

use serde_json::Value;

use super::{Config, document::Document, file::File, path::KeyPath, read, schema};

const TEXT: &str = include_str!("../../config/vingate.toml");

/// The example with every commented key switched on.
fn uncommented() -> String {
    let key = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with(' ') => rest.to_owned(),
        _ => line.to_owned(),
    };
    TEXT.lines().map(|line| key(line) + "\n").collect()
}

fn read_all(text: &str) -> Value {
    let mut problems = Vec::new();
    let mut document = Document::parse(text, &mut problems).unwrap();
    let (file, _) = read::read(&mut document, &mut problems).unwrap();
    assert_eq!(problems, []);
    serde_json::to_value(file).unwrap()
}

/// Compares every key that has a default; what has none, or is one of several, is an example.
fn same(written: &Value, default: &Value, key: &str) {
    match (written, default) {
        (Value::Object(written), Value::Object(default)) => {
            for (name, default) in default {
                same(&written[name], default, &format!("{key}.{name}"));
            }
        }
        (_, Value::Null) => {}
        (Value::Array(written), Value::Array(_)) if written.iter().any(Value::is_object) => {}
        _ => assert_eq!(written, default, "{key}"),
    }
}

#[test]
fn shows_every_key_with_its_default() {
    let written = read_all(&uncommented());
    same(&written, &serde_json::to_value(File::default()).unwrap(), "");
    same(&written["limit"]["rate"], &read_all("[limit.rate]")["limit"]["rate"], "limit.rate");
    let header = &read_all("[[account]]")["account"][0]["header"];
    assert_eq!(&written["account"][0]["header"], header);
}

#[test]
fn shows_every_key() {
    let text = uncommented();
    let document = Document::parse(&text, &mut Vec::new()).unwrap();
    for key in schema::keys() {
        let places = ["", "[0]", "[1]"].map(|index| {
            let key = key.replacen("account.", &format!("account{index}."), 1);
            key.replacen("auth.key.", &format!("auth.key{index}."), 1)
        });
        // Where a secret is kept is shown by one of its two keys.
        let shown = key.ends_with(".env")
            || key.ends_with(".file")
            || places
                .iter()
                .any(|key| document.node(&KeyPath::from(key.as_str())).is_some());
        assert!(shown, "{key} is not in config/vingate.toml");
    }
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
