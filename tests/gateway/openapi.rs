//! The OpenAPI document: its examples run, and what comes back is described.

use http::Request;
use serde_json::Value;

use crate::support::{Gateway, JSON};

async fn document(gateway: &Gateway) -> Value {
    gateway
        .admin(Request::get("/openapi.json"), "")
        .await
        .expect(200)
        .json()
}

/// The example that an operation shows of its body.
fn example(operation: &Value) -> String {
    let examples = operation["requestBody"]["content"][JSON]["examples"].as_object();
    let example = examples.and_then(|examples| examples.values().next());
    example.map_or(String::new(), |example| example["value"].to_string())
}

/// Headers that small responses do not have.
const OF_LARGE_RESPONSES: [&str; 2] = ["Content-Encoding", "Vary"];

#[tokio::test]
async fn every_example_runs_and_its_response_is_described() {
    let gateway = Gateway::start(
        "[trace]\notlp = \"http://127.0.0.1:9\"\nsample = 0.0\nserver_timing = true\n\
         [cors]\norigins = [\"https://fleet.example\"]",
    )
    .await;
    let document = document(&gateway).await;
    let mut tried = 0;
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let request = || {
                let uri = path.replace("{vin}", "3vw-fe21c04m000001");
                let request = Request::builder()
                    .method(method.to_uppercase().as_str())
                    .uri(uri);
                let request = request
                    .header("content-type", JSON)
                    .header("origin", "https://fleet.example");
                if method == "post" {
                    request.header("x-http-method-override", "GET")
                } else {
                    request
                }
            };
            let body = example(operation);
            let response = gateway.send(request(), body.clone()).await;
            let status = response.status.as_str();
            assert!(response.status.is_success(), "{method} {path}: {}", response.text());
            let described = &operation["responses"][status];
            assert!(!described.is_null(), "{method} {path}: {status}");
            let names = described["headers"].as_object().unwrap().keys();
            for name in names.filter(|name| !OF_LARGE_RESPONSES.contains(&name.as_str())) {
                assert!(response.headers.contains_key(name), "{method} {path}: no {name}");
            }
            let refused = gateway.send_bare(request(), body).await.expect(401);
            let described = &document["components"]["responses"]["Unauthorized"];
            for name in described["headers"].as_object().unwrap().keys() {
                assert!(refused.headers.contains_key(name), "{method} {path}: no {name}");
            }
            let problem = refused.json();
            for name in problem.as_object().unwrap().keys() {
                let known = &document["components"]["schemas"]["Problem"]["properties"][name];
                assert!(!known.is_null(), "{name} is not described");
            }
            tried += 1;
        }
    }
    assert_eq!(tried, 6);
}
