use proptest::prelude::*;

use super::*;
use crate::vehicle::Invalid;

fn normalized(body: &str) -> String {
    let bytes = normalize(Bytes::copy_from_slice(body.as_bytes())).unwrap();
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn refused(body: &str) -> Error {
    normalize(Bytes::copy_from_slice(body.as_bytes())).unwrap_err()
}

#[test]
fn cleans_both_values_where_they_stand() {
    for (typed, clean) in [
        (
            r#"{"vehicleInfo":{"vin":"3vw-fe21c04m000001","plate":"abc 123","ownerName":"a-b"}}"#,
            r#"{"vehicleInfo":{"vin":"3VWFE21C04M000001","plate":"ABC123","ownerName":"a-b"}}"#,
        ),
        (
            "{ \"x\" : 1.0e400,\n\"vehicleInfo\" : { \"plate\" : \"a-1\" , \"n\" : 9007199254740993,\"vin\":\t\"3vwfe21c04m000001\"\n} }\r\n",
            "{ \"x\" : 1.0e400,\n\"vehicleInfo\" : { \"plate\" : \"A1\" , \"n\" : 9007199254740993,\"vin\":\t\"3VWFE21C04M000001\"\n} }\r\n",
        ),
        (
            r#"{"vehicle\u0049nfo":{"\u0076in":"\u0033vwfe21c04m000001"}}"#,
            r#"{"vehicle\u0049nfo":{"\u0076in":"3VWFE21C04M000001"}}"#,
        ),
        (
            "\u{feff}{\"vehicleInfo\":{\"plate\":\"a-1\"}}",
            "\u{feff}{\"vehicleInfo\":{\"plate\":\"A1\"}}",
        ),
        (r#"{"vehicleInfo":{"plate":"ａ１"}}"#, r#"{"vehicleInfo":{"plate":"A1"}}"#),
    ] {
        assert_eq!(normalized(typed), clean);
        assert_eq!(normalized(clean), clean, "once is enough");
    }
}

#[test]
fn leaves_to_sync_what_names_no_vehicle_or_is_not_json() {
    for body in [
        "",
        "null",
        "[]",
        r#"[{"vehicleInfo":{"vin":"x"}}]"#,
        "{}",
        r#"{"vin":"x","plate":"-"}"#,
        r#"{"vehicleInfo":null}"#,
        r#"{"vehicleInfo":["vin"]}"#,
        r#"{"vehicleInfo":{"ownerName":"a","VIN":"x","deeper":{"vin":"x"}}}"#,
        r#"{"vehicleInfo":{"vin":"x"}"#,
        r#"{"vehicleInfo":{"vin":"x"}} trailing"#,
        r#"{"vehicleInfo":{},"vehicleInfo":{}"#,
        r#"{'vehicleInfo':{'vin':'x'}}"#,
        "\u{feff}\u{feff}{\"vehicleInfo\":{\"vin\":\"x\"}}",
    ] {
        assert_eq!(normalized(body), body);
    }
    let latin = Bytes::from_static(b"{\"a\":\"\xf1\",\"vehicleInfo\":{\"vin\":\"x\"}}");
    assert_eq!(normalize(latin.clone()).unwrap(), latin);
}

#[test]
fn refuses_a_member_that_stands_twice() {
    for (body, twice) in [
        (r#"{"vehicleInfo":{},"vehicleInfo":{}}"#, INFO),
        (r#"{"vehicleInfo":1,"a":2,"vehicleInf\u006f":3}"#, INFO),
        (r#"{"vehicleInfo":{"vin":"3VWFE21C04M000001","vin":"3VWFE21C04M000001"}}"#, VIN),
        (r#"{"vehicleInfo":{"plate":"A1","vin":"x","pl\u0061te":"A1"}}"#, PLATE),
    ] {
        assert!(matches!(refused(body), Error::Twice { pointer } if pointer == twice), "{body}");
    }
}

#[test]
fn names_everything_that_is_no_vehicle() {
    let not_a_string = || "is not a string".to_owned();
    for (vin, plate, problems) in [
        ("null", "1", vec![(VIN, not_a_string()), (PLATE, not_a_string())]),
        (r#""\ud800""#, "{}", vec![(VIN, not_a_string()), (PLATE, not_a_string())]),
        (r#""3VW""#, r#""A1""#, vec![(VIN, Invalid::VinLength(3).to_string())]),
        (r#""3vwfe21c04m000001""#, r#"" - ""#, vec![(PLATE, Invalid::Empty.to_string())]),
    ] {
        let body = format!(r#"{{"vehicleInfo":{{"vin":{vin},"plate":{plate}}}}}"#);
        let Error::Vehicle(found) = refused(&body) else {
            panic!("{body}");
        };
        let found: Vec<_> = found
            .iter()
            .map(|p| (&*p.pointer, p.reason.clone()))
            .collect();
        assert_eq!(found, problems, "{body}");
    }
}

proptest! {
    #[test]
    fn never_touches_a_byte_beside_the_two_values(
        gaps in proptest::array::uniform6("[ \t\r\n]{0,3}"),
        vin in "[0-9a-hj-np-z -]{0,4}",
        plate in "[-a-z0-9]{1,15}",
        other in "[a-zñ.-]{0,8}",
        plate_first in any::<bool>(),
    ) {
        let typed_vin = format!("3-vwfe21c04m000{vin}");
        let [a, b, c, d, e, f] = &gaps;
        let put = |vin: &str, plate: &str| {
            let vin = format!("\"vin\"{c}:{d}\"{vin}\"");
            let plate = format!("\"plate\":{e}\"{plate}\"{f}");
            let (first, second) = if plate_first { (plate, vin) } else { (vin, plate) };
            format!("{a}{{\"o\":\"{other}\",\"vehicleInfo\":{b}{{{first},\"x\":[1.50],{second}}}}}")
        };
        let body = put(&typed_vin, &plate);
        match (Vin::parse(&typed_vin), Plate::parse(&plate)) {
            (Ok(vin), Ok(plate)) => {
                prop_assert_eq!(normalized(&body), put(vin.as_str(), plate.as_str()));
            }
            _ => prop_assert!(matches!(refused(&body), Error::Vehicle(_))),
        }
    }

    #[test]
    fn survives_any_bytes(body in proptest::collection::vec(any::<u8>(), 0..64)) {
        if let Ok(once) = normalize(body.into()) {
            prop_assert_eq!(normalize(once.clone()).unwrap(), once);
        }
    }
}
