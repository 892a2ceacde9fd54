use serde_json::{Value, json};

use super::{
    super::{
        super::testing::{base64url, signature},
        testing::{jwk, named, set, with},
    },
    *,
};

const PUBLISHED: [Algorithm; 4] =
    [Algorithm::RS256, Algorithm::ES256, Algorithm::ES384, Algorithm::EdDSA];

fn parse(keys: impl Into<Vec<Value>>) -> Result<UsableKeys, Error> {
    UsableKeys::parse(set(keys).as_bytes())
}

/// The one key of a set.
fn one(jwk: Value) -> Option<Jwk> {
    parse([jwk]).ok()?.keys.pop()
}

#[test]
fn a_key_without_an_algorithm_goes_by_its_type_and_curve() {
    for algorithm in PUBLISHED {
        let key = one(jwk(algorithm)).unwrap().key;
        assert_eq!(key.algorithm, algorithm);
        let signature = base64url(signature(algorithm, b"message"));
        assert!(key.verifies(b"message", &signature).unwrap(), "{algorithm:?}");
        assert!(!key.verifies(b"massage", &signature).unwrap(), "{algorithm:?}");
    }
}

#[test]
fn a_key_may_name_an_algorithm_of_its_type_and_no_other() {
    let rsa = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"];
    let others = ["HS256", "ES512", "RSA-OAEP", "RSA-OAEP-256", "none", "rs256", "Ed25519", ""];
    for algorithm in PUBLISHED {
        for named in rsa
            .into_iter()
            .chain(["ES256", "ES384", "EdDSA"])
            .chain(others)
        {
            let fits = match algorithm {
                Algorithm::RS256 => rsa.contains(&named),
                _ => named == format!("{algorithm:?}"),
            };
            let found = one(with(jwk(algorithm), json!({ "alg": named })));
            let found = found.map(|jwk| format!("{:?}", jwk.key.algorithm));
            assert_eq!(found.as_deref(), fits.then_some(named), "{algorithm:?}");
        }
    }
}

#[test]
fn what_is_not_there_to_verify_tokens_is_left_out() {
    let rsa_of =
        |bytes: usize| with(jwk(Algorithm::RS256), json!({ "n": base64url(vec![0xff; bytes]) }));
    let ec = || jwk(Algorithm::ES256);
    let (p384_x, x) = (jwk(Algorithm::ES384)["x"].clone(), ec()["x"].clone());
    let unpadded = x.as_str().unwrap().to_owned();
    for (unusable, why) in [
        (json!({}), "no type"),
        (json!("key"), "no object"),
        (json!(null), "no object"),
        (json!({ "kty": "oct", "k": base64url([7; 64]) }), "a secret"),
        (json!({ "kty": "AKP", "alg": "ML-DSA-65", "pub": "AAAA" }), "a type of tomorrow"),
        (with(ec(), json!({ "kty": "ec" })), "a type in another case"),
        (with(ec(), json!({ "use": "enc" })), "for encryption"),
        (with(ec(), json!({ "use": "SIG" })), "for something else"),
        (with(ec(), json!({ "use": 1 })), "malformed use"),
        (with(ec(), json!({ "key_ops": ["sign"] })), "for signing"),
        (with(ec(), json!({ "key_ops": [] })), "for nothing"),
        (with(ec(), json!({ "key_ops": "verify" })), "malformed key_ops"),
        (with(ec(), json!({ "d": "AQ" })), "private"),
        (with(ec(), json!({ "d": null })), "private"),
        (with(ec(), json!({ "k": "AQ" })), "a secret"),
        (with(jwk(Algorithm::RS256), json!({ "p": "AQ" })), "private"),
        (with(ec(), json!({ "kid": 7 })), "malformed kid"),
        (with(ec(), json!({ "alg": null })), "malformed alg"),
        (with(ec(), json!({ "crv": "P-521" })), "an unsupported curve"),
        (with(ec(), json!({ "crv": "secp256k1" })), "an unsupported curve"),
        (with(ec(), json!({ "crv": "P-384" })), "of another curve"),
        (with(ec(), json!({ "x": p384_x })), "of another length"),
        (with(ec(), json!({ "x": x, "y": x })), "not on the curve"),
        (with(ec(), json!({ "y": null })), "malformed"),
        (with(ec(), json!({ "x": format!("{unpadded}=A") })), "padded inside"),
        (with(jwk(Algorithm::EdDSA), json!({ "crv": "X25519" })), "for agreement"),
        (with(jwk(Algorithm::EdDSA), json!({ "crv": "Ed448" })), "an unsupported curve"),
        (with(jwk(Algorithm::EdDSA), json!({ "x": base64url([1; 31]) })), "too short"),
        (rsa_of(128), "1024 bits"),
        (rsa_of(255), "2040 bits"),
        (rsa_of(1025), "8200 bits"),
        (rsa_of(100_000), "800,000 bits"),
        (rsa_of(0), "no modulus"),
        (with(jwk(Algorithm::RS256), json!({ "e": "" })), "no exponent"),
        (with(jwk(Algorithm::RS256), json!({ "e": "AQ" })), "an exponent of 1"),
        (with(jwk(Algorithm::RS256), json!({ "e": "Ag" })), "an even exponent"),
    ] {
        assert!(matches!(parse([unusable.clone()]), Err(Error::Empty(_))), "{why}: {unusable}");
        let usable = parse([unusable, named("a")]).unwrap();
        assert_eq!((usable.keys.len(), usable.left_out.count()), (1, 1), "{why}");
    }
}

