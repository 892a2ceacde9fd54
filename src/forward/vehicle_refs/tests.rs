use proptest::prelude::*;

use super::*;

const VIN: &str = "3VWFE21C04M000001";
const OTHER: &str = "3VWFE21C04M000002";

/// What is found, each vehicle once, in order.
fn found(add: impl FnOnce(&mut VehicleRefs)) -> (Vec<String>, Vec<String>, bool) {
    let mut refs = VehicleRefs::default();
    add(&mut refs);
    let sorted = |mut texts: Vec<String>| {
        texts.sort();
        texts.dedup();
        texts
    };
    let vins = refs.vins.iter().map(|vin| vin.as_str().to_owned());
    let plates = refs.plates.iter().map(|plate| plate.as_str().to_owned());
    (sorted(vins.collect()), sorted(plates.collect()), refs.is_sure)
}

fn refs(vins: &[&str], plates: &[&str], is_sure: bool) -> (Vec<String>, Vec<String>, bool) {
    let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
    (owned(vins), owned(plates), is_sure)
}

#[test]
fn finds_vehicles_in_a_path() {
    for (path, vins, plates, is_sure) in [
        (
            "/api/v3/vehicles/3vw-fe21c04m000001/x",
            &[VIN][..],
            &["API", "V3", "VEHICLES", "X"][..],
            true,
        ),
        ("/3VWFE21C04M000001/3VW%20FE21C04M000002", &[VIN, OTHER], &[], true),
        ("/plates/abc-123/x", &[], &["ABC123", "PLATES", "X"], true),
        ("/Plate/ABC%20123", &[], &["123", "ABC", "ABC123", "PLATE"], true),
        ("/placas/%27ABC123", &[], &["ABC123", "PLACAS"], true),
        ("/vehicles/ABC123", &[], &["ABC123", "VEHICLES"], false),
        ("/vehicles/ABC%20123", &[], &["ABC123", "VEHICLES"], false),
        ("/vehicles/3VWFE21C04M000001%2C3VWFE21C04M000002", &[VIN, OTHER], &["VEHICLES"], false),
        ("/plates/", &[], &["PLATES"], false),
        ("*", &[], &[], false),
    ] {
        let found = found(|refs| {
            refs.add_path(path);
            refs.guess_plates(path);
        });
        assert_eq!(found, refs(vins, plates, is_sure), "{path}");
    }
}

#[test]
fn finds_vehicles_in_a_query() {
    for (query, vins, plates, is_sure) in [
        ("vin=3vw-fe21c04m000001", &[VIN][..], &[][..], true),
        ("a=b&serie=3VW+FE21C04M000001&x", &[VIN], &[], true),
        ("3VWFE21C04M000001", &[VIN], &[], true),
        ("3VWFE21C04M000001=3VWFE21C04M000002", &[VIN, OTHER], &[], true),
        ("vins=3VWFE21C04M000001,3VWFE21C04M000002", &[VIN, OTHER], &[], false),
        ("q=%7B%22vin%22:%223VWFE21C04M000001%22%7D", &[VIN], &[], false),
        ("old%50late=abc+123", &[], &["123", "ABC", "ABC123"], true),
        ("placas=A1;B2", &[], &["A1", "B2"], false),
        ("name=ABC123&%zz=%ff", &[], &[], false),
    ] {
        assert_eq!(found(|refs| refs.add_query(query)), refs(vins, plates, is_sure), "{query}");
    }
}

