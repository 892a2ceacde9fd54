//! The JSON Schema of the file, for editors, and the list of its keys.

use serde_json::{Value as Json, json};

use super::{
    declaration::RELOADABLE,
    example_file::{about, example},
    file::File,
    key_path,
    value::Value,
};

/// The schema of what [`Config::load`](super::Config::load) takes, as far as a schema can say it.
pub fn schema() -> Json {
    let mut schema = File::form().schema;
    describe_keys(&mut schema, "");
    // Every editor understands draft 7 without references.
    schema["$schema"] = "http://json-schema.org/draft-07/schema#".into();
    schema["title"] = "vingate".into();
    schema
}

/// Every key there is: `cache.ttl.finished`, and `account.name` for a key of an array's tables.
pub(crate) fn keys() -> Vec<String> {
    let mut keys = Vec::new();
    collect(&File::form().schema, "", &|_| true, &mut keys);
    keys
}

/// The keys, or tables of them, that a running gateway can change.
pub(crate) fn reloadable() -> Vec<String> {
    let mut keys = Vec::new();
    collect(&File::form().schema, "", &|schema| schema[RELOADABLE] == true, &mut keys);
    keys
}

/// Adds what the example file says of `key` and all below it, and puts its examples in the place of
/// those of types.
fn describe_keys(schema: &mut Json, key: &str) {
    if let Some(about) = about(key) {
        schema["description"] = about.into();
    }
    let value = match schema.get("items") {
        Some(_) => &mut schema["items"],
        None => schema,
    };
    if let Some(example) = example(key, value) {
        value["examples"] = json!([example]);
    }
    let properties = value.get_mut("properties").and_then(Json::as_object_mut);
    for (name, schema) in properties.into_iter().flatten() {
        describe_keys(schema, &key_path::join(key, name));
    }
}

fn collect(schema: &Json, table: &str, is_wanted: &dyn Fn(&Json) -> bool, keys: &mut Vec<String>) {
    let table_schema = schema.get("items").unwrap_or(schema);
    let properties = table_schema["properties"].as_object();
    for (name, schema) in properties.into_iter().flatten() {
        let key = key_path::join(table, name);
        collect(schema, &key, is_wanted, keys);
        if is_wanted(schema) {
            keys.push(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_editors_bounds_and_defaults() {
        let schema = schema();
        let chunk = &schema["properties"]["batch"]["properties"]["chunk"];
        assert_eq!((&chunk["minimum"], &chunk["maximum"]), (&1.into(), &500.into()));
        assert_eq!(chunk["default"], 500);
        let capacity = &schema["properties"]["cache"]["properties"]["capacity"];
        assert_eq!((&capacity["type"], &capacity["default"]), (&"string".into(), &"512MiB".into()));
        assert_eq!(schema["properties"]["admin"]["properties"]["token"]["type"], "object");
        assert_eq!(schema["required"], serde_json::json!(["upstream"]));
        assert_eq!(schema["additionalProperties"], false);
    }

    #[test]
    fn knows_every_key_and_no_null() {
        let text = schema().to_string();
        assert!(!text.contains(":null") && !text.contains(",null"), "{text}");
        let keys = keys();
        for key in ["upstream.breaker.open_for", "auth.key.public_key.file", "cache.ttl.jitter"] {
            assert!(keys.iter().any(|known| known == key), "{key}");
        }
    }
}
