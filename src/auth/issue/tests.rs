use http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use jsonwebtoken::Algorithm;

use super::{
    super::{
        Key, TokenRules,
        authenticator::unix_time,
        testing::{NOW, authenticator, config, key},
    },
    *,
};

/// Whether what `config` builds accepts `token`, judged by the real clock.
fn accepts(config: Config, token: &str) -> bool {
    let field = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
    let headers = HeaderMap::from_iter([(AUTHORIZATION, field)]);
    authenticator(config)
        .0
        .check(&headers, None, unix_time())
        .is_ok()
}

#[test]
fn its_own_configuration_accepts_it() {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    let issue = |config: &Config| {
        let hour = Duration::from_secs(3600);
        config.issue("billing", Some("a b"), hour, now).unwrap()
    };
    let bare = || Config { tokens: TokenRules::default(), ..config() };
    let partner = || {
        let mut keys = vec![key(Algorithm::HS512)];
        keys[0].issuer = Some("https://partner.example".into());
        keys[0].subjects = Some(vec!["billing".into()]);
        Config { keys, ..config() }
    };
    assert!(accepts(config(), &issue(&config())));
    assert!(accepts(bare(), &issue(&bare())));
    assert!(accepts(partner(), &issue(&partner())));
    assert!(!accepts(config(), &issue(&bare())));
}

#[test]
fn a_claim_that_is_looked_at_for_two_things_stays_the_subject() {
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    let token = |audience_claims: &[&str]| {
        let subject_claims = names(&["client_id", "sub"]);
        let audience_claims = names(audience_claims);
        let tokens = TokenRules { subject_claims, audience_claims, ..config().tokens };
        Config { tokens, ..config() }
            .issue("billing", None, Duration::from_secs(60), NOW)
            .unwrap()
    };
    let claims = |token: String| -> Value {
        let claims = token.split('.').nth(1).unwrap();
        let claims =
            base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, claims);
        serde_json::from_slice(&claims.unwrap()).unwrap()
    };
    let both = claims(token(&["client_id"]));
    assert_eq!((both["client_id"].as_str(), both.get("aud")), (Some("billing"), None));
    let apart = claims(token(&["client_id", "azp"]));
    assert_eq!((&apart["client_id"], &apart["azp"]), (&"billing".into(), &"vingate".into()));
}

#[test]
fn takes_the_first_key_that_can() {
    let mut other = key(Algorithm::HS256);
    other.subjects = Some(vec!["dispatch".into()]);
    let keys = vec![key(Algorithm::ES256), other, key(Algorithm::HS384), key(Algorithm::HS512)];
    let config = Config { algorithms: vec![Algorithm::HS256, Algorithm::HS512], keys, ..config() };
    let token = config
        .issue("billing", None, Duration::from_secs(60), NOW)
        .unwrap();
    let header = jsonwebtoken::decode_header(token).unwrap();
    assert_eq!(header.kid.as_deref(), Some("hs512"));
    assert_eq!(header.alg, Algorithm::HS512);
}

#[test]
fn ends_after_its_time_to_live() {
    let config = config();
    let token = config
        .issue("billing", None, Duration::from_secs(60), NOW)
        .unwrap();
    let claims = token.split('.').nth(1).unwrap();
    let claims =
        base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, claims).unwrap();
    let claims: Value = serde_json::from_slice(&claims).unwrap();
    assert_eq!(claims["iat"], NOW.as_secs());
    assert_eq!(claims["exp"], NOW.as_secs() + 60);
    assert_eq!(claims.get("scope"), None);
}

#[test]
fn says_why_it_cannot() {
    let issue = |config: &Config, subject| {
        config
            .issue(subject, None, Duration::from_secs(60), NOW)
            .unwrap_err()
    };
    assert!(matches!(issue(&config(), ""), IssueError::NoSubject));

    let public_keys = Config { keys: vec![key(Algorithm::EdDSA)], ..config() };
    assert!(matches!(issue(&public_keys, "billing"), IssueError::NoKey));

    let mut house: Key = key(Algorithm::HS256);
    house.subjects = Some(vec!["dispatch".into()]);
    let named = Config { keys: vec![house], ..config() };
    assert!(matches!(issue(&named, "billing"), IssueError::NoKey));
}
