//! What the status page refuses before it makes a request, in Node.

use std::{
    io::Write as _,
    process::{Command, Stdio},
};

use vingate::vehicle::{Plate, Vin};

use crate::readme::is_there;

const PAGE: &str = include_str!("../../src/admin/page.html");

/// The two forms, as far as they are asked whether what was typed is valid.
const FORMS: &str = r#"
    const input = () => ({ setCustomValidity(reason) { this.reason = reason; } });
    const form = () => {
      const made = { elements: { vin: input(), plate: input() } };
      made.querySelector = () => ({ addEventListener: (_, listener) => { made.click = listener; } });
      return made;
    };
    const forms = { explain: form(), purge: form() };
    const $ = (id) => forms[id];
"#;

/// Types each text into all inputs, and prints which of them refuse it.
const TYPE: &str = r#"
    const texts = JSON.parse(require("fs").readFileSync(0, "utf8"));
    const refused = texts.map((text) => Object.values(forms).flatMap(({ elements, click }) => {
      const inputs = [elements.vin, elements.plate];
      for (const input of inputs) input.value = text;
      click();
      return inputs.map((input) => input.reason !== "");
    }));
    console.log(JSON.stringify(refused));
"#;

/// What vehicles are typed like, and what is none.
const TYPED: [&str; 34] = [
    "3VWFE21C04M000001",
    " 3vw-fe21c04m000001 ",
    "'*3VW.FE2_1C0/4M000001*",
    "３ＶＷｆｅ２１Ｃ０４Ｍ０００００１",
    "3VW\u{2212}FE21C0\u{3164}4M000001",
    "3VWFE21C04M00000",
    "3VWFE21C04M0000011",
    "3VWFE21C04M00000O",
    "3VWFE21C04M00000\u{131}",
    "3VWFE21C04M00000\u{17f}",
    "mff 956-m",
    "\u{ff07}A",
    "A'",
    "'",
    " ",
    "-",
    "ÑAB",
    "AB\u{df}",
    "ABCDEFGHIJKLMNO",
    "ABCDEFGHIJKLMNOP",
    "99AA9A / 99AA9A",
    "99AA9A/99AA9A/99AA9A",
    "ABC 123 DEF 456",
    "'ABC123\u{3164}'DEF456",
    "ABC123\u{ff0f}DEF456",
    "ABC12 DEF456",
    "ABC12/DEF34",
    "ABC12 'DEF34",
    "ABC 123 D4",
    "ABC123-DEF456",
    "ABC123\u{200b}DEF456",
    "ABCDEF 123456",
    "A123 BCDEF4567",
    "ABC123 DEF#456",
];

#[test]
fn refuses_what_the_gateway_refuses() {
    let Some(refused) = refused(&TYPED.map(str::to_owned)) else { return };
    for (text, refused) in TYPED.iter().zip(refused) {
        let [vin, plate] = [Vin::parse(text).is_err(), Plate::parse(text).is_err()];
        assert_eq!(refused, [vin, plate, vin, plate], "{text:?}");
    }
}

#[test]
fn takes_what_the_gateway_takes_whatever_is_between() {
    let between = ('\0'..='\u{1ffff}').chain('\u{e0000}'..='\u{e1000}');
    let texts: Vec<_> = between
        .flat_map(|c| [format!("3VWFE21C0{c}4M000001"), format!("ABC123{c}DEF456"), c.to_string()])
        .collect();
    let Some(refused) = refused(&texts) else { return };
    for (text, [vin, plate, ..]) in texts.iter().zip(refused) {
        assert!(!vin || Vin::parse(text).is_err(), "{text:?}");
        assert!(!plate || Plate::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn what_is_left_empty_is_left_to_the_browser() {
    let Some(refused) = refused(&[String::new()]) else { return };
    assert_eq!(refused, [[false; 4]]);
}

/// Whether VIN and plate are refused, of the one form and the other; `None`: there is no Node.
fn refused(texts: &[String]) -> Option<Vec<[bool; 4]>> {
    if !is_there("node") {
        // Past what the test harness keeps for itself.
        let _ = std::io::stderr().write_all(b"left out: what the status page refuses\n");
        return None;
    }
    let (_, script) = PAGE.split_once("// Why the gateway would refuse").unwrap();
    let (script, _) = script
        .split_once("$(\"explain\").addEventListener")
        .unwrap();
    let mut node = Command::new("node")
        .args(["--eval", &format!("{FORMS}//{script}{TYPE}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = node.stdin.take().unwrap();
    input
        .write_all(&serde_json::to_vec(texts).unwrap())
        .unwrap();
    drop(input);
    let ended = node.wait_with_output().unwrap();
    assert!(ended.status.success());
    Some(serde_json::from_slice(&ended.stdout).unwrap())
}
