use http::header::CONTENT_LENGTH;

use super::*;

#[test]
fn changes_nothing_but_the_spelling_of_vehicles() {
    let body = r#"{ "x":[1.0], "vehicles" :[ {"plate": "ab-1","y":{"vin":"a-b"},
        "vin":"3vw-fe21c04m000001"},{"vin":"3VWFE21C04M000002", "plate":"\u0061"} ]}"#;
    let clean = r#"{ "x":[1.0], "vehicles" :[ {"plate": "AB1","y":{"vin":"a-b"},
        "vin":"3VWFE21C04M000001"},{"vin":"3VWFE21C04M000002", "plate":"A"} ]}"#;
    assert_eq!(normalize(body.as_bytes()).unwrap(), clean);
    assert_eq!(normalize(clean.as_bytes()), None);
    assert_eq!(
        normalize(br#"{"vehicles":[{"plate":"A\u0000"}]}"#).unwrap(),
        r#"{"vehicles":[{"plate":"A"}]}"#
    );
}

#[test]
fn is_a_get_on_the_documented_path() {
    let asked = Request::post("/api/batch/scraping?x=%20y")
        .body(())
        .unwrap();
    let request = request(asked.into_parts().0, Bytes::from_static(b"{}"));
    assert_eq!(request.method(), Method::GET);
    assert_eq!(request.uri(), "/api/batch/scraping/?x=%20y");
    assert_eq!(request.headers()[CONTENT_LENGTH], "2");
}