#[test]
fn finds_vehicles_at_any_depth_of_a_body() {
    for (json, vins, plates, is_sure) in [
        (
            r#"[{"a":{"VIN":"3vw-fe21c04m000001","n":[1,-1,1.5,null,true]}}]"#,
            &[VIN][..],
            &[][..],
            true,
        ),
        (r#"{"vin":"3VWFE21C04M000002","oldVin":"3VWFE21C04M000001"}"#, &[VIN, OTHER], &[], true),
        (r#"{"vin":"3VWFE21C04M000002","vins":["3VWFE21C04M000001"]}"#, &[VIN, OTHER], &[], true),
        (
            r#"{"vin":"3VWFE21C04M000002","vehiculo":{"serie":"3VWFE21C04M000001","placas":"p-1"}}"#,
            &[VIN, OTHER],
            &["P1"],
            true,
        ),
        (r#"{"3VWFE21C04M000001":{"color":"red"}}"#, &[VIN], &[], true),
        (r#"{"a":"3VWFE21C04M000001\n3VWFE21C04M000002"}"#, &[VIN, OTHER], &[], false),
        (r#"{"a":"{\"vin\":\"3VWFE21C04M000001\"}"}"#, &[VIN], &[], false),
        (r#""3VWFE21C04M00000\u0031""#, &[VIN], &[], true),
        (
            r#"{"plate":["a-1",{"plate":"b-2","vin":"no"}],"pl\u0061te":"c3"}"#,
            &[],
            &["A1", "B2", "C3", "NO", "PLATE", "VIN"],
            true,
        ),
        (
            r#"{"plate":{"text":"d4","of":[{"state":"e5"}]}}"#,
            &[],
            &["D4", "E5", "OF", "STATE", "TEXT"],
            true,
        ),
        (r#"{"newPlate":"d4","PLACA_ANTERIOR":"e5"}"#, &[], &["D4", "E5"], true),
        (r#"{"plate":"ABC123/DEF456"}"#, &[], &["ABC123", "ABC123DEF456", "DEF456"], true),
        (r#"{"matricula":"ABC123","place":"A1"}"#, &[], &[], false),
        ("\u{feff}{\"plate\":\"A1\"}", &[], &["A1"], true),
    ] {
        let found = found(|refs| assert!(refs.add_json(json.as_bytes()), "{json}"));
        assert_eq!(found, refs(vins, plates, is_sure), "{json}");
    }
}

#[test]
fn finds_vehicles_that_are_named_by_numbers() {
    for (json, vins, plates, is_sure) in [
        (r#"{"plate":123}"#, &[][..], &["123"][..], true),
        (r#"{"plate":[0,999999999999999]}"#, &[], &["0", "999999999999999"], true),
        (r#"{"plate":-123}"#, &[], &["123"], true),
        (r#"{"plate":123.0}"#, &[], &["123"], true),
        (r#"{"plate":1e3}"#, &[], &["1000"], true),
        (r#"{"plate":12.5}"#, &[], &["125"], true),
        (r#"{"vin":12345678901234567}"#, &["12345678901234567"], &[], false),
        (r#"{"plate":1000000000000000,"vin":1}"#, &[], &[], false),
        (r#"{"plate":1e300,"vin":1e16}"#, &["10000000000000000"], &[], false),
        (r#"{"plate":true,"other":123}"#, &[], &[], false),
    ] {
        let found = found(|refs| assert!(refs.add_json(json.as_bytes()), "{json}"));
        assert_eq!(found, refs(vins, plates, is_sure), "{json}");
    }
}

#[test]
fn says_when_a_body_could_not_be_read_to_its_end() {
    let deep = "[".repeat(200);
    for json in ["", "{", r#"{"plate":"A1"} x"#, r#"{"a":1e400}"#, "{'a':1}", deep.as_str()] {
        assert!(!VehicleRefs::default().add_json(json.as_bytes()), "{json}");
    }
    let found = found(|refs| assert!(!refs.add_json(br#"{"plate":"A1","#)));
    assert_eq!(found, refs(&[], &["A1"], true), "what it named until there counts");
}

#[test]
fn finds_vehicles_where_another_parser_may_read_on() {
    let deep = format!(r#"{{"n":{}{},"v":"{VIN}"}}"#, "[".repeat(128), "]".repeat(128));
    for (json, plates) in [
        (format!(r#"{{"n":1e400,"v":"{VIN}"}}"#), &[][..]),
        (format!(r#"{{"owner":"Ana \ud83d", "vin" : "{VIN}","plate": "abc-123"}}"#), &["ABC123"]),
        (deep, &[]),
    ] {
        let found = found(|refs| assert!(!refs.add_json(json.as_bytes()), "{json}"));
        assert_eq!(found, refs(&[VIN], plates, false), "{json}");
    }
    let mut latin = b"{\"owner\":\"Mu\xf1oz\",\"vin\":\"".to_vec();
    latin.extend(VIN.as_bytes());
    assert_eq!(found(|refs| _ = refs.add_json(&latin)), refs(&[VIN], &[], false));
}

/// A vehicle's text as somebody may spell it.
fn spelled(text: &str, spelling: usize) -> String {
    match spelling % 5 {
        0 => text.to_owned(),
        1 => text.to_lowercase(),
        2 => format!(" {}-{}", &text[..2], &text[2..]),
        3 => format!("'{text}"),
        _ => text
            .chars()
            .map(|c| char::from_u32(u32::from(c) + 0xfee0).unwrap())
            .collect(),
    }
}

/// Every byte as an escape, or none but what has to be.
fn percent_encoded(text: &str, is_all: bool) -> String {
    let is_plain = |byte: u8| !is_all && byte.is_ascii_alphanumeric();
    let encode = |byte: u8| match is_plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

fn json_string(text: &str, is_escaped: bool) -> String {
    match is_escaped {
        true => {
            let units = text.encode_utf16();
            let units: String = units.map(|unit| format!("\\u{unit:04x}")).collect();
            format!("\"{units}\"")
        }
        false => serde_json::to_string(text).unwrap(),
    }
}

/// Where and how a write names a vehicle: the number of it, the place, the spelling, whether
/// all of it is escaped, how deep it is nested.
pub(crate) type Mention = (u32, usize, usize, bool, usize);

/// Path, query and body of a write with these mentions.
pub(crate) fn written(mentions: &[Mention]) -> (String, String, String) {
    let (mut path, mut query) = ("/api/v9".to_owned(), "a=b".to_owned());
    let mut members = vec!["\"n\":[1,null,true]".to_owned()];
    for &(number, place, spelling, is_escaped, depth) in mentions {
        let vin = spelled(&vin_of(number), spelling);
        let plate = spelled(&plate_of(number), spelling);
        let (vin_in_url, plate_in_url) =
            (percent_encoded(&vin, is_escaped), percent_encoded(&plate, is_escaped));
        let (vin, plate) = (json_string(&vin, is_escaped), json_string(&plate, is_escaped));
        let plate_name = ["plate", "oldPlates", "PLACA", "placas_nuevas"][depth % 4];
        let member = match place % 8 {
            0 => {
                path.extend(["/", &vin_in_url]);
                continue;
            }
            1 => {
                path.extend(["/", &plate_in_url]);
                continue;
            }
            2 => {
                query.extend(["&any=", &vin_in_url]);
                continue;
            }
            3 => {
                query.extend(["&", plate_name, "=", &plate_in_url]);
                continue;
            }
            4 => format!("\"any\":{vin}"),
            5 => format!("\"{plate_name}\":{plate}"),
            6 => format!("{vin}:0"),
            _ => format!("\"{plate_name}\":[{{\"text\":{plate}}}]"),
        };
        let nested = (0..depth).fold(member, |inner, _| format!("\"in\":[{{{inner}}}]"));
        members.push(nested);
    }
    (path, query, format!("{{{}}}", members.join(",")))
}

pub(crate) fn vin_of(number: u32) -> String {
    format!("3VWFE21C04M{:06}", number % 1_000_000)
}

pub(crate) fn plate_of(number: u32) -> String {
    format!("AB{:05}C", number % 100_000)
}

pub(crate) fn mentions() -> impl Strategy<Value = Vec<Mention>> {
    let mention = (0..1_000_000_u32, 0..8_usize, 0..5_usize, any::<bool>(), 0..6_usize);
    proptest::collection::vec(mention, 1..8)
}

proptest! {
    #[test]
    fn no_write_names_a_vehicle_that_is_not_found(
        mentions in mentions()
    ) {
        let (path, query, body) = written(&mentions);
        let mut refs = VehicleRefs::default();
        refs.add_path(&path);
        refs.guess_plates(&path);
        refs.add_query(&query);
        prop_assert!(refs.add_json(body.as_bytes()), "{}", body);
        for &(number, place, ..) in &mentions {
            let is_found = match place % 8 {
                0 | 2 | 4 | 6 => refs.vins.contains(&Vin::parse(&vin_of(number)).unwrap()),
                _ => refs.plates.contains(&Plate::parse(&plate_of(number)).unwrap()),
            };
            prop_assert!(is_found, "{} in {}?{} {}", number, path, query, body);
        }
    }
}
