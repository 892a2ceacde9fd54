use aws_lc_rs::signature::KeyPair as _;

use super::{
    super::testing::{PAIRS, SECRET, base64url, pem, signature},
    *,
};

fn from_pem(algorithm: Algorithm, pem: &str) -> Result<Key, KeyError> {
    Key::from_pem("key".into(), algorithm, pem.as_bytes())
}

/// The public key of RFC 8017 appendix A.1.1 with a modulus of so many bytes, all ones.
fn pkcs1(modulus_bytes: u8) -> String {
    let modulus = vec![0xff; modulus_bytes.into()];
    let integer = [&[0x02, 0x81, modulus_bytes + 1, 0x00][..], &modulus].concat();
    let exponent = [0x02, 0x03, 0x01, 0x00, 0x01];
    let content = [&integer[..], &exponent].concat();
    let length = u8::try_from(content.len()).unwrap();
    pem("RSA PUBLIC KEY", &[&[0x30, 0x81, length][..], &content].concat())
}

#[test]
fn a_secret_is_at_least_as_long_as_the_hash() {
    for (algorithm, length) in
        [(Algorithm::HS256, 32), (Algorithm::HS384, 48), (Algorithm::HS512, 64)]
    {
        let key = |length| Key::from_secret("key".into(), algorithm, &SECRET[..length]);
        assert!(key(length).is_ok(), "{algorithm:?}");
        match key(length - 1) {
            Err(KeyError::ShortSecret { found, needed, .. }) => {
                assert_eq!((found, needed), (length - 1, length));
            }
            other => panic!("{algorithm:?} {other:?}"),
        }
        assert!(matches!(key(0), Err(KeyError::ShortSecret { .. })));
    }
}

#[test]
fn secrets_and_public_keys_are_not_mixed_up() {
    for algorithm in [Algorithm::RS256, Algorithm::PS512, Algorithm::ES384, Algorithm::EdDSA] {
        let key = Key::from_secret("key".into(), algorithm, &SECRET);
        assert!(matches!(key, Err(KeyError::NeedsPublicKey(_))), "{algorithm:?}");
    }
    let key = from_pem(Algorithm::HS256, &PAIRS.rsa_pem());
    assert!(matches!(key, Err(KeyError::NeedsSecret(_))));
}

#[test]
fn a_public_key_is_of_the_type_and_curve_of_its_algorithm() {
    let (rsa, p256) = (PAIRS.rsa_pem(), PAIRS.p256_pem());
    let (p384, ed25519) = (PAIRS.p384_pem(), PAIRS.ed25519_pem());
    for (algorithm, fitting) in [
        (Algorithm::RS256, &rsa),
        (Algorithm::RS512, &rsa),
        (Algorithm::PS384, &rsa),
        (Algorithm::ES256, &p256),
        (Algorithm::ES384, &p384),
        (Algorithm::EdDSA, &ed25519),
    ] {
        for pem in [&rsa, &p256, &p384, &ed25519] {
            match from_pem(algorithm, pem) {
                Ok(_) => assert_eq!(pem, fitting, "{algorithm:?}"),
                Err(KeyError::Unfit(_)) => assert_ne!(pem, fitting, "{algorithm:?}"),
                Err(other) => panic!("{algorithm:?} {other}"),
            }
        }
    }
}

#[test]
fn rsa_comes_in_both_wrappings() {
    // What `public_key` gives is the structure of RFC 8017.
    let inner = pem("RSA PUBLIC KEY", PAIRS.rsa.public_key().as_ref());
    let signature = base64url(signature(Algorithm::RS256, b"message"));
    for pem in [inner, PAIRS.rsa_pem()] {
        let key = from_pem(Algorithm::RS256, &pem).unwrap();
        assert!(key.verifies(b"message", &signature).unwrap());
        assert!(!key.verifies(b"massage", &signature).unwrap());
    }
}

#[test]
fn refuses_short_rsa() {
    match from_pem(Algorithm::RS256, &pkcs1(128)) {
        Err(KeyError::RsaLength(bits)) => assert_eq!(bits, 1024),
        other => panic!("{other:?}"),
    }
}

#[test]
fn says_what_else_it_was_given() {
    let public = PAIRS.p256_pem();
    let private = pem("PRIVATE KEY", PAIRS.p256.to_pkcs8v1().unwrap().as_ref());
    for (text, said) in [
        (String::new(), "PEM with one public key expected, 0 blocks found"),
        ("not PEM".into(), "PEM with one public key expected, 0 blocks found"),
        (format!("{public}{public}"), "PEM with one public key expected, 2 blocks found"),
        (private.clone(), "a private key"),
        (pem("EC PRIVATE KEY", b"x"), "a private key"),
        (pem("RSA PRIVATE KEY", b"x"), "a private key"),
        (pem("ENCRYPTED PRIVATE KEY", b"x"), "a private key"),
        (format!("{public}{private}"), "a private key"),
        (pem("CERTIFICATE", b"x"), "a certificate"),
        (pem("EC PARAMETERS", b"x"), "a PEM block of another kind"),
        (pem("PUBLIC KEY", b""), "no valid public key for ES256"),
        (pem("PUBLIC KEY", b"x"), "no valid public key for ES256"),
        (public.replace("\nM", "\n!"), "not PEM"),
    ] {
        let found = from_pem(Algorithm::ES256, &text).unwrap_err().to_string();
        assert!(found.starts_with(said), "{found} <- {text}");
    }
}

#[test]
fn allows_words_around_the_block_and_any_line_ends() {
    let text = format!("issued 2026\r\n{}\r\n# end", PAIRS.p256_pem().replace('\n', "\r\n"));
    assert!(from_pem(Algorithm::ES256, &text).is_ok());
}

#[test]
fn a_public_key_cannot_sign() {
    let key = from_pem(Algorithm::ES256, &PAIRS.p256_pem()).unwrap();
    assert!(!key.can_sign());
    assert!(matches!(key.sign(&()), Err(KeyError::CannotSign)));
}

#[test]
fn never_prints_a_secret() {
    let secret = [b'S'; 32];
    let key = Key::from_secret("house".into(), Algorithm::HS256, &secret).unwrap();
    let printed = format!("{key:?}");
    assert!(printed.contains("house") && !printed.contains("SSS") && !printed.contains("83"));
}
