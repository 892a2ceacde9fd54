//! Access tokens shaped as identity providers issue them, and the configuration that fits each.

use super::*;
use crate::auth::{Principal, Scopes};

struct Provider {
    name: &'static str,
    header: serde_json::Value,
    claims: serde_json::Value,
    issuer: &'static str,
    audience: &'static str,
    rules: TokenRules,
    read: &'static str,
    subject: &'static str,
    /// Why it is refused, or without scopes, by the rules that go by default.
    by_default: Result<bool, TokenError>,
}

fn rules(subject: &[&str], audience: &[&str], scopes: &[&str]) -> TokenRules {
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
    TokenRules {
        subject_claims: names(subject),
        audience_claims: names(audience),
        scope_claims: names(scopes),
        ..TokenRules::default()
    }
}

fn providers() -> Vec<Provider> {
    let (now, exp) = (NOW.as_secs() - 60, NOW.as_secs() + 3600);
    let default = TokenRules::default;
    vec![
        Provider {
            name: "Entra, version 1, for a user",
            header: json!({ "typ": "JWT", "alg": "RS256", "x5t": "x", "kid": "rs256" }),
            claims: json!({
                "aud": "api://vingate", "iss": "https://sts.windows.net/3f1a/", "iat": now, "nbf": now,
                "exp": exp, "acr": "1", "aio": "AXQ", "amr": ["pwd", "mfa"], "appid": "b1c2",
                "appidacr": "0", "ipaddr": "192.0.2.1", "oid": "6d6a", "rh": "0.A", "scp": "Vehicles.Read User.Read",
                "sub": "pairwise", "tid": "3f1a", "unique_name": "a@b.example", "uti": "u", "ver": "1.0",
            }),
            issuer: "https://sts.windows.net/3f1a/",
            audience: "api://vingate",
            rules: default(),
            read: "Vehicles.Read",
            subject: "pairwise",
            by_default: Ok(true),
        },
        Provider {
            name: "Entra, version 2, for a user",
            header: json!({ "typ": "JWT", "alg": "RS256", "kid": "rs256" }),
            claims: json!({
                "aud": "9c1f", "iss": "https://login.microsoftonline.com/3f1a/v2.0", "iat": now,
                "nbf": now, "exp": exp, "aio": "AXQ", "azp": "b1c2", "azpacr": "0", "name": "A",
                "oid": "6d6a", "preferred_username": "a@b.example", "rh": "0.A",
                "scp": "Vehicles.Read", "sub": "pairwise", "tid": "3f1a", "uti": "u", "ver": "2.0",
            }),
            issuer: "https://login.microsoftonline.com/3f1a/v2.0",
            audience: "9c1f",
            rules: default(),
            read: "Vehicles.Read",
            subject: "pairwise",
            by_default: Ok(true),
        },
        Provider {
            name: "Entra, for an application",
            header: json!({ "typ": "JWT", "alg": "RS256", "kid": "rs256" }),
            claims: json!({
                "aud": "9c1f", "iss": "https://login.microsoftonline.com/3f1a/v2.0", "iat": now,
                "nbf": now, "exp": exp, "azp": "b1c2", "azpacr": "1", "oid": "77aa", "rh": "0.A",
                "roles": ["Vehicles.Read"], "sub": "77aa", "tid": "3f1a", "uti": "u", "ver": "2.0",
            }),
            issuer: "https://login.microsoftonline.com/3f1a/v2.0",
            audience: "9c1f",
            rules: rules(&["sub"], &["aud"], &["scp", "roles"]),
            read: "Vehicles.Read",
            subject: "77aa",
            by_default: Ok(false),
        },
        Provider {
            name: "Auth0, with permissions",
            header: json!({ "alg": "RS256", "typ": "at+jwt", "kid": "rs256" }),
            claims: json!({
                "iss": "https://house.eu.auth0.example/", "sub": "kQ2x@clients",
                "aud": ["https://vingate.example", "https://house.eu.auth0.example/userinfo"],
                "iat": now, "exp": exp, "azp": "kQ2x", "gty": "client-credentials",
                "permissions": ["vehicles:read"],
            }),
            issuer: "https://house.eu.auth0.example/",
            audience: "https://vingate.example",
            rules: rules(&["sub"], &["aud"], &["scope", "permissions"]),
            read: "vehicles:read",
            subject: "kQ2x@clients",
            by_default: Ok(false),
        },
        Provider {
            name: "Cognito, an access token",
            header: json!({ "kid": "rs256", "alg": "RS256" }),
            claims: json!({
                "sub": "aaaa-bbbb", "iss": "https://cognito-idp.eu-west-1.amazonaws.example/eu_A",
                "version": 2, "client_id": "7qh2", "origin_jti": "o", "token_use": "access",
                "scope": "openid vingate/read", "auth_time": now, "exp": exp, "iat": now,
                "jti": "j", "username": "a", "cognito:groups": ["fleet"],
            }),
            issuer: "https://cognito-idp.eu-west-1.amazonaws.example/eu_A",
            audience: "7qh2",
            rules: rules(&["sub"], &["aud", "client_id"], &["scope"]),
            read: "vingate/read",
            subject: "aaaa-bbbb",
            by_default: Err(TokenError::Audience),
        },
        Provider {
            name: "Keycloak 25, for a client without the scope basic",
            header: json!({ "alg": "RS256", "typ": "JWT", "kid": "rs256" }),
            claims: json!({
                "exp": exp, "iat": now, "jti": "trrtcc:1", "iss": "https://sso.example/realms/house",
                "aud": ["vingate", "account"], "typ": "Bearer", "azp": "billing", "acr": "1",
                "realm_access": { "roles": ["offline_access"] },
                "resource_access": { "account": { "roles": ["view-profile"] } },
                "scope": "email vehicles:read profile", "clientHost": "192.0.2.1",
                "client_id": "billing",
            }),
            issuer: "https://sso.example/realms/house",
            audience: "vingate",
            rules: rules(&["sub", "client_id", "azp"], &["aud"], &["scope"]),
            read: "vehicles:read",
            subject: "billing",
            by_default: Err(TokenError::Sub),
        },
        Provider {
            name: "Okta, a custom authorization server",
            header: json!({ "kid": "rs256", "alg": "RS256" }),
            claims: json!({
                "ver": 1, "jti": "AT.x", "iss": "https://house.okta.example/oauth2/default",
                "aud": "api://default", "iat": now, "exp": exp, "cid": "0oa1",
                "scp": ["vehicles:read"], "sub": "0oa1",
            }),
            issuer: "https://house.okta.example/oauth2/default",
            audience: "api://default",
            rules: default(),
            read: "vehicles:read",
            subject: "0oa1",
            by_default: Ok(true),
        },
    ]
}

