//! Tokens of every kind: `forged` must be refused, `unusual` must not.

mod forged;
mod providers;
mod unusual;

use aws_lc_rs::{
    hmac::{HMAC_SHA256, HMAC_SHA512},
    rand::SystemRandom,
    signature::KeyPair as _,
};
use serde_json::json;

use super::{
    super::{
        Config,
        testing::{
            ALGORITHMS, NOW, PAIRS, base64url, claims, config, hmac, kid, signature, token,
            token_with,
        },
    },
    *,
};

const PARTNER_SECRET: [u8; 32] = [0xa5; 32];

/// The keys of the house, one of a partner, and all algorithms but RS512 allowed.
fn verifier() -> Verifier {
    let mut config = config();
    let mut partner =
        Key::from_secret("partner".into(), Algorithm::HS256, &PARTNER_SECRET).unwrap();
    partner.issuer = Some("https://partner.example".into());
    partner.subjects = Some(vec!["partner-app".into()]);
    config.keys.push(partner);
    config
        .algorithms
        .retain(|&algorithm| algorithm != Algorithm::RS512);
    verifier_of(config)
}

fn verifier_of(config: Config) -> Verifier {
    Verifier::new(Keys::new(config.keys, None), config.algorithms, config.tokens)
}

/// What becomes of `token` where no keys are published, so that none is waited for.
fn verify(
    verifier: &Verifier,
    token: impl AsRef<[u8]>,
    now: Duration,
) -> Result<Accepted, TokenError> {
    verifier
        .verify(token.as_ref(), now)
        .map_err(|unverified| match unverified {
            Unverified::Refused(Error::Token(reason)) => reason,
            other => panic!("{other:?}"),
        })
}

/// The header that names the key of `algorithm`.
fn header(algorithm: Algorithm) -> String {
    json!({ "alg": format!("{algorithm:?}"), "kid": kid(algorithm) }).to_string()
}

/// Genuine in all but the header.
fn with_header(header: &str) -> String {
    token(Algorithm::HS256, header, claims(json!({})))
}

