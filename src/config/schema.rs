//! The JSON Schema of the file, for editors and for suggestions.

use schemars::generate::SchemaSettings;
use serde_json::Value;

use super::file::File;

/// The schema of what [`Config::load`](super::Config::load) takes, as far as a schema can say it.
pub fn schema() -> Value {
    // Draft 7 and no references: what every editor understands.
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings
        .into_generator()
        .into_root_schema_for::<File>()
        .to_value();
    fit_to_toml(&mut schema);
    schema
}

/// Every key there is: `cache.ttl.finished`, and `account.name` for a key of an array's tables.
pub(crate) fn keys() -> Vec<String> {
    let mut keys = Vec::new();
    collect_keys(&schema(), "", &mut keys);
    keys
}

fn collect_keys(schema: &Value, above: &str, keys: &mut Vec<String>) {
    if let Some(items) = schema.get("items") {
        collect_keys(items, above, keys);
    }
    let Some(Value::Object(properties)) = schema.get("properties") else { return };
    for (name, below) in properties {
        let key = if above.is_empty() { name.clone() } else { format!("{above}.{name}") };
        collect_keys(below, &key, keys);
        keys.push(key);
    }
}

/// TOML has no null; and the defaults of a table are those of its keys.
fn fit_to_toml(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            if members
                .get("default")
                .is_some_and(|value| value.is_null() || value.is_object())
            {
                members.remove("default");
            }
            if let Some(Value::Array(words)) = members.get_mut("enum") {
                words.retain(|word| !word.is_null());
            }
            if let Some(Value::Array(types)) = members.get_mut("type") {
                types.retain(|name| name != "null");
                if let [one] = types.as_mut_slice() {
                    let one = one.take();
                    members.insert("type".to_owned(), one);
                }
            }
            members.values_mut().for_each(fit_to_toml);
        }
        Value::Array(elements) => elements.iter_mut().for_each(fit_to_toml),
        _ => {}
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
