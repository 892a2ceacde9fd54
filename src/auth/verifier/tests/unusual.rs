//! Tokens that look odd and are right: the section that allows it, what it is, and the token.

use super::*;

/// Every row.
pub(super) fn all() -> Vec<(&'static str, &'static str, String)> {
    let now = NOW.as_secs();
    let typed = |media_type: &str| with_more(&format!(r#""typ":"{media_type}""#));
    let unnamed = token(Algorithm::EdDSA, r#"{"alg":"EdDSA"}"#, claims(json!({})));
    let deep = format!("{}{}", "[".repeat(2000), "]".repeat(2000));
    let other_s = with_signature(Algorithm::ES256, |message| {
        let signature = signature(Algorithm::ES256, message);
        [&signature[..32], &n_minus(&signature[32..])].concat()
    });
    vec![
        ("RFC 7519 3.1", "nothing odd", but(json!({}))),
        ("RFC 7519 5.1", "JWT", typed("JWT")),
        ("RFC 2045 5.1", "jwt", typed("jwt")),
        ("RFC 9068 2.1", "at+jwt", typed("at+jwt")),
        ("RFC 2045 5.1", "AT+JWT", typed("AT+JWT")),
        ("RFC 9068 2.1", "application/at+jwt", typed("application/at+jwt")),
        ("RFC 7515 4.1.9", "Application/JWT", typed("Application/JWT")),
        ("RFC 7515 4.1.4", "no kid where one key fits", unnamed),
        (
            "RFC 8259 2",
            "blanks in the header",
            with_header(" {\n\"kid\" : \"hs256\" ,\t\"alg\":\"HS256\" } "),
        ),
        (
            "RFC 8259 7",
            "escapes in the header",
            with_header(r#"{"\u0061lg":"HS\u003256","kid":"hs256"}"#),
        ),
        (
            "RFC 7515 4.2",
            "members of others",
            with_more(r#""cty":"x","x5t":"y","nonce":{"a":[1]}"#),
        ),
        (
            "RFC 7515 4.1.3",
            "a jwk that nobody looks at",
            with_more(r#""jwk":{"kty":"oct","k":"AAAA"}"#),
        ),
        (
            "RFC 7515 4.1.2",
            "a jku that nobody looks at",
            with_more(r#""jku":"https://evil.example""#),
        ),
        ("RFC 7797 3", "b64 as ever", with_more(r#""b64":true"#)),
        ("RFC 7519 2", "exp with a fraction", but_spelt("exp", &format!("{now}.5"))),
        ("RFC 8259 6", "exp with an exponent", but_spelt("exp", "1.9e9")),
        ("RFC 7519 4.1.4", "exp far away", but_spelt("exp", "18446744073709551615")),
        ("RFC 7519 4.1.4", "exp within the leeway", but_spelt("exp", &format!("{}.01", now - 30))),
        ("RFC 7519 4.1.5", "nbf within the leeway", but(json!({ "nbf": now + 30 }))),
        ("RFC 7519 4.1.5", "nbf of 1970", but(json!({ "nbf": 0 }))),
        ("RFC 7519 4.1.6", "iat in the future", but(json!({ "iat": now + 3600 }))),
        ("RFC 7519 2", "iat with a fraction", but_spelt("iat", &format!("{now}.25"))),
        ("RFC 7519 4.1.3", "aud among others", but(json!({ "aud": ["other", "vingate"] }))),
        ("RFC 7519 4.1.3", "aud the other one", but(json!({ "aud": "vingate-next" }))),
        ("RFC 7519 4.1.3", "aud twice in a list", but(json!({ "aud": ["vingate", "vingate"] }))),
        ("RFC 7519 4.1.2", "a subject in Unicode", but(json!({ "sub": "Flotte ñ 車" }))),
        ("RFC 7519 4.1.2", "a subject of a blank", but(json!({ "sub": " " }))),
        (
            "RFC 7519 4.3",
            "claims of others",
            but(json!({ "EXP": "x", "act": { "sub": "y" }, "n": 1e300 })),
        ),
        ("RFC 8259 4", "a name twice deep down", but_spelt("act", r#"{"sub":"a","sub":"b"}"#)),
        ("RFC 8259 9", "a claim deeper than any stack", but_spelt("deep", &deep)),
        ("RFC 8259 6", "a claim out of range", but_spelt("big", "1e400")),
        ("RFC 9110 5.4", "as long as may be", of_length(16 * 1024)),
        ("RFC 8725 3.8", "the partner's own subject", partner(json!({}))),
        ("RFC 7518 3.4", "the other one of two signatures", other_s),
    ]
}
