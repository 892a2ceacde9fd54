//! Tokens that must be refused: the section that each offends or abuses, what it is, the token,
//! and the reason that must be found. A row that is refused for another reason is no test.

use super::*;
use TokenError::{
    Algorithm as Alg, Aud, Audience, Critical, Exp, Expired, Iat, Iss, Issuer, Malformed, Nbf,
    NotYetValid, Signature, Sub, Subject, TooLong, Type, UnknownKey,
};

pub(super) type Row = (&'static str, &'static str, String, TokenError);

/// Every row.
pub(super) fn all() -> Vec<Row> {
    [parts(), headers(), algorithms(), keys(), signatures(), claim_sets(), times(), parties()]
        .concat()
}

/// Compact serialization: three parts of base64url.
fn parts() -> Vec<Row> {
    let genuine = but(json!({}));
    let [head, body, sig] = split(&genuine);
    let json = json!({ "payload": body, "protected": head, "signature": sig }).to_string();
    let other_alphabet = with_signature(Algorithm::HS256, |_| vec![0xff; 32]).replace('_', "/");
    vec![
        ("RFC 7515 7.1", "nothing", String::new(), Malformed),
        ("RFC 7515 7.1", "one part", head.into(), Malformed),
        ("RFC 7515 7.1", "two parts", format!("{head}.{body}"), Malformed),
        ("RFC 7515 7.1", "four parts", format!("{genuine}.{sig}"), Malformed),
        ("RFC 7516 7.1", "five parts", format!("{genuine}.{sig}.{sig}"), Malformed),
        ("RFC 7515 7.1", "a dot in front", format!(".{genuine}"), Malformed),
        ("RFC 7515 7.1", "a dot behind", format!("{genuine}."), Malformed),
        ("RFC 7515 7.1", "no header", format!(".{body}.{sig}"), Malformed),
        ("RFC 7515 7.1", "no claims", format!("{head}..{sig}"), Signature),
        ("RFC 7515 7.1", "two dots", "..".into(), Malformed),
        ("RFC 7515 7.1", "8192 dots", ".".repeat(8192), Malformed),
        ("RFC 9110 17.5", "100,000 dots", ".".repeat(100_000), TooLong),
        ("RFC 9110 17.5", "a byte too long", of_length(16 * 1024 + 1), TooLong),
        ("RFC 7515 7.2", "JSON serialization", json, Malformed),
        ("RFC 7515 2", "padding", format!("{genuine}="), Malformed),
        ("RFC 7515 2", "padding of the header", format!("{head}==.{body}.{sig}"), Malformed),
        ("RFC 7515 2", "a blank", format!("{head}. {body}.{sig}"), Malformed),
        ("RFC 7515 2", "a line end", format!("{genuine}\n"), Malformed),
        ("RFC 4648 4", "the other alphabet", other_alphabet, Malformed),
        ("RFC 4648 3.5", "unused bits", with_trailing_bits(&genuine), Malformed),
        ("RFC 7515 2", "no ASCII", format!("{head}.{body}.ñ"), Malformed),
        ("RFC 6750 2.1", "a list", format!("{genuine}, Bearer {genuine}"), Malformed),
    ]
}

