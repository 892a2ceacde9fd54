//! How a key is written in messages and compared: `account[1].value`.

use serde_json::Value as Json;

/// The key `name` of the table `table`; the top of the file has no name.
pub(crate) fn join(table: &str, name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    let dot = if table.is_empty() { "" } else { "." };
    if !name.is_empty() && name.chars().all(is_bare) {
        format!("{table}{dot}{name}")
    } else {
        format!("{table}{dot}{name:?}")
    }
}

pub(crate) fn element(array: &str, index: usize) -> String {
    format!("{array}[{index}]")
}

/// `key`, and the tables and arrays that hold it, up to the top.
pub(crate) fn ancestors(key: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(Some(key), |key| key.rfind(['.', '[']).map(|end| &key[..end]))
}

/// Whether `key` is `above`, or below it.
pub(crate) fn covers(above: &str, key: &str) -> bool {
    let below = key.strip_prefix(above);
    below.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// What `json` has at `key`, in each element of an array that the key leads through.
pub(crate) fn find<'j>(json: &'j Json, key: &str) -> Vec<&'j Json> {
    let mut found = vec![json];
    for name in key.split('.') {
        let name = name.split('[').next().unwrap_or_default();
        let within = |json: &'j Json| match json {
            Json::Array(elements) => elements.iter().collect(),
            _ => vec![json],
        };
        let tables = found.into_iter().flat_map(within);
        found = tables.filter_map(|table| table.get(name)).collect();
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn quotes_names_that_are_not_bare() {
        assert_eq!(join("", "cache"), "cache");
        assert_eq!(join(&element("auth.key", 12), "id"), "auth.key[12].id");
        assert_eq!(join(&join("", "a.b"), ""), r#""a.b".""#.to_owned() + "\"");
    }

    #[test]
    fn leads_from_a_key_to_the_top() {
        let up = |key| ancestors(key).collect::<Vec<_>>();
        assert_eq!(up("cache"), ["cache"]);
        assert_eq!(up("cache.ttl.finished"), ["cache.ttl.finished", "cache.ttl", "cache"]);
        assert_eq!(up("a[0][12].b"), ["a[0][12].b", "a[0][12]", "a[0]", "a"]);
    }

    #[test]
    fn covers_itself_and_what_is_below() {
        for (above, below, is_covered) in [
            ("auth", "auth", true),
            ("auth", "auth.key[0].id", true),
            ("auth.key", "auth.key[0]", true),
            ("auth.key[0]", "auth.key[0].id", true),
            ("auth.key[0]", "auth.key[1].id", false),
            ("auth.key", "auth", false),
            ("cache", "cached", false),
        ] {
            assert_eq!(covers(above, below), is_covered, "{above} {below}");
        }
    }

    #[test]
    fn finds_what_is_in_a_list_of_tables() {
        let json = json!({ "a": { "b": [1, 2] }, "c": [{ "d": 3 }, {}, { "d": 4 }], "e": [] });
        for (key, found) in [
            ("a", json!([{ "b": [1, 2] }])),
            ("a.b", json!([[1, 2]])),
            ("a.b[1]", json!([[1, 2]])),
            ("c.d", json!([3, 4])),
            ("c[7].d", json!([3, 4])),
            ("e.d", json!([])),
            ("f", json!([])),
        ] {
            assert_eq!(json!(find(&json, key)), found, "{key}");
        }
    }
}
