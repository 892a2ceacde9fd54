//! What nobody is to find anywhere, and how it is looked for.

use std::time::{SystemTime, UNIX_EPOCH};

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use vingate::vehicle::clean;

/// The secret of the accounts and of the signing key, and the operators' token.
pub(crate) const ACCOUNT: &str = "Bearer sync-account-Zq7wXv2kPy";
pub(crate) const JWT_SECRET: &str = "house-secret-Kx93vWqLmZ-house-secret-Kx93vWqLmZ";
pub(crate) const ADMIN_TOKEN: &str = "operator-token-Wq5zXk81Ys";

/// Who issues tokens, and whom they speak for.
pub(crate) const ISSUER: &str = "https://house.example";
pub(crate) const SUBJECT: &str = "quentin.zywicki";

/// Vehicles as they are typed, with letters that no hexadecimal number has.
pub(crate) const TYPED: [(&str, &str); 4] = [
    ("3vw-zx21c04m000001", "qzx 77-41"),
    ("1HG.WV82633A004352", "*WKY882*"),
    ("５ｙｊｓｚ７ｅ２ｘｈｆ０００３１６", "ＺＵＷ９９１Ｋ"),
    ("\u{feff}WVW ZZZ\u{200b}1JZ 3W386752", "yxw_50.3z"),
];

/// What somebody takes for a VIN and a plate.
pub(crate) const WRONG: (&str, &str) = ("3vw-zx21c04m00000Q", "zkw-99871234567890123");

/// Texts to look for.
pub(crate) struct Secrets {
    /// Each with what it is.
    needles: Vec<(String, String)>,
}

impl Secrets {
    /// Every secret and every vehicle that a test knows, and what `tokens` are made of.
    pub(crate) fn all<'t>(tokens: impl IntoIterator<Item = &'t str>) -> Self {
        let mut needles = Vec::new();
        let mut add = |what: &str, text: &str| {
            let squashed = squash(text);
            assert!(squashed.len() >= 6, "{text:?} may stand somewhere by chance");
            needles.push((what.to_owned(), squashed));
        };
        add("the account", ACCOUNT.trim_start_matches("Bearer "));
        add("the key's secret", JWT_SECRET);
        add("the operators' token", ADMIN_TOKEN);
        add("the subject", SUBJECT);
        for token in tokens {
            add("a token", token);
            // The algorithm in front is no secret, but nobody has a reason to print it.
            for part in token.split('.').filter(|part| part.len() > 8) {
                add("a part of a token", part);
            }
        }
        for (vin, plate) in TYPED.into_iter().chain([WRONG]) {
            for (what, text) in [("a VIN", vin), ("a plate", plate)] {
                add(what, text);
                // As `Debug` prints bytes.
                let bytes: Vec<u8> = clean(text).bytes().collect();
                add(what, &format!("{bytes:?}"));
                add(
                    what,
                    &bytes
                        .iter()
                        .map(|byte| format!("{byte:02x}"))
                        .collect::<String>(),
                );
            }
        }
        Self { needles }
    }

    /// What of them stands in `text` and is no vehicle.
    pub(crate) fn secrets_in(&self, text: &str) -> Vec<&str> {
        let mut found = self.found_in(text);
        found.retain(|what| !matches!(*what, "a VIN" | "a plate"));
        found
    }

    /// What of them stands in `text`, in whatever spelling.
    pub(crate) fn found_in(&self, text: &str) -> Vec<&str> {
        let mut squashed = squash(text);
        // Texts in JSON may be written with escapes.
        for line in text.lines() {
            if let Ok(value) = serde_json::from_str::<Value>(line) {
                squashed.push_str(&squash(&value.to_string()));
            }
        }
        let found = |(_, needle): &&(String, String)| squashed.contains(needle.as_str());
        self.needles
            .iter()
            .filter(found)
            .map(|(what, _)| what.as_str())
            .collect()
    }
}

/// `text` in the one spelling of a VIN, with escapes of URLs undone.
fn squash(text: &str) -> String {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8_lossy();
    clean(&decoded).to_uppercase()
}

/// A token of the house with these claims in place of what it has.
pub(crate) fn token(changed: Value) -> String {
    signed(&Header { kid: Some("house".into()), ..Header::new(Algorithm::HS256) }, changed)
}

/// A token with this header.
pub(crate) fn signed(header: &Header, changed: Value) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let mut claims = json!({
        "iss": ISSUER,
        "sub": SUBJECT,
        "aud": "vingate",
        "exp": now.as_secs() + 3600,
        "scope": "vehicles:read vehicles:write",
    });
    for (name, value) in changed.as_object().unwrap() {
        claims[name] = value.clone();
    }
    encode(header, &claims, &EncodingKey::from_secret(JWT_SECRET.as_bytes())).unwrap()
}

#[test]
fn finds_every_spelling() {
    let token = token(json!({}));
    let secrets = Secrets::all([token.as_str()]);
    let (_, claims) = token.split_once('.').unwrap();
    let claims = &claims[..claims.find('.').unwrap()];
    for (text, what) in [
        ("x 3VWZX21C04M000001 y", "a VIN"),
        ("vin=3vw%2Dzx21c04m000001&", "a VIN"),
        ("{\"a\":\"5\\u200bYJSZ7E2XHF000316\"}", "a VIN"),
        ("{\"a\":\"\\uff15yjsz7e2xhf000316\"}", "a VIN"),
        ("[51, 86, 87, 90, 88, 50, 49, 67, 48, 52, 77, 48, 48, 48, 48, 48, 49]", "a VIN"),
        ("335657", ""),
        ("plate wky-882", "a plate"),
        ("SYNC-ACCOUNT-ZQ7WXV2KPY", "the account"),
        (claims, "a part of a token"),
        ("nothing of all that", ""),
    ] {
        let found = secrets.found_in(text);
        assert_eq!(found.first().copied().unwrap_or_default(), what, "{text}");
    }
    assert!(secrets.secrets_in("3VWZX21C04M000001").is_empty());
}
