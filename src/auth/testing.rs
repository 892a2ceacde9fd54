//! Keys, tokens and configurations for the tests: every key is made when the tests run.

use std::{
    io,
    sync::{Arc, LazyLock},
    time::Duration,
};

use aws_lc_rs::{
    encoding::AsDer as _,
    hmac,
    rand::SystemRandom,
    rsa::KeySize,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
        RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
    },
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use parking_lot::Mutex;
use prometheus::Registry;
use tracing::subscriber::DefaultGuard;

use super::{Authenticator, Config, Key, Metrics, TokenRules};

/// The time at which the tests take place, since 1970.
pub(super) const NOW: Duration = Duration::from_secs(1_800_000_000);

/// The secret of the keys `hs256`, `hs384` and `hs512`.
pub(super) const SECRET: [u8; 64] = [0x5a; 64];

/// Every algorithm.
pub(super) const ALGORITHMS: [Algorithm; 12] = [
    Algorithm::HS256,
    Algorithm::HS384,
    Algorithm::HS512,
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::EdDSA,
];

/// The key pairs of the house, and one of somebody else.
pub(super) static PAIRS: LazyLock<Pairs> = LazyLock::new(Pairs::generate);

pub(super) struct Pairs {
    pub(super) rsa: RsaKeyPair,
    pub(super) p256: EcdsaKeyPair,
    pub(super) p384: EcdsaKeyPair,
    pub(super) ed25519: Ed25519KeyPair,
    pub(super) foreign_p256: EcdsaKeyPair,
}

impl Pairs {
    fn generate() -> Self {
        Self {
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).unwrap(),
            p256: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
            p384: EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap(),
            ed25519: Ed25519KeyPair::generate().unwrap(),
            foreign_p256: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(),
        }
    }

    pub(super) fn rsa_pem(&self) -> String {
        pem("PUBLIC KEY", self.rsa.public_key().as_der().unwrap().as_ref())
    }

    pub(super) fn p256_pem(&self) -> String {
        pem("PUBLIC KEY", self.p256.public_key().as_der().unwrap().as_ref())
    }

    pub(super) fn p384_pem(&self) -> String {
        pem("PUBLIC KEY", self.p384.public_key().as_der().unwrap().as_ref())
    }

    pub(super) fn ed25519_pem(&self) -> String {
        pem("PUBLIC KEY", self.ed25519.public_key().as_der().unwrap().as_ref())
    }
}

/// A PEM block.
pub(super) fn pem(tag: &str, der: &[u8]) -> String {
    pem::encode(&pem::Pem::new(tag, der))
}

/// The key for `algorithm`, named like it in lower case.
pub(super) fn key(algorithm: Algorithm) -> Key {
    let id = kid(algorithm);
    let pem = match algorithm {
        Algorithm::HS256 | Algorithm::HS384 | Algorithm::HS512 => {
            return Key::from_secret(id, algorithm, &SECRET).unwrap();
        }
        Algorithm::ES256 => PAIRS.p256_pem(),
        Algorithm::ES384 => PAIRS.p384_pem(),
        Algorithm::EdDSA => PAIRS.ed25519_pem(),
        _ => PAIRS.rsa_pem(),
    };
    Key::from_pem(id, algorithm, pem.as_bytes()).unwrap()
}

/// The `kid` of [`key`].
pub(super) fn kid(algorithm: Algorithm) -> String {
    format!("{algorithm:?}").to_lowercase()
}

