use super::*;

fn vehicle(vin: u8) -> Vehicle {
    Vehicle {
        vin: Vin::parse(&format!("3VWFE21C04M00000{vin}")).unwrap(),
        plate: Plate::parse(&format!("ABC{vin}")).unwrap(),
    }
}

fn element(vin: u8, info: &str) -> String {
    format!(r#"{{"vin":"3VWFE21C04M00000{vin}", "plate":"ABC{vin}","info":{info}}}"#)
}

fn response(elements: &[String]) -> String {
    format!(r#" {{"vehicleData" : [ {} ] }} "#, elements.join(" , "))
}

fn parse(response: &str, asked: &[u8]) -> serde_json::Result<Elements> {
    let asked: Vec<_> = asked.iter().map(|&vin| vehicle(vin)).collect();
    Elements::parse(response.as_bytes(), asked.into_iter())
}

fn texts(elements: &Elements) -> Vec<&str> {
    elements
        .of_vehicles
        .iter()
        .map(|e| std::str::from_utf8(&e.bytes).unwrap())
        .collect()
}

const DONE: &str = r#"{"status":{"statusId":0},"finishedDateTime":"2026-11-20"}"#;

#[test]
fn matches_by_vin_and_plate_in_any_order() {
    let (one, two) = (element(1, "[]"), element(2, &format!("[{DONE}]")));
    let elements = parse(&response(&[two.clone(), one.clone()]), &[1, 2, 3]).unwrap();
    assert_eq!(texts(&elements), [&one, &two, ""]);
    assert!(elements.may_store);
}

#[test]
fn keeps_every_byte_of_an_element() {
    let odd = r#"{ "plate" : "abc-1","x":[1.0, 1e400,9007199254740993 ,"\u00f1ñ\/"],
        "vin":"3vw-fe21c04m000001" }"#;
    let elements = parse(&response(&[odd.to_owned()]), &[1]).unwrap();
    assert_eq!(texts(&elements), [odd]);
}

#[test]
fn drops_what_nobody_asked_for_and_stores_nothing_then() {
    for stray in [element(9, "[]"), r#"{"vin":"?","plate":"ABC1"}"#.to_owned()] {
        let elements = parse(&response(&[stray, element(1, "[]")]), &[1]).unwrap();
        assert_eq!(elements.unasked, 1);
        assert_eq!(texts(&elements), [element(1, "[]")]);
        assert!(!elements.may_store);
    }
    let swapped = r#"{"vin":"3VWFE21C04M000001","plate":"ABC2"}"#.to_owned();
    let elements = parse(&response(&[swapped]), &[1, 2]).unwrap();
    assert_eq!((texts(&elements), elements.unasked), (vec!["", ""], 1));
}

#[test]
fn serves_both_elements_of_a_vehicle_that_comes_twice() {
    let (one, other) = (element(1, "[]"), element(1, &format!("[{DONE}]")));
    let elements = parse(&response(&[one.clone(), other.clone()]), &[1]).unwrap();
    assert_eq!(texts(&elements), [format!("{one},{other}")]);
    assert!(!elements.may_store);
}

#[test]
fn judges_results_by_their_content() {
    let classes = |classes: &[Class]| {
        let first = Classes::from(classes[0]);
        classes.iter().fold(first, |all, &class| all.and(class))
    };
    let pending = r#"{"status":{"statusId":3}}"#;
    let failed = r#"{"finishedDateTime":"x"}"#;
    for (info, class) in [
        (format!("[{DONE}]"), vec![Class::Finished]),
        (format!("[{DONE},{DONE}]"), vec![Class::Finished]),
        (format!("[{pending}]"), vec![Class::Pending]),
        (format!("[{failed}]"), vec![Class::Failed]),
        (
            format!("[{DONE},{failed},{pending}]"),
            vec![Class::Finished, Class::Failed, Class::Pending],
        ),
        ("[]".into(), vec![Class::Absent]),
        ("null".into(), vec![Class::Absent]),
        (r#"[{"status":-1,"finishedDateTime":"x"}]"#.into(), vec![Class::Pending]),
        (r#"[{"status":-1.0,"finishedDateTime":"x"}]"#.into(), vec![Class::Pending]),
        (r#"[{"status":{"statusId":-1},"finishedDateTime":"x"}]"#.into(), vec![Class::Pending]),
        (r#"[{"status":{"statusId":null},"finishedDateTime":"x"}]"#.into(), vec![Class::Finished]),
        (r#"[{"status":0,"finishedDateTime":"x"}]"#.into(), vec![Class::Finished]),
        (r#"[{"status":"ok","finishedDateTime":"x"}]"#.into(), vec![Class::Finished]),
        (r#"[{"status":{"a":[1]},"finishedDateTime":"x"}]"#.into(), vec![Class::Finished]),
        (r#"[{"status":null,"finishedDateTime":"x"}]"#.into(), vec![Class::Failed]),
        (r#"[{"status":0,"finishedDateTime":null}]"#.into(), vec![Class::Pending]),
        ("[{}]".into(), vec![Class::Pending]),
    ] {
        let elements = parse(&response(&[element(1, &info)]), &[1]).unwrap();
        assert_eq!(elements.of_vehicles[0].classes, classes(&class), "{info}");
    }
    let without_info = r#"{"vin":"3VWFE21C04M000001","plate":"ABC1"}"#.to_owned();
    let elements = parse(&response(std::slice::from_ref(&without_info)), &[1]).unwrap();
    assert_eq!(elements.of_vehicles[0].classes, Class::Absent.into());
    assert_eq!(texts(&elements), [without_info]);
}

#[test]
fn refuses_what_is_not_the_documented_shape() {
    for broken in [
        "",
        "<html>",
        "[]",
        "{}",
        r#"{"vehicleData":null}"#,
        r#"{"vehicleData":{}}"#,
        r#"{"vehicleData":[1]}"#,
        r#"{"vehicleData":[null]}"#,
        r#"{"vehicleData":[]"#,
        r#"{"vehicleData":[]}x"#,
        r#"{"vehicleData":[],"vehicleData":[]}"#,
        r#"{"vehicleData":[{"vin":"3VWFE21C04M000001"}]}"#,
        r#"{"vehicleData":[{"vin":1,"plate":"ABC1"}]}"#,
        "[[]]",
        r#"{"vehicleData":[["3VWFE21C04M000001","ABC1",[]]]}"#,
        &response(&[element(1, r#"[[0,"x"]]"#)]),
        &response(&[element(1, "{}")]),
        &response(&[element(1, "7")]),
        &response(&[element(1, "[7]")]),
        &response(&[element(1, r#"[{"status":0,"status":1}]"#)]),
    ] {
        assert!(parse(broken, &[1]).is_err(), "{broken}");
    }
    assert!(Elements::parse(b"{\"vehicleData\":[\"\xff\"]}", [].into_iter()).is_err());
}
