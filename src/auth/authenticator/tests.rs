use http::HeaderValue;
use prometheus::Registry;
use serde_json::json;

use super::{
    super::{
        Config,
        testing::{NOW, claims, config, token as sign},
    },
    *,
};

fn rule(config: Config) -> (Authenticate, Registry) {
    let registry = Registry::new();
    let (authenticate, _) = config.build(Metrics::register(&registry).unwrap());
    (authenticate, registry)
}

fn genuine(changed: serde_json::Value) -> String {
    let header = r#"{"alg":"HS256","kid":"hs256"}"#;
    sign(jsonwebtoken::Algorithm::HS256, header, claims(changed))
}

fn headers(fields: &[&str]) -> HeaderMap {
    let values = fields
        .iter()
        .map(|field| HeaderValue::from_str(field).unwrap());
    values.map(|value| (AUTHORIZATION, value)).collect()
}

/// The subject, or the label of the refusal.
fn outcome(rule: &Authenticate, fields: &[&str], now: Duration) -> String {
    match rule.caller(&headers(fields), now) {
        Ok(caller) => caller.subject().unwrap_or("anyone").to_owned(),
        Err(Error::Missing) => "missing".into(),
        Err(Error::Token(reason)) => reason.as_str().into(),
        Err(other) => panic!("{other}"),
    }
}

/// What `vingate_auth_tokens_total` shows, without the zeros.
fn counted(registry: &Registry) -> Vec<(String, u64)> {
    let families = registry.gather();
    let shown = families[0].get_metric().iter().map(|metric| {
        let outcome = metric.get_label()[0].value().to_owned();
        (outcome, metric.get_counter().get_value() as u64)
    });
    shown.filter(|&(_, count)| count > 0).collect()
}

#[test]
fn takes_one_bearer_token_and_nothing_else() {
    let (rule, _) = rule(config());
    let token = genuine(json!({}));
    for (fields, found) in [
        (vec![], "missing"),
        (vec![format!("Bearer {token}")], "billing"),
        (vec![format!("bearer {token}")], "billing"),
        (vec![format!("BEARER   {token}")], "billing"),
        (vec!["".into()], "missing"),
        (vec!["Bearer".into()], "missing"),
        (vec!["Bearer  ".into()], "missing"),
        (vec![format!("Basic {token}")], "missing"),
        (vec![format!("Bearer\t{token}")], "missing"),
        (vec![format!("BearerX {token}")], "missing"),
        (vec![token.clone()], "missing"),
        (vec![format!(" Bearer {token}")], "missing"),
        (vec![format!("Bearer {token} x")], "malformed"),
        (vec![format!("Bearer {token},Bearer {token}")], "malformed"),
        (vec![format!("Bearer \"{token}\"")], "malformed"),
        (vec![format!("Bearer Bearer {token}")], "malformed"),
        (vec!["Bearer x".into()], "malformed"),
        (vec!["Bearer ñ".into()], "malformed"),
        (vec![format!("Bearer {}", "x".repeat(8193))], "too_long"),
        (vec![format!("Bearer {token}"), format!("Bearer {token}")], "several"),
        (vec![format!("Bearer {token}"), "Basic eA==".into()], "several"),
        (vec!["Basic eA==".into(), format!("Bearer {token}")], "several"),
    ] {
        let fields: Vec<_> = fields.iter().map(String::as_str).collect();
        assert_eq!(outcome(&rule, &fields, NOW), found, "{fields:?}");
    }
}

#[test]
fn looks_for_tokens_in_authorization_only() {
    let (rule, _) = rule(config());
    let token = genuine(json!({}));
    let request = Request::builder()
        .uri(format!("/api/vehicles?access_token={token}"))
        .header("cookie", format!("access_token={token}"))
        .header("x-authorization", format!("Bearer {token}"))
        .header("proxy-authorization", format!("Bearer {token}"))
        .body(Body::empty())
        .unwrap();
    assert!(matches!(rule.check(request).unwrap_err().error, Error::Missing));
}

#[test]
fn a_remembered_token_ends_when_it_should() {
    let (rule, _) = rule(config());
    let field = format!("Bearer {}", genuine(json!({ "exp": NOW.as_secs() + 600 })));
    let after = |seconds| outcome(&rule, &[&field], NOW + Duration::from_secs(seconds));
    assert_eq!(after(0), "billing");
    assert_eq!(after(629), "billing");
    assert_eq!(after(630), "expired");
    assert_eq!(after(629), "billing", "a clock may be set back");
}

