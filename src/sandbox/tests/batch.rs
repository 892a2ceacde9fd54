//! The batch as it is documented.

use serde_json::Value;

use super::{
    super::{element::RESOURCE_TYPES, fleet},
    *,
};

#[tokio::test]
async fn sends_each_vehicle_in_the_order_of_the_request() {
    let (sandbox, client) = start().await;
    let vehicles: Vec<_> = sandbox.vehicles(Class::Finished).take(500).collect();
    let reply = client.request(&vehicles).await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.headers["content-type"], "application/json; charset=utf-8");
    let requested: Vec<_> = vehicles
        .iter()
        .map(|vehicle| vehicle.vin.as_str())
        .collect();
    assert_eq!(reply.vins(), requested);
    let mean = reply.body.len() / vehicles.len();
    assert!((700..1500).contains(&mean), "{mean} bytes a vehicle");
}

#[tokio::test]
async fn sends_the_bytes_that_the_handle_tells() {
    let (sandbox, client) = start().await;
    let vehicle = vehicle(VIN, PLATE);
    let element = sandbox.element(&vehicle, client.headers()).unwrap();
    let reply = client.request(&[vehicle]).await;
    assert_eq!(reply.body, format!(r#"{{"vehicleData":[{element}]}}"#));
    assert_eq!(sandbox.element(&vehicle, &http::HeaderMap::new()), None);
}

#[tokio::test]
async fn has_the_documented_members_for_every_class() {
    let (sandbox, client) = start().await;
    for (class, items) in [
        (Class::Absent, None),
        (Class::Empty, Some(0)),
        (Class::Failed, Some(1)),
        (Class::Finished, Some(1)),
        (Class::Pending, Some(1)),
    ] {
        for vehicle in sandbox.vehicles(class).take(20) {
            let json = client.request(&[vehicle]).await.json();
            let Some(at_least) = items else {
                assert_eq!(json["vehicleData"], Value::Array(Vec::new()));
                continue;
            };
            let element = &json["vehicleData"][0];
            assert_eq!(element["vin"], vehicle.vin.as_str());
            assert_eq!(element["plate"], vehicle.plate.as_str());
            let info = element["info"].as_array().unwrap();
            assert!((at_least..=4).contains(&info.len()), "{class:?}");
            for (nth, item) in info.iter().enumerate() {
                let class = if nth + 1 == info.len() { class } else { Class::Finished };
                judge(&vehicle, item, class);
            }
        }
    }
}

fn judge(vehicle: &Vehicle, item: &Value, class: Class) {
    let resource = item["resourceId"].as_u64().unwrap();
    let id = format!("{resource}-{}-{}", vehicle.vin.as_str(), vehicle.plate.as_str());
    assert_eq!(item["_id"], id);
    assert!(
        RESOURCE_TYPES
            .iter()
            .any(|known| u64::from(known.0) + 100 == resource)
    );
    assert!(item["creationDateTime"].is_string() && item["result"].is_array());
    let status = &item["status"]["statusId"];
    let finished = item["finishedDateTime"].as_str();
    match class {
        Class::Failed => assert!(status.is_null() && finished.is_some()),
        Class::Pending => assert!(*status == -1 && finished.is_none()),
        _ => {
            assert!(status.as_i64().unwrap() >= 0);
            assert!(finished > item["creationDateTime"].as_str());
            for member in ["key", "description", "descriptionSpanish"] {
                assert!(item["status"][member].is_string());
            }
            assert!(item["status"]["priority"].is_i64());
        }
    }
}

#[tokio::test]
async fn has_bytes_that_no_serialiser_would_give_back() {
    let (sandbox, client) = start().await;
    let all: String = fleet::numbered()
        .take(200)
        .filter_map(|v| sandbox.element(&v, client.headers()))
        .collect();
    for spelling in
        ["1.0", "1e2", "9007199254740993", "-0.0", "\\u00f3", "\\/", "🚗", "{ \"info\" :"]
    {
        assert!(all.contains(spelling), "{spelling}");
    }
}

#[tokio::test]
async fn refuses_what_the_documentation_forbids() {
    let (sandbox, client) = start().await;
    let entry =
        |vin: &str, plate: &str| format!(r#"{{"vehicles":[{{"vin":"{vin}","plate":"{plate}"}}]}}"#);
    let many: Vec<_> = fleet::numbered().take(501).collect();
    let mut invalid = 0;
    for (body, detail) in [
        (String::new(), "BadRequest"),
        ("{".into(), "BadRequest"),
        ("[]".into(), "BadRequest"),
        ("{}".into(), "BadRequest"),
        (r#"{"vehicle":[]}"#.into(), "BadRequest"),
        (r#"{"vehicles":null}"#.into(), "BadRequest"),
        (r#"{"vehicles":[]}"#.into(), "BadRequest"),
        (batch_body(&many), "BadRequest"),
        (r#"{"vehicles":[1]}"#.into(), "BadParameters"),
        (format!(r#"{{"vehicles":[["{VIN}","{PLATE}"]]}}"#), "BadParameters"),
        (format!(r#"{{"vehicles":[{{"vin":"{VIN}"}}]}}"#), "BadParameters"),
        (format!(r#"{{"vehicles":[{{"plate":"{PLATE}"}}]}}"#), "BadParameters"),
        (format!(r#"{{"vehicles":[{{"vin":"{VIN}","plate":1}}]}}"#), "BadParameters"),
        (entry(&VIN.to_lowercase(), PLATE), "BadParameters"),
        (entry(VIN, "mff956m"), "BadParameters"),
        (entry("3VW-FE21C04M000001", PLATE), "BadParameters"),
        (entry(VIN, "MFF 956 M"), "BadParameters"),
        (entry("3VWFE21C04M00000O", PLATE), "BadParameters"),
        (entry("3VWFE21C04M00000", PLATE), "BadParameters"),
        (entry(VIN, ""), "BadParameters"),
        (entry(VIN, "ABCDEFGHIJKLMNOP"), "BadParameters"),
        (entry(VIN, "ＭＦＦ９５６Ｍ"), "BadParameters"),
    ] {
        let reply = client.batch(&body).await;
        assert_eq!(reply.error(), (400, detail.into()), "{}", &body[..body.len().min(80)]);
        invalid += 1;
    }
    let counters = sandbox.counters();
    assert_eq!((counters.batches, counters.rejected, counters.vehicles), (invalid, invalid, 0));
    assert_eq!(client.request(&many[..500]).await.status, 200);
}

#[tokio::test]
async fn takes_undocumented_members_and_parameters() {
    let (_sandbox, client) = start().await;
    let body = format!(r#"{{"page":1,"vehicles":[{{"vin":"{VIN}","plate":"{PLATE}","x":[]}}]}}"#);
    let reply = client
        .send(http::Method::GET, "/api/batch/scraping/?a=b", &body)
        .await;
    assert_eq!((reply.status.as_u16(), reply.vins().len()), (200, 1));
}

#[tokio::test]
async fn wants_a_credential_and_responds_by_it() {
    let sandbox = Sandbox::spawn().await.unwrap();
    let anonymous = Client::new(&sandbox);
    let vehicle = vehicle(VIN, PLATE);
    assert_eq!(anonymous.request(&[vehicle]).await.error(), (401, "Unauthorize".into()));
    let empty = anonymous.clone().with("authorization", "");
    assert_eq!(empty.request(&[vehicle]).await.error(), (401, "Unauthorize".into()));

    let one = anonymous
        .clone()
        .with("authorization", "Bearer one")
        .request(&[vehicle])
        .await;
    let two = anonymous
        .with("authorization", "Bearer two")
        .request(&[vehicle])
        .await;
    assert_eq!((one.status, two.status), (http::StatusCode::OK, http::StatusCode::OK));
    assert_ne!(one.body, two.body);
}

#[tokio::test]
async fn knows_nothing_at_other_paths_and_methods() {
    let (_sandbox, client) = start().await;
    for (method, target) in [
        ("GET", "/"),
        ("GET", "/api/batch/scraping"),
        ("GET", "/API/batch/scraping/"),
        ("POST", "/api/batch/scraping/"),
        ("QUERY", "/api/batch/scraping/"),
        ("GET", "/api/resources"),
        ("PUT", "/api/vehicles"),
        ("GET", "/api/v2/vehicles/3VWFE21C04M000001/status"),
        ("GET", "/sandbox"),
        ("GET", "/sandbox/sink"),
        ("GET", "/sandbox/bytes/x"),
        ("GET", "/sandbox/nothing"),
    ] {
        let reply = client.send(method.parse().unwrap(), target, "").await;
        assert_eq!(reply.error(), (404, "NotFound".into()), "{method} {target}");
    }
}

#[tokio::test]
async fn sends_what_a_test_sets_for_a_vehicle() {
    let (sandbox, client) = start().await;
    let (one, two) = (vehicle(VIN, PLATE), vehicle(VIN, "XYZ987"));
    sandbox.set_element(one, Some(r#"{"any": "thing"}"#));
    sandbox.set_element(two, None);
    assert_eq!(client.request(&[one, two]).await.body, r#"{"vehicleData":[{"any": "thing"}]}"#);
    sandbox.clear();
    assert_eq!(client.request(&[one]).await.vins(), [VIN]);
}

#[tokio::test]
async fn speaks_http_2_by_prior_knowledge() {
    let (sandbox, client) = start().await;
    let client = client.http2();
    assert_eq!(client.request(&[vehicle(VIN, PLATE)]).await.vins(), [VIN]);
    assert_eq!(sandbox.calls()[0].version, http::Version::HTTP_2);
}