/// A header is one object, and asks for nothing that we do not do.
fn headers() -> Vec<Row> {
    vec![
        ("RFC 7515 4", "no JSON", with_header("HS256"), Malformed),
        ("RFC 7515 4", "an array", with_header(r#"["HS256"]"#), Malformed),
        ("RFC 7515 4", "more behind", with_header(r#"{"alg":"HS256"} x"#), Malformed),
        ("RFC 7515 4", "alg twice", with_more(r#""alg":"HS256""#), Malformed),
        ("RFC 7515 4", "kid twice", with_more(r#""kid":"hs256""#), Malformed),
        ("RFC 7515 4", "any name twice", with_more(r#""x":1,"x":1"#), Malformed),
        ("RFC 8259 7", "twice with an escape", with_more(r#""k\u0069d":"x""#), Malformed),
        ("RFC 8259 8.1", "a mark", with_header("\u{feff}{\"alg\":\"HS256\"}"), Malformed),
        ("RFC 7515 4.1.11", "crit", with_more(r#""crit":["exp"],"exp":1"#), Critical),
        ("RFC 7515 4.1.11", "crit of nothing", with_more(r#""crit":[]"#), Critical),
        ("RFC 7515 4.1.11", "crit null", with_more(r#""crit":null"#), Critical),
        ("RFC 7515 4.1.11", "crit a string", with_more(r#""crit":"b64""#), Critical),
        ("RFC 7797 6", "crit b64", with_more(r#""b64":false,"crit":["b64"]"#), Critical),
        ("RFC 7797 7", "b64", with_more(r#""b64":false"#), Critical),
        ("RFC 7797 3", "b64 a string", with_more(r#""b64":"true""#), Critical),
        ("RFC 8725 3.11", "a proof", with_more(r#""typ":"dpop+jwt""#), Type),
        ("RFC 8725 3.11", "a logout token", with_more(r#""typ":"logout+jwt""#), Type),
        ("RFC 7515 4.1.9", "JOSE", with_more(r#""typ":"JOSE""#), Type),
        ("RFC 7515 4.1.9", "no type", with_more(r#""typ":"""#), Type),
        ("RFC 7515 4.1.9", "null", with_more(r#""typ":null"#), Type),
        ("RFC 7515 4.1.9", "a list", with_more(r#""typ":["JWT"]"#), Type),
        ("RFC 7515 4.1.9", "only the prefix", with_more(r#""typ":"application/""#), Type),
        ("RFC 7515 4.1.9", "another prefix", with_more(r#""typ":"text/jwt""#), Type),
    ]
}

/// The key fixes the algorithm.
fn algorithms() -> Vec<Row> {
    use Algorithm::{ES256, ES384, HS256, HS512, PS256, RS256, RS384, RS512};
    let none = |spelling: &str| {
        token_with(json!({ "alg": spelling }).to_string(), claims(json!({})), |_| vec![])
    };
    let alg = |value: &str| with_header(&format!(r#"{{"alg":{value},"kid":"hs256"}}"#));
    // HMAC with what everybody knows, under the name of a key pair.
    let confused = |algorithm, secret: &[u8]| {
        let header = json!({ "alg": "HS256", "kid": kid(algorithm) }).to_string();
        token_with(header, claims(json!({})), |message| hmac(HMAC_SHA256, secret, message))
    };
    // Signed with one algorithm, another said, and the key of a third named.
    let crossed = |signed, said: Algorithm, named| {
        let header = json!({ "alg": format!("{said:?}"), "kid": kid(named) }).to_string();
        token(signed, header, claims(json!({})))
    };
    let (rsa_pem, ec_pem) = (PAIRS.rsa_pem(), PAIRS.p256_pem());
    let (rsa_pem, ec_pem) = (rsa_pem.as_bytes(), ec_pem.as_bytes());
    let (rsa, ec) = (PAIRS.rsa.public_key().as_ref(), PAIRS.p256.public_key().as_ref());
    let ed = PAIRS.ed25519.public_key().as_ref();
    vec![
        ("RFC 8725 3.2", "none", none("none"), Alg),
        ("RFC 8725 2.1", "None", none("None"), Alg),
        ("RFC 8725 2.1", "NONE", none("NONE"), Alg),
        ("RFC 8725 2.1", "nOnE", none("nOnE"), Alg),
        ("RFC 7519 6", "none, no dot", none("none").trim_end_matches('.').into(), Malformed),
        ("RFC 8725 3.2", "none, but signed", alg(r#""none""#), Alg),
        ("RFC 7515 4.1.1", "no alg", with_header(r#"{"kid":"hs256"}"#), Alg),
        ("RFC 7515 4.1.1", "null", alg("null"), Alg),
        ("RFC 7515 4.1.1", "a number", alg("256"), Alg),
        ("RFC 7515 4.1.1", "a list", alg(r#"["HS256"]"#), Alg),
        ("RFC 7515 4.1.1", "case", alg(r#""hs256""#), Alg),
        ("RFC 7515 4.1.1", "a blank", alg(r#""HS256 ""#), Alg),
        ("RFC 7518 3.1", "not ours", alg(r#""ES512""#), Alg),
        ("RFC 8725 3.1", "not allowed", crossed(RS512, RS512, RS512), Alg),
        ("RFC 8725 2.1", "RSA's PEM as a secret", confused(RS256, rsa_pem), Alg),
        ("RFC 8725 2.1", "trimmed", confused(RS256, rsa_pem.trim_ascii()), Alg),
        ("RFC 8725 2.1", "RSA's DER as a secret", confused(RS256, rsa), Alg),
        ("RFC 8725 2.1", "EC's PEM as a secret", confused(ES256, ec_pem), Alg),
        ("RFC 8725 2.1", "EC's point as a secret", confused(ES256, ec), Alg),
        ("RFC 8725 2.1", "Ed25519's as a secret", confused(Algorithm::EdDSA, ed), Alg),
        ("RFC 8725 2.1", "for the house's secret", confused(HS256, rsa_pem), Signature),
        ("RFC 8725 3.1", "RS384 with RS256's key", crossed(RS384, RS384, RS256), Alg),
        ("RFC 8725 3.1", "PS256 with RS256's key", crossed(PS256, PS256, RS256), Alg),
        ("RFC 8725 3.1", "ES256 with ES384's key", crossed(ES256, ES256, ES384), Alg),
        ("RFC 8725 3.1", "HS512 with HS256's key", crossed(HS512, HS512, HS256), Alg),
        ("RFC 7518 3.3", "in truth PS256", crossed(PS256, RS256, RS256), Signature),
        ("RFC 7518 3.5", "in truth RS256", crossed(RS256, PS256, PS256), Signature),
        ("RFC 7518 3.3", "in truth RS512", crossed(RS512, RS256, RS256), Signature),
        ("RFC 7518 3.2", "in truth HS512", crossed(HS512, HS256, HS256), Signature),
    ]
}

/// The key is one of ours, and named by `kid` alone.
fn keys() -> Vec<Row> {
    let kid = |value: &str| with_header(&format!(r#"{{"alg":"HS256","kid":{value}}}"#));
    let long = format!("{:?}", "k".repeat(4000));
    let point = PAIRS.foreign_p256.public_key().as_ref();
    let (x, y) = (base64url(&point[1..33]), base64url(&point[33..]));
    let own = json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y });
    let bring = |name: &str, value: serde_json::Value| {
        bring_your_own(json!({ "alg": "ES256", "kid": "es256", name: value }))
    };
    let unnamed = bring_your_own(json!({ "alg": "ES256", "jwk": own }));
    let named = bring_your_own(json!({ "alg": "ES256", "kid": "own", "jwk": own }));
    vec![
        ("RFC 7515 4.1.4", "unknown", kid(r#""other""#), UnknownKey),
        ("RFC 7515 4.1.4", "empty", kid(r#""""#), UnknownKey),
        ("RFC 7515 4.1.4", "case", kid(r#""HS256""#), UnknownKey),
        ("RFC 7515 4.1.4", "a number", kid("256"), UnknownKey),
        ("RFC 7515 4.1.4", "null", kid("null"), UnknownKey),
        ("RFC 7515 4.1.4", "a list", kid(r#"["hs256"]"#), UnknownKey),
        ("RFC 7515 4.1.4", "two fit", with_header(r#"{"alg":"HS256"}"#), UnknownKey),
        ("RFC 8725 3.10", "a path", kid(r#""../../../dev/null""#), UnknownKey),
        ("RFC 8725 3.10", "SQL", kid(r#""x' UNION SELECT 'k""#), UnknownKey),
        ("RFC 8725 3.10", "an address", kid(r#""https://evil.example/k""#), UnknownKey),
        ("RFC 8725 3.10", "a line end", kid(r#""hs256\r\nX: y""#), UnknownKey),
        ("RFC 8725 3.10", "NUL", kid(r#""hs256\u0000""#), UnknownKey),
        ("RFC 8725 3.10", "long", kid(&long), UnknownKey),
        ("RFC 7515 4.1.3", "jwk", bring("jwk", own.clone()), Signature),
        ("RFC 7515 4.1.3", "jwk, no kid", unnamed, Signature),
        ("RFC 7515 4.1.3", "jwk, its own kid", named, UnknownKey),
        ("RFC 7515 4.1.2", "jku", bring("jku", json!("https://evil.example")), Signature),
        ("RFC 7515 4.1.5", "x5u", bring("x5u", json!("https://evil.example")), Signature),
        ("RFC 7515 4.1.6", "x5c", bring("x5c", json!(["MIIB"])), Signature),
    ]
}

/// The signature is the key's, under these very bytes.
fn signatures() -> Vec<Row> {
    use Algorithm::{ES256, ES384, EdDSA, HS256, HS512, PS256, RS256};
    let genuine = but(json!({}));
    let [head, body, sig] = split(&genuine);
    let another = but(json!({ "sub": "dispatch" }));
    let [_, other_body, other_sig] = split(&another);
    let other_head = base64url(r#"{"kid":"hs256","alg":"HS256"}"#);
    let fixed = |algorithm, bytes: Vec<u8>| with_signature(algorithm, |_| bytes);
    let changed = |algorithm, change: fn(Vec<u8>) -> Vec<u8>| {
        with_signature(algorithm, |message| change(signature(algorithm, message)))
    };
    let no_secret = with_signature(HS512, |message| hmac(HMAC_SHA512, b"", message));
    let other_curve = with_signature(ES384, |message| signature(ES256, message));
    let foreign = bring_your_own(json!({ "alg": "ES256", "kid": "es256" }));
    vec![
        ("RFC 7515 5.2", "none at all", format!("{head}.{body}."), Signature),
        ("RFC 7515 5.2", "of another token", format!("{head}.{body}.{other_sig}"), Signature),
        ("RFC 7515 5.2", "of other claims", format!("{head}.{other_body}.{sig}"), Signature),
        ("RFC 7515 5.2", "of another header", format!("{other_head}.{body}.{sig}"), Signature),
        ("RFC 7518 3.2", "zeros", fixed(HS256, vec![0; 32]), Signature),
        ("RFC 7518 3.2", "cut short", changed(HS256, |s| s[..16].to_vec()), Signature),
        ("RFC 7518 3.2", "made longer", changed(HS256, |s| [s, vec![0]].concat()), Signature),
        ("RFC 7518 3.2", "a bit off", changed(HS256, |s| flipped(s, 31)), Signature),
        ("RFC 7518 3.2", "an empty secret", no_secret, Signature),
        ("RFC 7518 3.4", "r = s = 0", fixed(ES256, vec![0; 64]), Signature),
        ("RFC 7518 3.4", "r = s = n", fixed(ES256, [N, N].concat()), Signature),
        ("RFC 7518 3.4", "r = 1, s = n", fixed(ES256, [one(32), N.into()].concat()), Signature),
        ("RFC 7518 3.4", "DER", changed(ES256, |s| der_of_ecdsa(&s)), Signature),
        ("RFC 7518 3.4", "too long", changed(ES256, |s| [s, vec![0; 32]].concat()), Signature),
        ("RFC 7518 3.4", "too short", changed(ES256, |s| s[..63].to_vec()), Signature),
        ("RFC 7518 3.4", "the other curve", other_curve, Signature),
        ("RFC 7518 3.4", "somebody else's key", foreign, Signature),
        ("RFC 7518 3.3", "zeros", fixed(RS256, vec![0; 256]), Signature),
        ("RFC 7518 3.3", "s = 1", fixed(RS256, one(256)), Signature),
        ("RFC 7518 3.3", "a zero more", changed(RS256, |s| [vec![0], s].concat()), Signature),
        ("RFC 7518 3.5", "zeros", fixed(PS256, vec![0; 256]), Signature),
        ("RFC 7518 3.5", "a bit off", changed(PS256, |s| flipped(s, 255)), Signature),
        ("RFC 8037 3.1", "zeros", fixed(EdDSA, vec![0; 64]), Signature),
        ("RFC 8037 3.1", "a bit off", changed(EdDSA, |s| flipped(s, 0)), Signature),
    ]
}

/// Claims are one object.
fn claim_sets() -> Vec<Row> {
    let more = |members: &str| with_claims(format!("{{{members},{}", &claims(json!({}))[1..]));
    vec![
        ("RFC 7519 7.2", "no JSON", with_claims("billing"), Malformed),
        ("RFC 7519 7.2", "an array", with_claims(r#"[{"sub":"billing"}]"#), Malformed),
        ("RFC 7519 7.2", "no claim at all", with_claims("{}"), Exp),
        ("RFC 7519 5.2", "a token in it", with_claims(but(json!({}))), Malformed),
        ("RFC 8725 3.7", "not UTF-8", with_claims(b"{\"sub\":\"\xff\"}"), Malformed),
        ("RFC 7519 4", "exp twice", more(r#""exp":1"#), Malformed),
        ("RFC 7519 4", "sub twice", more(r#""sub":"billing""#), Malformed),
        ("RFC 7519 4", "scope twice", more(r#""scope":"a","scope":"b""#), Malformed),
        ("RFC 8259 7", "twice with an escape", more(r#""\u0073ub":"admin""#), Malformed),
    ]
}

/// A token has an end, and may have a start.
fn times() -> Vec<Row> {
    let now = NOW.as_secs();
    let exp = |value: &str| but_spelt("exp", value);
    let nbf = |value: &str| but_spelt("nbf", value);
    vec![
        ("RFC 9068 2.2", "no exp", but(json!({ "exp": null })), Exp),
        ("RFC 7519 4.1.4", "null", exp("null"), Exp),
        ("RFC 7519 4.1.4", "a string", exp(r#""9999999999""#), Exp),
        ("RFC 7519 4.1.4", "a list", exp("[9999999999]"), Exp),
        ("RFC 7519 4.1.4", "true", exp("true"), Exp),
        ("RFC 7519 2", "negative", exp("-1"), Exp),
        ("RFC 7519 2", "2^64", exp("18446744073709551616"), Exp),
        ("RFC 8259 6", "1e400", exp("1e400"), Exp),
        ("RFC 8259 6", "NaN", exp("NaN"), Malformed),
        ("RFC 8259 6", "a zero in front", exp("09999999999"), Malformed),
        ("RFC 7519 4.1.4", "passed", exp(&(now - 600).to_string()), Expired),
        ("RFC 7519 4.1.4", "zero", exp("0"), Expired),
        ("RFC 7519 4.1.4", "one and a half", exp("1.5"), Expired),
        ("RFC 7519 4.1.4", "at the end of the leeway", exp(&(now - 30).to_string()), Expired),
        ("RFC 7519 4.1.5", "not yet", nbf(&(now + 600).to_string()), NotYetValid),
        ("RFC 7519 4.1.5", "beyond the leeway", nbf(&format!("{}.01", now + 30)), NotYetValid),
        ("RFC 7519 4.1.5", "a string", nbf(r#""0""#), Nbf),
        ("RFC 7519 4.1.5", "null", nbf("null"), Nbf),
        ("RFC 7519 4.1.5", "a list", nbf("[0]"), Nbf),
        ("RFC 8259 6", "-1e400", nbf("-1e400"), Nbf),
        ("RFC 7519 4.1.6", "a string", but_spelt("iat", r#""now""#), Iat),
    ]
}

/// Who issued it, for whom, on whose behalf: compared character for character.
fn parties() -> Vec<Row> {
    let iss = |value: &str| but(json!({ "iss": value }));
    let aud = |value| but(json!({ "aud": value }));
    vec![
        ("RFC 9068 2.2", "no iss", but(json!({ "iss": null })), Issuer),
        ("RFC 7519 4.1.1", "another", iss("https://evil.example"), Issuer),
        ("RFC 7519 4.1.1", "a prefix", iss("https://house"), Issuer),
        ("RFC 7519 4.1.1", "a longer one", iss("https://house.example.evil.example"), Issuer),
        ("RFC 7519 4.1.1", "a slash more", iss("https://house.example/"), Issuer),
        ("RFC 7519 4.1.1", "case", iss("https://HOUSE.example"), Issuer),
        ("RFC 7519 4.1.1", "a list", but_spelt("iss", r#"["https://house.example"]"#), Iss),
        ("RFC 9068 2.2", "no aud", but(json!({ "aud": null })), Audience),
        ("RFC 7519 4.1.3", "another", aud(json!("billing")), Audience),
        ("RFC 7519 4.1.3", "a prefix", aud(json!("vin")), Audience),
        ("RFC 7519 4.1.3", "a longer one", aud(json!("vingate2")), Audience),
        ("RFC 7519 4.1.3", "case", aud(json!("VINGATE")), Audience),
        ("RFC 7519 4.1.3", "a slash more", aud(json!("vingate/")), Audience),
        ("RFC 7519 4.1.3", "a list in a string", aud(json!("other vingate")), Audience),
        ("RFC 7519 4.1.3", "nobody", aud(json!([])), Audience),
        ("RFC 7519 4.1.3", "others", aud(json!(["a", "b"])), Audience),
        ("RFC 7519 4.1.3", "a number among them", aud(json!(["vingate", 7])), Aud),
        ("RFC 7519 4.1.3", "a list in a list", aud(json!([["vingate"]])), Aud),
        ("RFC 7519 4.1.3", "an object", aud(json!({ "vingate": true })), Aud),
        ("RFC 9068 2.2", "no sub", but(json!({ "sub": null })), Sub),
        ("RFC 7519 4.1.2", "empty", but(json!({ "sub": "" })), Sub),
        ("RFC 7519 4.1.2", "a number", but(json!({ "sub": 7 })), Sub),
        ("RFC 7519 4.1.2", "null", but_spelt("sub", "null"), Sub),
        ("RFC 7519 4.1.2", "a list", but(json!({ "sub": ["billing"] })), Sub),
        (
            "RFC 8725 3.8",
            "as the house",
            partner(json!({ "iss": "https://house.example" })),
            Issuer,
        ),
        ("RFC 8725 3.8", "as nobody", partner(json!({ "iss": null })), Issuer),
        ("RFC 8725 3.8", "as the partner", iss("https://partner.example"), Issuer),
        ("RFC 8725 3.8", "not vouched for", partner(json!({ "sub": "billing" })), Subject),
        ("RFC 8725 3.8", "nor longer", partner(json!({ "sub": "partner-app2" })), Subject),
    ]
}