#[test]
fn checks_the_signature_of_a_token_once() {
    let (rule, _) = rule(config());
    let token = genuine(json!({}));
    let tokens = rule.tokens.as_ref().unwrap();
    let first = tokens.identify(token.as_bytes(), NOW).unwrap();
    let second = tokens.identify(token.as_bytes(), NOW).unwrap();
    assert!(Arc::ptr_eq(&first, &second), "not made anew");
}

#[test]
fn refused_tokens_are_not_remembered() {
    let (rule, _) = rule(config());
    let early = format!("Bearer {}", genuine(json!({ "nbf": NOW.as_secs() + 600 })));
    assert_eq!(outcome(&rule, &[&early], NOW), "not_yet_valid");
    assert_eq!(outcome(&rule, &[&early], NOW + Duration::from_secs(570)), "billing");

    let token = genuine(json!({}));
    let forged = format!("Bearer {token}A");
    for _ in 0..2 {
        assert_ne!(outcome(&rule, &[&forged], NOW), "billing");
    }
}

#[test]
fn a_token_like_a_remembered_one_is_another() {
    let (rule, _) = rule(config());
    let token = genuine(json!({}));
    assert_eq!(outcome(&rule, &[&format!("Bearer {token}")], NOW), "billing");
    let (message, signature) = token.rsplit_once('.').unwrap();
    let other = genuine(json!({ "sub": "dispatch" }));
    let (other_message, _) = other.rsplit_once('.').unwrap();
    for forged in [
        format!("{message}."),
        format!("{message}.{}", signature.to_lowercase()),
        format!("{other_message}.{signature}"),
    ] {
        assert_ne!(outcome(&rule, &[&format!("Bearer {forged}")], NOW), "billing", "{forged}");
    }
    assert_eq!(outcome(&rule, &[&format!("Bearer {other}")], NOW), "dispatch");
}

#[test]
fn one_client_keeps_its_id_over_all_its_tokens() {
    let (rule, _) = rule(config());
    let id = |changed| {
        let fields = [format!("Bearer {}", genuine(changed))];
        let fields: Vec<_> = fields.iter().map(String::as_str).collect();
        rule.caller(&headers(&fields), NOW)
            .unwrap()
            .client_id()
            .unwrap()
    };
    assert_eq!(id(json!({ "jti": "a" })), id(json!({ "jti": "b", "scope": "x" })));
    assert_ne!(id(json!({})), id(json!({ "sub": "dispatch" })));
}

#[test]
fn asks_nobody_when_it_is_switched_off() {
    let (rule, registry) = rule(Config { enabled: false, keys: vec![], ..config() });
    for fields in [&[][..], &["Bearer x"], &["Basic x", "Basic y"]] {
        assert_eq!(outcome(&rule, fields, NOW), "anyone");
    }
    assert_eq!(counted(&registry), []);
}

#[test]
fn counts_one_outcome_a_request() {
    let (rule, registry) = rule(config());
    let token = format!("Bearer {}", genuine(json!({})));
    let expired = format!("Bearer {}", genuine(json!({ "exp": 1 })));
    for fields in [&[&*token][..], &[&token], &[], &[&expired], &[&token, &token]] {
        outcome(&rule, fields, NOW);
    }
    let counted = counted(&registry);
    let expected = [("accepted", 2), ("expired", 1), ("missing", 1), ("several", 1)];
    assert_eq!(counted, expected.map(|(outcome, count)| (outcome.to_owned(), count)));
}

#[test]
fn hands_the_request_on_with_its_caller_or_back_with_its_body() {
    let (rule, _) = rule(config());
    let soon = UNIX_EPOCH.elapsed().unwrap().as_secs() + 600;
    let token = genuine(json!({ "exp": soon }));
    let request = |field: String| {
        let request = Request::builder().header("authorization", field);
        request.body(Body::full("body")).unwrap()
    };
    let passed = rule.check(request(format!("Bearer {token}"))).unwrap();
    assert_eq!(passed.extensions().get::<Caller>().unwrap().subject(), Some("billing"));
    assert!(passed.headers().contains_key(AUTHORIZATION), "it is for `Authorize` to remove");

    let refused = rule.check(request("Bearer x".into())).unwrap_err();
    assert!(matches!(refused.error, Error::Token(Reason::Malformed)));
    assert!(format!("{:?}", refused.unread).contains("full"));
}

#[test]
fn never_prints_a_token() {
    let (rule, _) = rule(config());
    let token = genuine(json!({}));
    let caller = rule.caller(&headers(&[&format!("Bearer {token}")]), NOW);
    let printed = format!("{rule:?} {caller:?}");
    assert!(!token.split('.').any(|part| printed.contains(part)));
    assert!(!printed.contains("billing"));
}
