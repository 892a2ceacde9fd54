//! Tokens that look odd and are right: what it is, and the token.

use super::*;

/// Every row.
pub(super) fn all() -> Vec<(&'static str, String)> {
    let now = NOW.as_secs();
    let typed = |media_type: &str| with_more(&format!(r#""typ":"{media_type}""#));
    let unnamed = token(Algorithm::EdDSA, r#"{"alg":"EdDSA"}"#, claims(json!({})));
    let deep = format!("{}{}", "[".repeat(2000), "]".repeat(2000));
    let other_s = with_signature(Algorithm::ES256, |message| {
        let signature = signature(Algorithm::ES256, message);
        [&signature[..32], &n_minus(&signature[32..])].concat()
    });
    vec![
        ("nothing odd", but(json!({}))),
        ("JWT", typed("JWT")),
        ("jwt", typed("jwt")),
        ("at+jwt", typed("at+jwt")),
        ("AT+JWT", typed("AT+JWT")),
        ("application/at+jwt", typed("application/at+jwt")),
        ("Application/JWT", typed("Application/JWT")),
        ("no kid where one key fits", unnamed),
        ("blanks in the header", with_header(" {\n\"kid\" : \"hs256\" ,\t\"alg\":\"HS256\" } ")),
        ("escapes in the header", with_header(r#"{"\u0061lg":"HS\u003256","kid":"hs256"}"#)),
        ("members of others", with_more(r#""cty":"x","x5t":"y","nonce":{"a":[1]}"#)),
        ("a jwk that nobody looks at", with_more(r#""jwk":{"kty":"oct","k":"AAAA"}"#)),
        ("a jku that nobody looks at", with_more(r#""jku":"https://evil.example""#)),
        ("b64 as ever", with_more(r#""b64":true"#)),
        ("exp with a fraction", but_spelt("exp", &format!("{now}.5"))),
        ("exp with an exponent", but_spelt("exp", "1.9e9")),
        ("exp far away", but_spelt("exp", "18446744073709551615")),
        ("exp within the leeway", but_spelt("exp", &format!("{}.01", now - 30))),
        ("nbf within the leeway", but(json!({ "nbf": now + 30 }))),
        ("nbf of 1970", but(json!({ "nbf": 0 }))),
        ("iat in the future", but(json!({ "iat": now + 3600 }))),
        ("iat with a fraction", but_spelt("iat", &format!("{now}.25"))),
        ("aud among others", but(json!({ "aud": ["other", "vingate"] }))),
        ("aud the other one", but(json!({ "aud": "vingate-next" }))),
        ("aud twice in a list", but(json!({ "aud": ["vingate", "vingate"] }))),
        ("a subject in Unicode", but(json!({ "sub": "Flotte ñ 車" }))),
        ("a subject of a blank", but(json!({ "sub": " " }))),
        ("claims of others", but(json!({ "EXP": "x", "act": { "sub": "y" }, "n": 1e300 }))),
        ("a name twice deep down", but_spelt("act", r#"{"sub":"a","sub":"b"}"#)),
        ("a claim deeper than any stack", but_spelt("deep", &deep)),
        ("a claim out of range", but_spelt("big", "1e400")),
        ("as long as may be", of_length(MAX_LENGTH)),
        ("the partner's own subject", partner(json!({}))),
        ("the other one of two signatures", other_s),
    ]
}