#[test]
fn what_else_a_key_says_does_not_matter() {
    for members in [
        json!({ "use": "sig", "key_ops": ["verify"], "kid": "a", "x5t": "x", "x5c": ["x"] }),
        json!({ "key_ops": ["sign", "verify"] }),
        json!({ "kid": "" }),
        json!({ "ext": true, "exp": 1, "issuer": { "deep": [[]] } }),
    ] {
        assert!(one(with(jwk(Algorithm::ES256), members.clone())).is_some(), "{members}");
    }
}

#[test]
fn a_modulus_may_have_a_zero_before_it() {
    let plain = one(jwk(Algorithm::RS256)).unwrap();
    let n = jwk(Algorithm::RS256)["n"].as_str().unwrap().to_owned();
    let padded = [&[0][..], &URL_SAFE_NO_PAD.decode(n).unwrap()].concat();
    let padded = one(with(jwk(Algorithm::RS256), json!({ "n": base64url(padded) }))).unwrap();
    assert_eq!(padded.fingerprint, plain.fingerprint);
}

#[test]
fn of_two_keys_with_one_name_and_algorithm_the_first_counts() {
    let ec = |kid: &str| with(jwk(Algorithm::ES256), json!({ "kid": kid }));
    let rsa = |kid: &str, alg: &str| with(jwk(Algorithm::RS256), json!({ "kid": kid, "alg": alg }));
    for (keys, kept) in [
        (vec![ec("a"), ec("a")], 1),
        (vec![ec("a"), ec("A")], 2),
        (vec![ec("a"), rsa("a", "RS256")], 2),
        (vec![rsa("a", "RS256"), rsa("a", "PS256"), rsa("a", "RS256")], 2),
        (vec![jwk(Algorithm::ES256), jwk(Algorithm::ES256)], 1),
        (vec![jwk(Algorithm::ES256), ec(""), ec("a")], 3),
    ] {
        let count = keys.len();
        let usable = parse(keys).unwrap();
        assert_eq!(usable.keys.len(), kept);
        assert_eq!(usable.left_out.count(), count - kept);
    }
}

#[test]
fn looks_at_a_bounded_number_of_keys() {
    let many: Vec<_> = (0..MAX_KEYS + 10)
        .map(|number| named(&number.to_string()))
        .collect();
    let usable = parse(many).unwrap();
    assert_eq!((usable.keys.len(), usable.left_out.count()), (MAX_KEYS, 10));
}

#[test]
fn tells_what_is_no_key_set_from_an_empty_one() {
    for malformed in [
        "",
        "null",
        "[]",
        "{}",
        "<html><body>Sign in</body></html>",
        r#"{"keys":null}"#,
        r#"{"keys":{}}"#,
        r#"{"keys":[}"#,
        r#"{"keys":[]"#,
        r#"{"keys":[],"keys":[]}"#,
        r#"{"Keys":[]}"#,
        r#"{"keys":[]} x"#,
    ] {
        let found = UsableKeys::parse(malformed.as_bytes());
        assert!(matches!(found, Err(Error::Malformed)), "{malformed}");
    }
    assert!(matches!(UsableKeys::parse(b"\xff"), Err(Error::Malformed)));
    assert!(matches!(parse([]), Err(Error::Empty(_))));
    let deep = format!(r#"{{"keys":[{}{}]}}"#, "[".repeat(100_000), "]".repeat(100_000));
    assert!(matches!(UsableKeys::parse(deep.as_bytes()), Err(Error::Empty(_))));
}

#[test]
fn a_name_twice_in_one_key_spoils_that_key_only() {
    let twice = r#"{"kty":"EC","kty":"EC","crv":"P-256","x":"x","y":"y"}"#;
    let text = format!(r#"{{"keys":[{twice},{}]}}"#, named("a"));
    let usable = UsableKeys::parse(text.as_bytes()).unwrap();
    assert_eq!((usable.keys.len(), usable.left_out.count()), (1, 1));
}

#[test]
fn coordinates_may_be_padded() {
    for algorithm in PUBLISHED {
        let plain = one(jwk(algorithm)).unwrap();
        for member in ["x", "y", "n", "e"] {
            let mut padded = jwk(algorithm);
            let Some(text) = padded[member].as_str() else { continue };
            padded[member] = format!("{text}=").into();
            let padded = one(padded).unwrap();
            assert_eq!(padded.fingerprint, plain.fingerprint, "{algorithm:?} {member}");
        }
    }
}

#[test]
fn a_byte_order_mark_before_a_set_is_ignored() {
    let text = format!("\u{feff}{}", set([named("a")]));
    assert_eq!(UsableKeys::parse(text.as_bytes()).unwrap().keys.len(), 1);
    let text = format!("\u{feff}\u{feff}{}", set([named("a")]));
    assert!(matches!(UsableKeys::parse(text.as_bytes()), Err(Error::Malformed)));
}

#[test]
fn names_each_key_that_is_left_out_with_the_reason() {
    let long = "k".repeat(1000);
    let usable = parse([
        named("good"),
        with(named("cipher"), json!({ "use": "enc" })),
        with(named(&long), json!({ "crv": "P-521" })),
        json!("no key"),
        named("good"),
    ]);
    let left_out = usable.unwrap().left_out;
    let found: Vec<_> = left_out
        .named
        .iter()
        .map(|(key, reason)| (&**key, &**reason))
        .collect();
    let malformed = "it is no object with each name once, or a member is missing or malformed";
    assert_eq!(
        found,
        [
            ("cipher", "it is not there to verify signatures"),
            (&long[..MAX_NAME], "its type or curve is not known here"),
            ("#3", malformed),
            ("good", "a key with its kid and algorithm stands before it"),
        ]
    );
    let Err(Error::Empty(left_out)) = parse([with(named("only"), json!({ "use": "enc" }))]) else {
        panic!("a set without a usable key was taken");
    };
    assert_eq!(left_out.named[0].0, "only");
}
