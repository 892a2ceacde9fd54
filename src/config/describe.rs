//! One key in words: what it is for, what it may hold, whether a running gateway can change it.

use std::fmt::Write as _;

use serde_json::Value as Json;

use super::{declaration::RELOADABLE, json_schema, nearest};

/// What is to be known of `key`, such as `cache.ttl.finished`, or of a table: a few lines.
///
/// # Errors
///
/// There is no such key; with the one that was probably meant.
pub fn describe(key: &str) -> Result<String, String> {
    let (mut schema, mut is_reloadable) = (json_schema::schema(), false);
    for name in key.split('.') {
        let table = schema.get("items").unwrap_or(&schema);
        let next = table["properties"][name].clone();
        if next.is_null() {
            return Err(unknown(key));
        }
        is_reloadable |= next[RELOADABLE] == true;
        schema = next;
    }
    let mut text = format!("{key}\n  {}", schema["description"].as_str().unwrap_or_default());
    // A default is an example, too. An empty list is none, so that an example follows it.
    let values =
        [("default", "/default"), ("example", "/examples/0"), ("example", "/items/examples/0")];
    let mut values = values
        .into_iter()
        .filter_map(|(name, at)| Some((name, schema.pointer(at)?)));
    if let Some((name, value)) = values.find(|(_, value)| **value != Json::Array(Vec::new())) {
        // Writing to a string does not fail.
        let _ = write!(text, "\n  {name}: {value}");
    }
    for bound in ["minimum", "maximum", "enum"] {
        if let Some(value) = schema.get(bound) {
            let _ = write!(text, "\n  {bound}: {value}");
        }
    }
    let table = schema.get("items").unwrap_or(&schema);
    if let Some(keys) = table["properties"].as_object() {
        let keys: Vec<_> = keys.keys().map(String::as_str).collect();
        let _ = write!(text, "\n  keys: {}", keys.join(", "));
    }
    let changes = match is_reloadable {
        true => "a change is taken up while the gateway runs",
        false if table.get("properties").is_some() => "its keys say what a change takes",
        false => "a change takes a restart",
    };
    let _ = write!(text, "\n  {changes}");
    Ok(text)
}

fn unknown(key: &str) -> String {
    let (table, name) = key.rsplit_once('.').unwrap_or(("", key));
    match nearest::to(table, name, &json_schema::keys()) {
        Some(meant) => format!("there is no key {key}, did you mean {meant}?"),
        None => format!("there is no key {key}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::example_file::written;

    #[test]
    fn tells_what_a_key_is() {
        for (key, lines) in [
            (
                "cache.ttl.pending",
                &["default: \"10s\"", "a change is taken up while the gateway runs"][..],
            ),
            ("batch.chunk", &["default: 500", "maximum: 500", "a change is taken up"]),
            ("server.listen", &["default: \"0.0.0.0:8080\"", "a change takes a restart"]),
            ("account", &["keys: header, name, subjects, value", "a change is taken up"]),
            ("account.name", &["example: \"fleet\""]),
            ("cache.snapshot.file", &["example: \"cache.snapshot\""]),
            ("trace.otlp", &["example: \"http://127.0.0.1:4318\""]),
            ("cors.origins", &["example: \"https://fleet.example.internal\""]),
            ("auth.audience", &["example: \"vingate\""]),
            ("log", &["keys: access, format, level", "its keys say what a change takes"]),
        ] {
            let text = describe(key).unwrap();
            assert!(text.starts_with(&format!("{key}\n  ")), "{text}");
            for line in lines {
                assert!(text.contains(&format!("\n  {line}")), "{line}: {text}");
            }
        }
    }

    #[test]
    fn shows_a_value_of_the_key_and_of_no_other() {
        for key in json_schema::keys() {
            let text = describe(&key).unwrap();
            let shown = |name| {
                text.lines()
                    .find_map(|line| line.trim_start().strip_prefix(name))
            };
            let Some(shown_example) = shown("example: ") else { continue };
            assert!(shown("default: ").is_none(), "{text}");
            let (_, name) = key.rsplit_once('.').unwrap();
            let expected = written(&key).or(match name {
                "env" => Some("VINGATE_SECRET"),
                "file" => Some("keys/secret"),
                "audience" => Some("vingate"),
                "harmless_writes" => Some("POST /api/reports/*"),
                "hosts" => Some("vingate.internal"),
                "trusted_proxies" => Some("10.0.0.0/8"),
                _ => None,
            });
            assert_eq!(Some(&*shown_example.replace('"', "")), expected, "{key}");
        }
    }

    #[test]
    fn leads_to_the_key_that_was_meant() {
        let meant = describe("cache.capacty").unwrap_err();
        assert_eq!(meant, "there is no key cache.capacty, did you mean cache.capacity?");
        assert!(describe("").is_err() && describe("a.b.c").is_err() && describe("cache.").is_err());
    }
}
