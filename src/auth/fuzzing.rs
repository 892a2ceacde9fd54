//! Tokens, whatever a client sends.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use serde_json::Value;

use super::{
    Error, Key, Principal, Scopes, TokenError, TokenRules,
    keys::Keys,
    verifier::{Accepted, Unverified, Verifier},
};

/// When tokens are verified, since 1970: what stands in the corpus neither ages nor ripens.
const NOW: Duration = Duration::from_secs(1_800_000_000);
const LEEWAY: Duration = Duration::from_secs(30);
const ISSUER: &str = "https://house.example";
const AUDIENCE: &str = "vingate";
const SECRET: &[u8; 32] = b"a secret that only fuzzing knows";

/// Verifies a token.
///
/// The bytes are the token itself; or, if there is a line break in them, its header and its
/// claims, under which the issuer puts a genuine signature. Whatever was accepted is signed, by
/// the one key there is, and says so, is not over, is meant for us, and names a subject. And it
/// is rejected when one bit of it is another.
pub fn token(data: &[u8]) {
    let token = match data.iter().position(|&byte| byte == b'\n') {
        Some(end) => issue(&data[..end], &data[end + 1..]),
        None => data.to_vec(),
    };
    let verifier = verifier();
    let accepted = match verifier.verify(&token, NOW) {
        Ok(accepted) => accepted,
        Err(Unverified::Refused(Error::Token(reason))) => {
            return assert!(TokenError::ALL.contains(&reason));
        }
        Err(other) => panic!("no token is missing, and no key is waited for: {other:?}"),
    };
    is_what_it_says(&token, &accepted);

    for (at, bit) in [(0, 1), (token.len() / 2, 1), (token.len() - 1, 1), (token.len() - 1, 2)] {
        let mut other = token.clone();
        other[at] ^= bit;
        assert!(verifier.verify(&other, NOW).is_err(), "a token that nobody signed");
    }
    assert!(verifier.verify(&token, accepted.until).is_err(), "it has no end");
    assert!(verifier.verify(&token[..token.len() - 1], NOW).is_err(), "its end is cut");
}

fn verifier() -> Verifier {
    let key = Key::from_secret("house".into(), Algorithm::HS256, SECRET);
    let key = key.expect("the secret is long enough");
    let rules = TokenRules {
        issuer: Some(ISSUER.into()),
        audience: vec![AUDIENCE.into()],
        leeway: LEEWAY,
        scopes: Some(Scopes { read: "read".into(), write: "write".into() }),
        ..TokenRules::default()
    };
    let algorithms = vec![Algorithm::HS256, Algorithm::HS512, Algorithm::RS256];
    // Weakly held by what it verifies, so whoever calls this keeps the verifier.
    Verifier::new(Keys::new(vec![key], None), algorithms, rules)
}

fn issue(header: &[u8], claims: &[u8]) -> Vec<u8> {
    let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
    let message = format!("{}.{}", encode(header), encode(claims));
    let signature = hmac::sign(&hmac_key(), message.as_bytes());
    format!("{message}.{}", encode(signature.as_ref())).into_bytes()
}

fn hmac_key() -> hmac::Key {
    hmac::Key::new(hmac::HMAC_SHA256, SECRET)
}

/// An accepted token, read again by the letter.
fn is_what_it_says(token: &[u8], accepted: &Accepted) {
    assert!(token.len() <= TokenRules::default().max_length);
    let text = std::str::from_utf8(token).expect("base64 is a text");
    let parts: Vec<_> = text.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!("not three parts") };
    let decode = |part: &str| {
        URL_SAFE_NO_PAD
            .decode(part)
            .expect("each part is base64url")
    };
    let message = format!("{header}.{claims}");
    let genuine = hmac::verify(&hmac_key(), message.as_bytes(), &decode(signature));
    genuine.expect("nobody else signs");

    // A tree has bounds that the verifier has not: of depth, and of numbers.
    let tree = |part: &str| serde_json::from_slice::<Value>(&decode(part)).ok();
    if let Some(header) = tree(header) {
        assert_eq!(header["alg"], "HS256");
        assert!(header.get("kid").is_none_or(|id| id == "house"));
        assert!(header.get("crit").is_none());
    }
    let Some(claims) = tree(claims) else { return };
    let date = |name: &str| claims.get(name).map(|date| date.as_f64().expect("a date"));
    let now = NOW.as_secs_f64();
    assert!(date("exp").expect("it has an end") + LEEWAY.as_secs_f64() > now, "it is over");
    assert!(date("nbf").is_none_or(|from| from <= now + LEEWAY.as_secs_f64()), "it is early");
    assert!(accepted.until > NOW);
    assert_eq!(claims["iss"], ISSUER);
    let is_ours = |audience: &Value| audience == AUDIENCE;
    let audiences = claims["aud"].as_array();
    assert!(is_ours(&claims["aud"]) || audiences.is_some_and(|all| all.iter().any(is_ours)));
    let subject = claims["sub"].as_str().expect("it names a subject");
    let principal = Principal::Subject(accepted.identity.clone());
    assert!(!subject.is_empty() && principal.subject() == Some(subject));
}
