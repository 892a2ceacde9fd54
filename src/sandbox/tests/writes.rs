//! PATCH, PUT and the list.

use http::Method;
use serde_json::{Value, json};

use super::*;

impl Client {
    async fn patch(&self, vin: &str, body: &str) -> client::Reply {
        self.send(Method::PATCH, &format!("/api/v2/vehicles/{vin}/status"), body)
            .await
    }

    async fn put(&self, info: Value) -> client::Reply {
        let body = json!({ "vehicleInfo": info }).to_string();
        self.send(Method::PUT, "/api/upsert-vehicle-info", &body)
            .await
    }

    async fn tax(&self, body: Value) -> client::Reply {
        self.send(Method::PUT, "/api/upsert-tax-identity", &body.to_string())
            .await
    }

    /// The version that the results of a vehicle show.
    async fn version(&self, vin: &str, plate: &str) -> u64 {
        let json = self.request(&[vehicle(vin, plate)]).await.json();
        json["vehicleData"][0]["info"][0]["result"][0]["version"]
            .as_u64()
            .unwrap()
    }
}

#[tokio::test]
async fn patches_a_status_by_the_rules_of_its_page() {
    let (_sandbox, client) = start().await;
    for (vin, body, want) in [
        (VIN, r#"{"vehicleStatusId":1}"#, (204, "")),
        ("3vwfe21c04m000001", r#"{"vehicleStatusId":9}"#, (204, "")),
        (VIN, r#"{"vehicleStatusId":9}"#, (204, "")),
        (VIN, r#"{"vehicleStatusId":2}"#, (400, "BadParameters")),
        (VIN, r#"{"vehicleStatusId":10}"#, (400, "BadParameters")),
        (VIN, r#"{"vehicleStatusId":257}"#, (400, "BadParameters")),
        (VIN, r#"{"vehicleStatusId":-1}"#, (400, "BadParameters")),
        (VIN, r#"{"vehicleStatusId":"1"}"#, (400, "BadParameters")),
        (VIN, r#"{"vehicleStatusId":1.5}"#, (400, "BadParameters")),
        (VIN, "{}", (400, "BadParameters")),
        (VIN, "", (400, "BadParameters")),
        ("3VW-FE21C04M00001", r#"{"vehicleStatusId":1}"#, (400, "BadParameters")),
        ("3VWFE21C04M00000O", r#"{"vehicleStatusId":1}"#, (400, "BadParameters")),
        ("3VWFE21C04M0000011", r#"{"vehicleStatusId":1}"#, (400, "BadParameters")),
        ("3VWFE21C04M000404", r#"{"vehicleStatusId":1}"#, (404, "VehicleNotFound")),
        ("3VWFE21C04M000409", r#"{"vehicleStatusId":1}"#, (409, "MultipleVehiclesFound")),
    ] {
        let reply = client.patch(vin, body).await;
        if want.0 == 204 {
            assert_eq!((reply.status.as_u16(), reply.body.len()), (204, 0), "{vin} {body}");
        } else {
            assert_eq!(reply.error(), (want.0, want.1.into()), "{vin} {body}");
        }
    }
    let anonymous = client.with("x-api-key", "");
    assert_eq!(anonymous.patch(VIN, "{}").await.error(), (401, "Unauthorized".into()));
}

#[tokio::test]
async fn shows_every_write_in_the_version_of_the_vehicle() {
    let (_sandbox, client) = start().await;
    let other = client.clone().with("x-api-key", "other");
    assert_eq!(client.version(VIN, PLATE).await, 1);
    client.patch(VIN, r#"{"vehicleStatusId":3}"#).await;
    assert_eq!(client.version(VIN, PLATE).await, 2);
    assert_eq!(other.version(VIN, PLATE).await, 2, "all credentials are one user's");

    client.patch(VIN, r#"{"vehicleStatusId":2}"#).await;
    assert_eq!(client.version(VIN, PLATE).await, 2, "an invalid write is none");

    let before = client.version("3VWFE21C000000001", PLATE).await;
    client.put(json!({ "vin": VIN, "plate": PLATE })).await;
    assert!(client.version(VIN, PLATE).await > 2);
    assert!(client.version("3VWFE21C000000001", PLATE).await > before, "the plate counts, too");

    let before = other.version(VIN, PLATE).await;
    other.tax(json!({ "legalName": "x" })).await;
    assert!(other.version(VIN, PLATE).await > before);
    assert!(client.version(VIN, PLATE).await < other.version(VIN, PLATE).await);
}

#[tokio::test]
async fn merges_what_is_put() {
    let (_sandbox, client) = start().await;
    for (given, merged) in [
        (
            json!({ "vin": VIN, "plate": PLATE, "ownerName": "Ana", "legalName": "A" }),
            json!({ "vin": VIN, "plate": PLATE, "ownerName": "Ana", "legalName": "A" }),
        ),
        (
            json!({ "vin": VIN, "plate": "xyz987", "ownerName": "" }),
            json!({ "vin": VIN, "plate": "xyz987", "legalName": "A" }),
        ),
        (
            json!({ "vin": "3VWFE21C04M000002", "plate": "XYZ987", "engineNumber": "E" }),
            json!({ "vin": "3VWFE21C04M000002", "plate": "XYZ987", "legalName": "A", "engineNumber": "E" }),
        ),
    ] {
        let reply = client.put(given).await;
        assert_eq!(reply.status, 200);
        assert_eq!(reply.json()["vehicleInfo"], merged);
    }
    client.put(json!({ "vin": VIN, "plate": "AAAA" })).await;
    let conflict = client.put(json!({ "vin": VIN, "plate": "XYZ987" })).await;
    assert_eq!(conflict.error(), (409, "Conflict".into()));
}

#[tokio::test]
async fn refuses_to_put_what_is_forbidden() {
    let (_sandbox, client) = start().await;
    let long = "x".repeat(128);
    for info in [
        json!(null),
        json!({ "plate": PLATE }),
        json!({ "vin": VIN }),
        json!({ "vin": VIN, "plate": "ABC" }),
        json!({ "vin": VIN, "plate": "ABCDEFGHIJK" }),
        json!({ "vin": VIN, "plate": "MFF-956-M" }),
        json!({ "vin": "3VWFE21C04M00000Q", "plate": PLATE }),
        json!({ "vin": VIN, "plate": PLATE, "ownerName": long }),
        json!({ "vin": VIN, "plate": PLATE, "ownerName": null }),
        json!({ "vin": VIN, "plate": PLATE, "legalName": 1 }),
    ] {
        let reply = client.put(info.clone()).await;
        assert_eq!(reply.error(), (400, "BadParameters".into()), "{info}");
    }
    let just = json!({ "vin": VIN, "plate": PLATE, "ownerName": &long[1..] });
    assert_eq!(client.put(just).await.status, 200);
}

#[tokio::test]
async fn merges_tax_identities_by_their_identifier() {
    let (_sandbox, client) = start().await;
    for (given, merged) in [
        (
            json!({ "taxIdentifier": "T", "legalName": "A" }),
            json!({ "taxIdentifier": "T", "legalName": "A" }),
        ),
        (json!({ "taxIdentifier": "T" }), json!({ "taxIdentifier": "T", "legalName": "A" })),
        (json!({ "legalName": "B" }), json!({ "legalName": "B" })),
        (
            json!({ "taxIdentifier": "T", "legalName": "" }),
            json!({ "taxIdentifier": "T", "legalName": "" }),
        ),
    ] {
        assert_eq!(client.tax(given).await.json(), merged);
    }
    for given in [
        json!({}),
        json!({ "taxIdentifier": "x".repeat(128) }),
        json!({ "legalName": "x".repeat(300) }),
        json!({ "legalName": 1 }),
    ] {
        assert_eq!(client.tax(given).await.error(), (400, "BadParameters".into()));
    }
}

#[tokio::test]
async fn lists_what_was_put_before_a_page_of_the_fleet() {
    let (_sandbox, client) = start().await;
    client
        .put(json!({ "vin": VIN, "plate": PLATE, "ownerName": "Ana Núñez" }))
        .await;
    client.patch(VIN, r#"{"vehicleStatusId":3}"#).await;
    let mine = json!({ "vin": VIN, "plate": PLATE, "ownerName": "Ana Núñez", "assetStatusId": 3 });

    let all = client.get("/api/vehicles").await.json();
    assert_eq!((&all["total"], &all["vehicles"][0]), (&json!(21), &mine));
    for (query, total) in [
        ("ownerName=n%C3%BA%C3%B1ez", 1),
        ("ownerName=Ana+N", 1),
        ("vin=04m000001", 1),
        ("plate=AAA00", 20),
        ("assetStatusId=3", 1),
        ("assetStatusId=1&plate=AAA", 20),
        ("plate=", 21),
        ("brandName=VW&doors=30&page=2", 21),
        ("ownerName=nobody", 0),
    ] {
        let reply = client.get(&format!("/api/vehicles?{query}")).await;
        assert_eq!(reply.json()["total"], total, "{query}");
    }
}

#[tokio::test]
async fn refuses_filters_out_of_their_bounds() {
    let (_sandbox, client) = start().await;
    for (filter, longest) in
        [("vin", 17), ("plate", 15), ("customId", 50), ("rfcName", 300), ("axes", 150)]
    {
        for (length, status) in [(longest, 200), (longest + 1, 400)] {
            let reply = client
                .get(&format!("/api/vehicles?{filter}={}", "x".repeat(length)))
                .await;
            assert_eq!(reply.status, status, "{filter} of {length}");
        }
    }
    for query in ["doors=31", "doors=-1", "doors=two", "stateId=x", "assetStatusId=10"] {
        let reply = client.get(&format!("/api/vehicles?{query}")).await;
        assert_eq!(reply.error(), (400, "BadParameters".into()), "{query}");
    }
}
