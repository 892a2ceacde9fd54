//! The description of the public listener for client generators and people: OpenAPI 3.1.
//!
//! It is a text, and tests hold it to the code: routes, statuses and problem codes here, its
//! examples over sockets.

/// The document, JSON.
pub const OPENAPI: &str = include_str!("openapi.json");

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use http::Method;
    use serde_json::Value;

    use super::*;
    use crate::{problem::Code, route::Route};

    fn document() -> Value {
        serde_json::from_str(OPENAPI).unwrap()
    }

    /// Every operation: its method, its path, what is said of it.
    fn operations(document: &Value) -> Vec<(Method, String, Value)> {
        let paths = document["paths"].as_object().unwrap();
        let operations = paths.iter().flat_map(|(path, methods)| {
            let methods = methods.as_object().unwrap();
            methods.iter().map(|(method, said)| {
                (method.to_uppercase().parse().unwrap(), path.clone(), said.clone())
            })
        });
        operations.collect()
    }

    /// The codes of the public listener; two are the admin listener's own.
    fn codes() -> impl Iterator<Item = Code> {
        let codes = Code::ALL.iter().copied();
        codes.filter(|code| !matches!(code, Code::NotFound | Code::MisdirectedRequest))
    }

    #[test]
    fn describes_every_route_and_nothing_else() {
        let document = document();
        let described = operations(&document).into_iter().map(|(method, path, _)| {
            let path = path.replace("{vin}", "3VWFE21C04M000001");
            Route::of(&method, &path, method == Method::POST).as_str()
        });
        let routes = Route::ALL.map(Route::as_str).into_iter();
        let routes: BTreeSet<_> = routes.filter(|route| *route != "other").collect();
        assert_eq!(described.collect::<BTreeSet<_>>(), routes);
        assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    }

    #[test]
    fn every_operation_has_every_status_that_a_problem_can_have() {
        for (method, path, said) in operations(&document()) {
            let responses = said["responses"].as_object().unwrap();
            let described: BTreeSet<u16> = responses
                .keys()
                .filter_map(|key| key.parse().ok())
                .collect();
            let described = described.into_iter().filter(|status| *status >= 400);
            let is_batch = path.contains("batch");
            let possible = codes().filter(|code| is_batch || *code != Code::UnsupportedMediaType);
            let possible: BTreeSet<u16> = possible.map(|code| code.status().as_u16()).collect();
            assert_eq!(described.collect::<BTreeSet<_>>(), possible, "{method} {path}");
        }
    }

    #[test]
    fn knows_every_code() {
        let document = document();
        let written = &document["components"]["schemas"]["Problem"]["properties"]["code"]["enum"];
        let codes: Vec<_> = codes().map(Code::as_str).collect();
        assert_eq!(written, &serde_json::json!(codes));
    }

    #[test]
    fn refers_only_to_what_is_there() {
        fn follow(document: &Value, value: &Value) {
            match value {
                Value::Object(members) => {
                    if let Some(Value::String(to)) = members.get("$ref") {
                        let found = document.pointer(to.trim_start_matches('#'));
                        assert!(found.is_some(), "{to} is not there");
                    }
                    members.values().for_each(|value| follow(document, value));
                }
                Value::Array(values) => values.iter().for_each(|value| follow(document, value)),
                _ => {}
            }
        }
        follow(&document(), &document());
    }
}