/// Genuine, with more members in the header.
fn with_more(members: &str) -> String {
    with_header(&format!(r#"{{"alg":"HS256","kid":"hs256",{members}}}"#))
}

/// Genuine in all but the claims.
fn with_claims(claims: impl AsRef<[u8]>) -> String {
    token(Algorithm::HS256, header(Algorithm::HS256), claims)
}

/// Genuine but for claims that are changed.
fn but(changed: serde_json::Value) -> String {
    with_claims(claims(changed))
}

/// Genuine but for one claim, as it is spelt.
fn but_spelt(name: &str, value: &str) -> String {
    let others = claims(json!({ name: null }));
    with_claims(format!(r#"{{"{name}":{value},{}"#, &others[1..]))
}

/// Genuine but for the signature.
fn with_signature(algorithm: Algorithm, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    token_with(header(algorithm), claims(json!({})), sign)
}

/// Claims that the partner may sign, but for what is changed.
fn partner(changed: serde_json::Value) -> String {
    let mut own = json!({ "iss": "https://partner.example", "sub": "partner-app" });
    own.as_object_mut()
        .unwrap()
        .extend(changed.as_object().unwrap().clone());
    token_with(r#"{"alg":"HS256","kid":"partner"}"#, claims(own), |message| {
        hmac(HMAC_SHA256, &PARTNER_SECRET, message)
    })
}

/// A genuine token with `length` bytes.
fn of_length(length: usize) -> String {
    // No base64url is a character longer than a multiple of four, so one part is not enough.
    let padded = |blanks, letters| {
        let header = header(Algorithm::HS256) + &" ".repeat(blanks);
        token(Algorithm::HS256, header, claims(json!({ "pad": "x".repeat(letters) })))
    };
    let room = (length - padded(0, 0).len()) * 3 / 4;
    (0..3)
        .flat_map(|blanks| (room - 4..room + 4).map(move |letters| (blanks, letters)))
        .map(|(blanks, letters)| padded(blanks, letters))
        .find(|token| token.len() == length)
        .expect("two parts reach every length")
}

/// The three parts of a token.
fn split(token: &str) -> [&str; 3] {
    let parts: Vec<_> = token.split('.').collect();
    parts.try_into().unwrap()
}

/// The same bytes with other unused bits in the last character.
fn with_trailing_bits(token: &str) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    // 32 bytes are 43 characters, and the last one has two bits to spare.
    assert_eq!(split(token)[2].len(), 43);
    let (rest, last) = token.split_at(token.len() - 1);
    let place = ALPHABET
        .iter()
        .position(|&letter| letter == last.as_bytes()[0])
        .unwrap();
    format!("{rest}{}", char::from(ALPHABET[place | 1]))
}

fn flipped(mut signature: Vec<u8>, place: usize) -> Vec<u8> {
    signature[place] ^= 1;
    signature
}

/// 1 in so many bytes.
fn one(length: usize) -> Vec<u8> {
    let mut one = vec![0; length];
    one[length - 1] = 1;
    one
}

/// An ECDSA signature as X.509 has it.
fn der_of_ecdsa(fixed: &[u8]) -> Vec<u8> {
    let integer = |half: &[u8]| [&[0x02, 33, 0], half].concat();
    let content = [integer(&fixed[..32]), integer(&fixed[32..])].concat();
    [&[0x30, content.len() as u8][..], &content].concat()
}

/// The order of P-256.
const N: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// `n - s`, which makes the other signature of ECDSA that is as good.
fn n_minus(s: &[u8]) -> Vec<u8> {
    let mut difference = N;
    let mut borrow = 0;
    for (digit, &subtracted) in difference.iter_mut().zip(s).rev() {
        let wide = i16::from(*digit) - i16::from(subtracted) - borrow;
        borrow = i16::from(wide < 0);
        *digit = wide.rem_euclid(256) as u8;
    }
    difference.into()
}

/// A header of somebody with an own key, signed with it.
fn bring_your_own(header: serde_json::Value) -> String {
    let sign = |message: &[u8]| {
        let signature = PAIRS
            .foreign_p256
            .sign(&SystemRandom::new(), message)
            .unwrap();
        signature.as_ref().to_vec()
    };
    token_with(header.to_string(), claims(json!({})), sign)
}

#[test]
fn refuses_forged_and_broken_tokens() {
    let verifier = verifier();
    let forged = forged::all();
    assert!(forged.len() >= 80);
    for (section, what, token, reason) in forged {
        match verify(&verifier, &token, NOW) {
            Err(found) => assert_eq!(found, reason, "{section}: {what}"),
            Ok(_) => panic!("accepted against {section}: {what}"),
        }
    }
}

#[test]
fn accepts_unusual_tokens() {
    let verifier = verifier();
    let unusual = unusual::all();
    assert!(unusual.len() >= 20);
    for (section, what, token) in unusual {
        if let Err(reason) = verify(&verifier, &token, NOW) {
            panic!("{section}: {what}: {}", reason.as_str());
        }
    }
}

#[test]
fn accepts_every_algorithm_that_is_allowed() {
    let all = verifier_of(config());
    for algorithm in ALGORITHMS {
        let token = token(algorithm, header(algorithm), claims(json!({})));
        let accepted = verify(&all, &token, NOW);
        assert!(accepted.is_ok(), "{algorithm:?} {accepted:?}");

        let mut others = config();
        others.algorithms.retain(|&other| other != algorithm);
        let refused = verify(&verifier_of(others), &token, NOW);
        assert_eq!(refused.unwrap_err(), TokenError::Algorithm, "{algorithm:?}");
    }
}

#[test]
fn no_single_changed_character_is_accepted() {
    let verifier = verifier();
    for algorithm in [Algorithm::HS256, Algorithm::ES256] {
        let genuine = token(algorithm, header(algorithm), claims(json!({})));
        for place in 0..genuine.len() {
            let mut forged = genuine.clone().into_bytes();
            forged[place] = if forged[place] == b'A' { b'B' } else { b'A' };
            assert!(verifier.verify(&forged, NOW).is_err(), "{algorithm:?} {place}");
        }
    }
}

#[test]
fn is_exact_at_both_ends_of_its_time() {
    let verifier = verifier();
    let token = but(json!({ "nbf": 1_000, "exp": 2_000 }));
    let verify = |now| verify(&verifier, &token, now);
    let nanosecond = Duration::from_nanos(1);
    let (from, until) = (Duration::from_secs(970), Duration::from_secs(2_030));
    assert_eq!(verify(from - nanosecond).unwrap_err(), TokenError::NotYetValid);
    assert_eq!(verify(from).unwrap().until, until);
    assert!(verify(until - nanosecond).is_ok());
    assert_eq!(verify(until).unwrap_err(), TokenError::Expired);
    assert_eq!(verify(Duration::MAX).unwrap_err(), TokenError::Expired);
}

#[test]
fn looks_at_issuer_and_audience_only_when_configured() {
    let verifier = verifier_of(Config { tokens: TokenRules::default(), ..config() });
    for changed in [
        json!({ "iss": null, "aud": null }),
        json!({ "iss": "https://any.example", "aud": "anybody" }),
        json!({ "aud": { "any": "thing" } }),
    ] {
        assert!(verify(&verifier, but(changed.clone()), NOW).is_ok(), "{changed}");
    }
    let wrong = but(json!({ "iss": 7 }));
    assert_eq!(verify(&verifier, &wrong, NOW).unwrap_err(), TokenError::Iss);
}
