use super::*;

const VIN: &str = "3VWFE21C04M000001";

fn parse(body: &str) -> Result<BatchRequest, Error> {
    BatchRequest::parse(body.as_bytes(), 3)
}

fn problems(body: &str) -> Vec<(String, Option<String>, String)> {
    match parse(body) {
        Err(Error::Vehicles(problems)) => problems
            .into_iter()
            .map(|p| (p.pointer, p.value, p.reason))
            .collect(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn keeps_each_vehicle_once_in_order_of_first_mention() {
    let asked = parse(
        r#"{"vehicles":[{"vin":"3VWFE21C04M000002","plate":"b"},
            {"plate":"A-1","vin":"3vw-fe21c04m000001"},
            {"vin":" 3VWFE21C04M000002","plate":"B "}]}"#,
    )
    .unwrap();
    assert_eq!((asked.count, asked.has_unknown), (3, false));
    let plates: Vec<_> = asked.distinct.iter().map(|v| v.plate.as_str()).collect();
    assert_eq!(plates, ["B", "A1"]);
    assert_eq!(asked.distinct[1].vin.as_str(), VIN);
}

#[test]
fn reads_escaped_names_and_values() {
    let asked = parse(
        r#"{"v\u0065hicles":[{"v\u0069n":"\u0033VWFE21C04M000001","plate":"\uff21\u00a01"}]}"#,
    );
    assert_eq!(asked.unwrap().distinct[0].plate.as_str(), "A1");
}

#[test]
fn names_every_vehicle_that_is_wrong() {
    let body = r#"{"vehicles":[{"vin":"3VWFE21C04M00000O","plate":"A"},
        {"vin":"3VWFE21C04M000001","plate":"ABCDEFGHIJKLMNOP"},{"plate":"A"}]}"#;
    let found = problems(body);
    let [vin, plate, missing] = &found[..] else { panic!("{found:?}") };
    assert_eq!((&*vin.0, vin.1.as_deref()), ("/vehicles/0/vin", Some("3VWFE21C04M00000O")));
    assert_eq!((&*plate.0, plate.1.as_deref()), ("/vehicles/1/plate", Some("ABCDEFGHIJKLMNOP")));
    assert_eq!((&*missing.0, &missing.1, &*missing.2), ("/vehicles/2/vin", &None, "is missing"));
}

#[test]
fn names_what_is_not_even_a_vehicle() {
    for (entry, pointer, reason) in [
        ("null", "/vehicles/0", "is not an object"),
        ("1", "/vehicles/0", "is not an object"),
        ("-1.5", "/vehicles/0", "is not an object"),
        ("true", "/vehicles/0", "is not an object"),
        (r#""3VWFE21C04M000001""#, "/vehicles/0", "is not an object"),
        ("[[1]]", "/vehicles/0", "is not an object"),
        (r#"{"vin":null,"plate":"A"}"#, "/vehicles/0/vin", "is not a string"),
        (r#"{"vin":{"a":[1]},"plate":"A"}"#, "/vehicles/0/vin", "is not a string"),
        (r#"{"vin":"3VWFE21C04M000001","plate":7}"#, "/vehicles/0/plate", "is not a string"),
        (r#"{"vin":"3VWFE21C04M000001","plate":1e999}"#, "/vehicles/0/plate", "is not a string"),
        (r#"{"vin":-1E+999,"plate":"A"}"#, "/vehicles/0/vin", "is not a string"),
        ("1e999", "/vehicles/0", "is not an object"),
    ] {
        let found = problems(&format!(r#"{{"vehicles":[{entry}]}}"#));
        assert_eq!(found, [(pointer.into(), None, reason.into())], "{entry}");
    }
}

#[test]
fn shortens_what_it_quotes_and_bounds_how_much_it_tells() {
    let entry = format!(r#"{{"vin":"{}","plate":"A"}}"#, "ñ".repeat(1000));
    let body = format!(r#"{{"vehicles":[{}]}}"#, vec![entry; 150].join(","));
    let Err(Error::Vehicles(problems)) = BatchRequest::parse(body.as_bytes(), 1000) else {
        panic!()
    };
    assert_eq!(problems.len(), 100);
    assert_eq!(problems[0].value, Some("ñ".repeat(32)));
}

#[test]
fn refuses_what_is_not_the_documented_shape() {
    for body in [
        "",
        "{",
        "[]",
        "null",
        "\u{feff}{}",
        r#"{"vehicles":[1e999}"#,
        "1e999",
        " \u{feff}{}",
        r#"{"vehicles":[]}x"#,
        r#"{"vehicles":{}}"#,
        r#"{"vehicles":null}"#,
        r#"{"vehicles":[{"vin":"a","vin":"b","plate":"c"}]}"#,
        r#"{"vehicles":[{"vin":"a","v\u0069n":"b","plate":"c"}]}"#,
        r#"{"vehicles":[{"x":1,"x":2,"vin":"a","plate":"c"}]}"#,
        r#"{"vehicles":[],"vehicles":[]}"#,
        r#"{"a":1,"a":2,"vehicles":[]}"#,
        r#"{"vehicles":[{"vin":"a","plate":"c"},]}"#,
    ] {
        assert!(matches!(parse(body), Err(Error::Json(_))), "{body}");
    }
    assert!(matches!(BatchRequest::parse(b"{\"vehicles\":[\"\xff\"]}", 3), Err(Error::NotUtf8)));
    assert!(matches!(parse(r#"{"vehicles":[]}"#), Err(Error::Empty)));
    assert!(matches!(parse(r#"{"vehicle":[]}"#), Err(Error::Missing)));
    let deep = format!("{{\"a\":{}", "[".repeat(100_000));
    assert!(matches!(parse(&deep), Err(Error::Json(_))));
}

#[test]
fn counts_before_it_judges() {
    let body = format!(r#"{{"vehicles":[{}]}}"#, ["null"; 4].join(","));
    assert!(matches!(parse(&body), Err(Error::TooMany { found: 4, limit: 3 })));
}

#[test]
fn notices_members_that_it_does_not_know() {
    for (body, has_unknown) in [
        (r#"{"vehicles":[{"vin":"3VWFE21C04M000001","plate":"A"}]}"#, false),
        (r#"{"vehicles":[{"vin":"3VWFE21C04M000001","plate":"A","x":[1]}]}"#, true),
        (r#"{"x":null,"vehicles":[{"vin":"3VWFE21C04M000001","plate":"A"}]}"#, true),
    ] {
        assert_eq!(parse(body).unwrap().has_unknown, has_unknown, "{body}");
    }
}
