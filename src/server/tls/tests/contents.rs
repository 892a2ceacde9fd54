//! What the files may hold.

use std::time::UNIX_EPOCH;

use rcgen::{KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519, PKCS_RSA_SHA256, RsaKeySize};

use super::*;
use crate::server::tls::testing::private_key;

/// The problems of these files, without "server.tls.".
fn wrong(certificate: &str, key: &str, client_ca: Option<&str>) -> Vec<String> {
    let folder = Folder::new();
    let files = Files {
        certificate: folder.write("cert.pem", certificate),
        key: folder.write("key.pem", key),
        client_ca: client_ca.map(|pem| folder.write("clients.pem", pem)),
    };
    let errors = Config::load(files).err().unwrap_or_default();
    errors
        .into_iter()
        .map(|error| error.to_string().replacen("server.tls.", "", 1))
        .collect()
}

/// What PKCS #8 wraps: the key in the format of its own kind.
fn unwrapped(key: &KeyPair, label: &str) -> String {
    let der = key.serialized_der();
    // A sequence of a version, an algorithm and the key.
    let version = content(der);
    let algorithm = rest(version);
    let key = content(rest(algorithm));
    pem::encode(&pem::Pem::new(label, key))
}

/// What the first value of `der` holds.
fn content(der: &[u8]) -> &[u8] {
    let (start, length) = header(der);
    &der[start..start + length]
}

/// What follows after the first value of `der`.
fn rest(der: &[u8]) -> &[u8] {
    let (start, length) = header(der);
    &der[start + length..]
}

fn header(der: &[u8]) -> (usize, usize) {
    match der[1] {
        short @ ..=0x7f => (2, short.into()),
        0x81 => (3, der[2].into()),
        _ => (4, usize::from(der[2]) << 8 | usize::from(der[3])),
    }
}

#[test]
fn keys_come_in_every_form() {
    let authority = Authority::new("authority");
    let p256 = KeyPair::generate().unwrap();
    let p384 = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384).unwrap();
    let ed25519 = KeyPair::generate_for(&PKCS_ED25519).unwrap();
    let rsa = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).unwrap();
    for (key, pem) in [
        (&p256, private_key(&p256)),
        (&p384, private_key(&p384)),
        (&ed25519, private_key(&ed25519)),
        (&rsa, private_key(&rsa)),
        (&rsa, unwrapped(&rsa, "RSA PRIVATE KEY")),
        (&p256, unwrapped(&p256, "EC PRIVATE KEY")),
    ] {
        let certificate = authority.sign(NAME, 4000, key).certificate;
        let found = wrong(&certificate, &pem, None);
        assert!(found.is_empty(), "{found:?} {:?}", key.algorithm());
        // Both in one file, which is then named twice.
        let both = format!("{certificate}{pem}");
        assert!(wrong(&both, &both, None).is_empty());
    }
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let authority = Authority::new("authority");
    let (pair, other) = (authority.issue(NAME), authority.issue(NAME));
    let (certificate, key, ca) = (&*pair.certificate, &*pair.key, authority.pem());
    let chain = format!("{certificate}{ca}");
    let reversed = format!("{ca}{certificate}");
    let torn = &certificate[..200];
    let garbage = pem::encode(&pem::Pem::new("CERTIFICATE", ""));
    let encrypted = key.replace("PRIVATE KEY", "ENCRYPTED PRIVATE KEY");
    let no_key = pem::encode(&pem::Pem::new("PRIVATE KEY", "no key"));
    const NO_CERTIFICATE: &str = "certificate: found a file without a certificate";
    const NO_KEY: &str = "key: found a file without a private key, or with an encrypted one";
    const NO_CA: &str = "client_ca: found a file without a certificate";
    const ANOTHER: &str = "key: found the private key of another certificate than the first";
    for (row, (certificate, key, client_ca, want)) in [
        (certificate, key, None, &[][..]),
        (&chain, key, Some(&*ca), &[]),
        (&reversed, key, None, &[ANOTHER]),
        (&other.certificate, key, None, &[ANOTHER]),
        ("", "", Some(""), &[NO_CERTIFICATE, NO_KEY, NO_CA]),
        (key, certificate, None, &[NO_CERTIFICATE, NO_KEY]),
        (torn, key, None, &["certificate: found a file that is not PEM"]),
        (&garbage, key, None, &["certificate: found a certificate that cannot be used (TrailingData(SignedData))"]),
        (certificate, &encrypted, None, &[NO_KEY]),
        (certificate, &key[..60], None, &["key: found a file that is not PEM"]),
        (
            certificate,
            &no_key,
            None,
            &["key: found a private key that cannot be used (unexpected error: failed to parse \
               private key as RSA, ECDSA, or EdDSA)"],
        ),
        (certificate, key, Some(torn), &["client_ca: found a file that is not PEM"]),
        (
            certificate,
            key,
            Some(&garbage),
            &["client_ca: found a certificate that TLS refuses (invalid peer certificate: BadEncoding)"],
        ),
        (certificate, key, Some(key), &[NO_CA]),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(wrong(certificate, key, client_ca), want, "row {row}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let mut listener = Listener::new();
    listener.files.client_ca = Some("/no/where.pem".into());
    let errors = Config::load(listener.files).unwrap_err();
    let text = errors[0].to_string();
    assert!(text.starts_with("server.tls.client_ca: found /no/where.pem: "), "{text}");
}

#[test]
fn a_chain_expires_with_its_first_certificate() {
    let listener = Listener::new();
    let expires_at = || {
        let since = listener.load().expires_at().duration_since(UNIX_EPOCH);
        since.unwrap().as_secs()
    };
    const IN_2020: u64 = 1577836800;
    const IN_2031: u64 = 1924992000;
    const IN_4000: u64 = 64060588800;
    assert_eq!(expires_at(), IN_4000);

    let early = listener.authority.issue_until(NAME, 2031);
    let pair = listener.authority.issue(NAME);
    let chain = format!("{}{}", pair.certificate, early.certificate);
    listener
        .folder
        .write_pair(&Pair { certificate: chain, key: pair.key });
    assert_eq!(expires_at(), IN_2031);

    let expired = listener.authority.issue_until(NAME, 2020);
    listener.folder.write_pair(&expired);
    assert_eq!(expires_at(), IN_2020, "it is taken nevertheless");
}

#[test]
fn no_key_is_shown() {
    let listener = Listener::with_clients();
    let key = std::fs::read_to_string(&listener.files.key).unwrap();
    let shown = format!("{:?}", listener.load());
    assert!(shown.contains("cert.pem"), "{shown}");
    assert!(!key.lines().any(|line| shown.contains(line)), "{shown}");
}