/// What a provider's token may do: whom it speaks for, and whether it may read.
fn verified(
    provider: &Provider,
    rules: TokenRules,
    claims: &serde_json::Value,
) -> Result<(String, bool), TokenError> {
    let verifier = verifier_of(Config {
        tokens: TokenRules {
            issuer: Some(provider.issuer.into()),
            audience: vec![provider.audience.into()],
            scopes: Some(Scopes { read: provider.read.into(), write: "write".into() }),
            ..rules
        },
        ..config()
    });
    let token = token(Algorithm::RS256, provider.header.to_string(), claims.to_string());
    let Accepted { identity, .. } = verify(&verifier, token, NOW)?;
    assert!(!identity.may_write, "{}", provider.name);
    let may_read = identity.may_read;
    let principal = Principal::Subject(identity);
    Ok((principal.subject().unwrap().to_owned(), may_read))
}

#[test]
fn accepts_tokens_as_identity_providers_issue_them() {
    for provider in providers() {
        let found = verified(&provider, provider.rules.clone(), &provider.claims);
        assert_eq!(found, Ok((provider.subject.into(), true)), "{}", provider.name);

        let by_default = verified(&provider, TokenRules::default(), &provider.claims);
        let by_default = by_default.map(|(_, may_read)| may_read);
        assert_eq!(by_default, provider.by_default, "{}", provider.name);
    }
}

/// Each in turn is taken away, or names somebody else.
#[test]
fn refuses_tokens_of_identity_providers_that_are_meant_for_others() {
    for provider in providers() {
        let with = |name: &str, value: serde_json::Value| {
            let mut claims = provider.claims.clone();
            claims[name] = value;
            verified(&provider, provider.rules.clone(), &claims).unwrap_err()
        };
        let mut names = provider.rules.audience_claims.iter();
        let audience = names.find(|name| provider.claims.get(*name).is_some());
        assert_eq!(with(audience.unwrap(), json!("other")), TokenError::Audience);
        assert_eq!(with("iss", json!("https://other.example")), TokenError::Issuer);
        assert_eq!(with("exp", json!(NOW.as_secs() - 600)), TokenError::Expired);
        assert_eq!(with("exp", json!("never")), TokenError::Exp);
        assert_eq!(with(&provider.rules.subject_claims[0], json!("")), TokenError::Sub);
    }
}

/// A token that another service's `aud` stands in is not ours because our client asked for it.
#[test]
fn only_the_first_audience_claim_that_is_there_counts() {
    let providers = providers();
    let cognito = providers
        .iter()
        .find(|provider| provider.name.starts_with("Cognito"));
    let cognito = cognito.unwrap();
    for aud in [json!("other"), json!(["other"]), json!([]), json!(null)] {
        let mut claims = cognito.claims.clone();
        claims["aud"] = aud;
        let refused = verified(cognito, cognito.rules.clone(), &claims).unwrap_err();
        assert!(matches!(refused, TokenError::Audience | TokenError::Aud), "{refused:?}");
    }
}

#[test]
fn a_subject_claim_that_is_malformed_is_not_made_up_for_by_the_next() {
    let providers = providers();
    let keycloak = providers
        .iter()
        .find(|provider| provider.name.starts_with("Keycloak"));
    let keycloak = keycloak.unwrap();
    for sub in [json!(""), json!(7), json!(null), json!(["billing"])] {
        let mut claims = keycloak.claims.clone();
        claims["sub"] = sub;
        let refused = verified(keycloak, keycloak.rules.clone(), &claims);
        assert_eq!(refused, Err(TokenError::Sub));
    }
}
