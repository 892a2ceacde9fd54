mod waiting;

use http::{HeaderValue, Request};
use serde_json::json;

use super::{
    super::{
        Config,
        testing::{NOW, authenticator, claims, config, counted, token as sign},
    },
    *,
};

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
fn outcome(authenticator: &Authenticator, fields: &[&str], now: Duration) -> String {
    match authenticator.check(&headers(fields), None, now) {
        Ok(principal) => principal.subject().unwrap_or("anyone").to_owned(),
        Err(Unverified::Refused(Error::Missing)) => "missing".into(),
        Err(Unverified::Refused(Error::Token(reason))) => reason.as_str().into(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn takes_one_bearer_token_and_nothing_else() {
    let (authenticator, _) = authenticator(config());
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
        (vec![format!("Bearer {}", "x".repeat(16 * 1024 + 1))], "too_long"),
        (vec![format!("Bearer {token}"), format!("Bearer {token}")], "several"),
        (vec![format!("Bearer {token}"), "Basic eA==".into()], "several"),
        (vec!["Basic eA==".into(), format!("Bearer {token}")], "several"),
    ] {
        let fields: Vec<_> = fields.iter().map(String::as_str).collect();
        assert_eq!(outcome(&authenticator, &fields, NOW), found, "{fields:?}");
    }
}

#[test]
fn looks_for_tokens_in_authorization_only() {
    let (authenticator, _) = authenticator(config());
    let token = genuine(json!({}));
    let request = Request::builder()
        .uri(format!("/api/vehicles?access_token={token}"))
        .header("cookie", format!("access_token={token}"))
        .header("x-authorization", format!("Bearer {token}"))
        .header("proxy-authorization", format!("Bearer {token}"))
        .body(())
        .unwrap();
    let authentication = authenticator.check(request.headers(), None, NOW);
    assert!(matches!(authentication, Err(Unverified::Refused(Error::Missing))));
}

#[test]
fn a_remembered_token_ends_when_it_should() {
    let (authenticator, _) = authenticator(config());
    let field = format!("Bearer {}", genuine(json!({ "exp": NOW.as_secs() + 600 })));
    let after = |seconds| outcome(&authenticator, &[&field], NOW + Duration::from_secs(seconds));
    assert_eq!(after(0), "billing");
    assert_eq!(after(629), "billing");
    assert_eq!(after(630), "expired");
    assert_eq!(after(629), "billing", "a clock may be set back");
}

#[test]
fn checks_the_signature_of_a_token_once() {
    let (authenticator, _) = authenticator(config());
    let headers = headers(&[&format!("Bearer {}", genuine(json!({})))]);
    let identity = || match authenticator.check(&headers, None, NOW) {
        Ok(Principal::Subject(identity)) => identity,
        other => panic!("{other:?}"),
    };
    assert!(Arc::ptr_eq(&identity(), &identity()), "not made again");
}

#[test]
fn refused_tokens_are_not_remembered() {
    let (authenticator, _) = authenticator(config());
    let early = format!("Bearer {}", genuine(json!({ "nbf": NOW.as_secs() + 600 })));
    assert_eq!(outcome(&authenticator, &[&early], NOW), "not_yet_valid");
    assert_eq!(outcome(&authenticator, &[&early], NOW + Duration::from_secs(570)), "billing");

    let token = genuine(json!({}));
    let forged = format!("Bearer {token}A");
    for _ in 0..2 {
        assert_ne!(outcome(&authenticator, &[&forged], NOW), "billing");
    }
}

#[test]
fn a_token_like_a_remembered_one_is_another() {
    let (authenticator, _) = authenticator(config());
    let token = genuine(json!({}));
    assert_eq!(outcome(&authenticator, &[&format!("Bearer {token}")], NOW), "billing");
    let (message, signature) = token.rsplit_once('.').unwrap();
    let other = genuine(json!({ "sub": "dispatch" }));
    let (other_message, _) = other.rsplit_once('.').unwrap();
    for forged in [
        format!("{message}."),
        format!("{message}.{}", signature.to_lowercase()),
        format!("{other_message}.{signature}"),
    ] {
        assert_ne!(
            outcome(&authenticator, &[&format!("Bearer {forged}")], NOW),
            "billing",
            "{forged}"
        );
    }
    assert_eq!(outcome(&authenticator, &[&format!("Bearer {other}")], NOW), "dispatch");
}

#[test]
fn one_client_keeps_its_id_over_all_its_tokens() {
    let (authenticator, _) = authenticator(config());
    let id = |changed| {
        let fields = [format!("Bearer {}", genuine(changed))];
        let fields: Vec<_> = fields.iter().map(String::as_str).collect();
        match authenticator.check(&headers(&fields), None, NOW) {
            Ok(principal) => principal.client_id().unwrap(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(id(json!({ "jti": "a" })), id(json!({ "jti": "b", "scope": "x" })));
    assert_ne!(id(json!({})), id(json!({ "sub": "dispatch" })));
}

#[test]
fn asks_nobody_when_it_is_switched_off() {
    let (authenticator, registry) =
        authenticator(Config { enabled: false, keys: vec![], ..config() });
    for fields in [&[][..], &["Bearer x"], &["Basic x", "Basic y"]] {
        assert_eq!(outcome(&authenticator, fields, NOW), "anyone");
    }
    assert_eq!(counted(&registry), []);
}

#[test]
fn counts_one_outcome_a_request() {
    let (authenticator, registry) = authenticator(config());
    let token = format!("Bearer {}", genuine(json!({})));
    let expired = format!("Bearer {}", genuine(json!({ "exp": 1 })));
    for fields in [&[&*token][..], &[&token], &[], &[&expired], &[&token, &token]] {
        outcome(&authenticator, fields, NOW);
    }
    let counted = counted(&registry);
    let expected = [("accepted", 2), ("expired", 1), ("missing", 1), ("several", 1)];
    assert_eq!(counted, expected.map(|(outcome, count)| (outcome.to_owned(), count)));
}

#[test]
fn never_prints_a_token() {
    let (authenticator, _) = authenticator(config());
    let token = genuine(json!({}));
    let authentication = authenticator.check(&headers(&[&format!("Bearer {token}")]), None, NOW);
    let printed = format!("{authenticator:?} {authentication:?}");
    assert!(!token.split('.').any(|part| printed.contains(part)));
    assert!(!printed.contains("billing"));
}
