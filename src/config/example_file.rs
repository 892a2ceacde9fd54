//! `config/vingate.toml`, which has a line for every key: where examples of values, and what is said
//! of keys, come from.

use std::{collections::BTreeMap, mem, sync::LazyLock};

use serde_json::{Map, Value as Json};
use toml::de::{DeTable, DeValue};

use super::key_path;

/// The file as it is shipped.
pub(super) const TEXT: &str = include_str!("../../config/vingate.toml");

static EXAMPLES: LazyLock<Json> = LazyLock::new(|| {
    let text = uncommented();
    DeTable::parse(&text).map_or(Json::Null, |root| table(root.get_ref()))
});

/// The example of `key`, if its type has one: that of the file, or else that of the type. Several, as
/// durations have, show how a value is written.
pub(super) fn example<'s>(key: &str, schema: &'s Json) -> Option<&'s str> {
    match schema.get("examples")?.as_array()?.as_slice() {
        [of_type] => written(key).or(of_type.as_str()),
        _ => None,
    }
}

/// What the file says of `key`, but for which keys of a table are reloaded: that shows on the keys.
pub(super) fn about(key: &str) -> Option<&'static str> {
    static COMMENTS: LazyLock<BTreeMap<String, String>> = LazyLock::new(comments);
    COMMENTS.get(key)?.split(" Reloaded: ").next()
}

/// The comments before keys and tables.
pub(super) fn comments() -> BTreeMap<String, String> {
    let (mut table, mut comment, mut comments) = (String::new(), Vec::new(), BTreeMap::new());
    for line in TEXT.lines() {
        let bare = line.strip_prefix('#').unwrap_or(line);
        if bare.is_empty() || bare.starts_with(" ---") {
            comment.clear();
        } else if line.starts_with("# ") {
            comment.push(bare.trim());
        } else {
            let key = match bare.split_once(" = ") {
                Some((name, _)) => key_path::join(&table, name),
                None => {
                    table = bare.replace(['[', ']'], "");
                    table.clone()
                }
            };
            if !comment.is_empty() {
                comments.insert(key, mem::take(&mut comment).join(" "));
            }
        }
    }
    comments
}

/// The text that the file has for `key`, or the first that it has in a list there.
pub(super) fn written(key: &str) -> Option<&'static str> {
    let values = key_path::find(&EXAMPLES, key).into_iter();
    let mut texts = values.filter_map(|value| value.get(0).unwrap_or(value).as_str());
    texts.next()
}

/// The file with every commented key switched on.
pub(super) fn uncommented() -> String {
    let key = |line: &str| match line.strip_prefix('#') {
        Some(rest) if !rest.starts_with(' ') => rest.to_owned(),
        _ => line.to_owned(),
    };
    TEXT.lines().map(|line| key(line) + "\n").collect()
}

fn table(table: &DeTable<'_>) -> Json {
    let members = table
        .iter()
        .map(|(name, value)| (name.get_ref().to_string(), json(value.get_ref())));
    members.collect::<Map<_, _>>().into()
}

/// Numbers and the like have bounds, and need no example.
fn json(value: &DeValue<'_>) -> Json {
    match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Array(array) => array.iter().map(|item| json(item.get_ref())).collect(),
        DeValue::Table(within) => table(within),
        _ => Json::Null,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn has_an_example_of_a_key() {
        for (key, found) in [
            ("cache.snapshot.file", Some("cache.snapshot")),
            ("cors.origins", Some("https://fleet.example.internal")),
            ("cors.origins[3]", Some("https://fleet.example.internal")),
            ("account[2].subjects[1]", Some("billing")),
            ("auth.key.public_key.file", Some("keys/partner.pem")),
            ("server.trusted_proxies", None),
            ("cache.ttl", None),
            ("key", None),
        ] {
            assert_eq!(written(key), found, "{key}");
        }
        let (one, several) = (json!({ "examples": ["a"] }), json!({ "examples": ["a", "b"] }));
        assert_eq!(example("trace.otlp", &one), Some("http://127.0.0.1:4318"));
        assert_eq!(example("auth.audience", &one), Some("a"));
        assert_eq!(example("trace.otlp", &several), None);
    }
}