/// The signature that the owner of [`key`] would make.
pub(super) fn signature(algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
    let rsa = |encoding: &'static dyn RsaEncoding| {
        let mut signature = vec![0; PAIRS.rsa.public_modulus_len()];
        PAIRS
            .rsa
            .sign(encoding, &SystemRandom::new(), message, &mut signature)
            .unwrap();
        signature
    };
    let ecdsa = |pair: &EcdsaKeyPair| {
        let signature = pair.sign(&SystemRandom::new(), message).unwrap();
        signature.as_ref().to_vec()
    };
    match algorithm {
        Algorithm::HS256 => hmac(hmac::HMAC_SHA256, &SECRET, message),
        Algorithm::HS384 => hmac(hmac::HMAC_SHA384, &SECRET, message),
        Algorithm::HS512 => hmac(hmac::HMAC_SHA512, &SECRET, message),
        Algorithm::RS256 => rsa(&RSA_PKCS1_SHA256),
        Algorithm::RS384 => rsa(&RSA_PKCS1_SHA384),
        Algorithm::RS512 => rsa(&RSA_PKCS1_SHA512),
        Algorithm::PS256 => rsa(&RSA_PSS_SHA256),
        Algorithm::PS384 => rsa(&RSA_PSS_SHA384),
        Algorithm::PS512 => rsa(&RSA_PSS_SHA512),
        Algorithm::ES256 => ecdsa(&PAIRS.p256),
        Algorithm::ES384 => ecdsa(&PAIRS.p384),
        Algorithm::EdDSA => PAIRS.ed25519.sign(message).as_ref().to_vec(),
        other => panic!("no key for {other:?}"),
    }
}

/// An HMAC with any secret.
pub(super) fn hmac(algorithm: hmac::Algorithm, secret: &[u8], message: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(algorithm, secret), message)
        .as_ref()
        .to_vec()
}

/// Base64url without padding.
pub(super) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A token of just these bytes, with whatever `sign` makes of them.
pub(super) fn token_with(
    header: impl AsRef<[u8]>,
    claims: impl AsRef<[u8]>,
    sign: impl FnOnce(&[u8]) -> Vec<u8>,
) -> String {
    let message = format!("{}.{}", base64url(header), base64url(claims));
    let signature = base64url(sign(message.as_bytes()));
    format!("{message}.{signature}")
}

/// A genuine signature of the house under any header and claims.
pub(super) fn token(
    algorithm: Algorithm,
    header: impl AsRef<[u8]>,
    claims: impl AsRef<[u8]>,
) -> String {
    token_with(header, claims, |message| signature(algorithm, message))
}

/// A configuration with a key for every algorithm, without accounts and scopes.
pub(super) fn config() -> Config {
    Config {
        enabled: true,
        algorithms: ALGORITHMS.to_vec(),
        tokens: TokenRules {
            issuer: Some("https://house.example".into()),
            audience: vec!["vingate".into(), "vingate-next".into()],
            ..TokenRules::default()
        },
        keys: ALGORITHMS.map(key).into(),
        accounts: vec![],
        credential_headers: vec![],
        origin: "https://sync.example".into(),
    }
}

/// What `config` makes of tokens.
pub(super) fn authenticator(config: Config) -> (Arc<Authenticator>, Registry) {
    let registry = Registry::new();
    let auth = config.build(None, Metrics::register(&registry).unwrap());
    (auth.authenticate.0, registry)
}

/// What `vingate_auth_tokens_total` shows, without the zeros.
pub(super) fn counted(registry: &Registry) -> Vec<(String, u64)> {
    let families = registry.gather();
    let family = families
        .iter()
        .find(|family| family.name() == "vingate_auth_tokens_total");
    let shown = family.unwrap().get_metric().iter().map(|metric| {
        let outcome = metric.get_label()[0].value().to_owned();
        (outcome, metric.get_counter().get_value() as u64)
    });
    shown.filter(|&(_, count)| count > 0).collect()
}

/// Claims that [`config`] accepts, but for what `changed` replaces or, with `null`, removes.
pub(super) fn claims(changed: serde_json::Value) -> String {
    let mut claims = serde_json::json!({
        "iss": "https://house.example",
        "sub": "billing",
        "aud": "vingate",
        "exp": NOW.as_secs() + 600,
    });
    for (name, value) in changed.as_object().unwrap() {
        if value.is_null() {
            claims.as_object_mut().unwrap().remove(name);
        } else {
            claims[name] = value.clone();
        }
    }
    claims.to_string()
}

/// What is logged on this thread at the default level.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<u8>>>);

/// Collects the log as long as the guard lives.
pub(super) fn log() -> (Log, DefaultGuard) {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::INFO)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    (log, tracing::subscriber::set_default(subscriber))
}

impl Log {
    pub(super) fn text(&self) -> String {
        String::from_utf8(self.0.lock().clone()).unwrap()
    }
}

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
