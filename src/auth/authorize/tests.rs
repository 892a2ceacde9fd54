use std::sync::Arc;

use http::{HeaderName, HeaderValue, Method, header::AUTHORIZATION};

use super::{
    super::{Identity, Metrics, testing::config},
    *,
};
use crate::{
    route::Route,
    rule::{Rejection, apply_now},
};

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

fn account(header: HeaderName, value: &'static str, subjects: &[&str]) -> SyncAccount {
    let subjects = subjects.iter().map(|&subject| subject.into()).collect();
    SyncAccount { name: "label".into(), header, value: HeaderValue::from_static(value), subjects }
}

fn rule(scopes: bool, accounts: Vec<SyncAccount>) -> Authorize {
    let scopes = scopes.then(|| Scopes { read: "v:r".into(), write: "v:w".into() });
    let config = super::super::Config {
        tokens: super::super::TokenRules { scopes, ..Default::default() },
        accounts,
        credential_headers: vec![API_KEY],
        ..config()
    };
    config
        .build(None, Metrics::register(&prometheus::Registry::new()).unwrap())
        .authorize
}

fn subject(name: &str) -> Principal {
    Principal::Subject(Arc::new(Identity::new("", name, true, true)))
}

fn request(principal: Principal, fields: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::builder().method(Method::GET);
    for (name, value) in fields {
        request = request.header(*name, *value);
    }
    request.extension(principal).body(Body::empty()).unwrap()
}

fn pass(
    rule: &Authorize,
    principal: Principal,
    fields: &[(&str, &str)],
) -> (Vec<String>, Credential) {
    let request = apply_now(rule, request(principal, fields)).unwrap();
    let fields = request.headers().iter();
    let mut fields: Vec<_> = fields
        .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
        .collect();
    fields.sort();
    (fields, *request.extensions().get().unwrap())
}

const OWN: [(&str, &str); 6] = [
    ("accept", "*/*"),
    ("authorization", "Bearer own"),
    ("authorization", "Bearer other"),
    ("cookie", "a=b"),
    ("x-api-key", "own"),
    ("x-api-key", "other"),
];

#[test]
fn reading_and_writing_need_their_scopes() {
    let rule = rule(true, vec![]);
    for (method, route, may_read, may_write, needed) in [
        (Method::GET, Route::VehicleList, true, false, None),
        (Method::GET, Route::VehicleList, false, true, Some("v:r")),
        (Method::HEAD, Route::Other, false, true, Some("v:r")),
        (Method::POST, Route::Batch, true, false, None),
        (Method::QUERY, Route::Batch, false, true, Some("v:r")),
        (Method::POST, Route::Other, true, false, Some("v:w")),
        (Method::POST, Route::Other, false, true, None),
        (Method::PATCH, Route::VehicleStatus, true, false, Some("v:w")),
        (Method::DELETE, Route::Other, false, false, Some("v:w")),
    ] {
        let principal = Principal::Subject(Arc::new(Identity::new("", "s", may_read, may_write)));
        let mut request = request(principal, &[]);
        *request.method_mut() = method.clone();
        RequestContext::of_mut(request.extensions_mut()).route = route;
        let found = match apply_now(&rule, request) {
            Ok(_) => None,
            Err(Rejection { error: Error::Scope { needed }, .. }) => Some(needed),
            Err(refused) => panic!("{}", refused.error),
        };
        assert_eq!(found.as_deref(), needed, "{method} {route:?}");
    }
}

#[test]
fn scopes_are_not_asked_for_when_none_are_configured_or_nobody_is_known() {
    let none = Principal::Subject(Arc::new(Identity::new("", "s", false, false)));
    assert!(apply_now(&rule(false, vec![]), request(none, &[])).is_ok());
    assert!(apply_now(&rule(true, vec![]), request(Principal::Anyone, &[])).is_ok());
}

#[test]
fn lets_nobody_pass_whom_authenticate_did_not_see() {
    let request = Request::new(Body::empty());
    let refused = apply_now(&rule(false, vec![]), request).unwrap_err();
    assert!(matches!(refused.error, Error::Missing));
}

#[test]
fn an_account_replaces_every_header_of_the_clients_credential() {
    let accounts = vec![
        account(AUTHORIZATION, "Bearer fleet", &["billing"]),
        account(HeaderName::from_static("x-key"), "shared", &["*"]),
    ];
    let rule = rule(false, accounts);
    let own = [&OWN[..], &[("x-key", "own")]].concat();
    for (principal, field) in [
        (subject("billing"), "authorization: Bearer fleet"),
        (subject("dispatch"), "x-key: shared"),
        (Principal::Anyone, "x-key: shared"),
    ] {
        let (fields, credential) = pass(&rule, principal.clone(), &own);
        assert_eq!(fields, ["accept: */*", field]);
        assert!(credential.is_account);
        let (_, bare) = pass(&rule, principal, &[]);
        assert_eq!(credential, bare, "nothing of the principal's own is in it");
    }
}

#[test]
fn accounts_share_a_credential_only_if_it_is_the_same() {
    let accounts = vec![
        account(AUTHORIZATION, "a", &["one"]),
        account(AUTHORIZATION, "a", &["two"]),
        account(AUTHORIZATION, "b", &["three"]),
        account(API_KEY, "a", &["four"]),
    ];
    let rule = rule(false, accounts);
    let digest = |name| pass(&rule, subject(name), &[]).1.digest.unwrap();
    assert_eq!(digest("one"), digest("two"), "names are labels");
    assert_ne!(digest("one"), digest("three"));
    assert_ne!(digest("one"), digest("four"));
}

#[test]
fn a_subject_without_an_account_is_forbidden() {
    let rule = rule(false, vec![account(AUTHORIZATION, "a", &["billing"])]);
    for principal in [subject("dispatch"), Principal::Anyone] {
        let refused = apply_now(&rule, request(principal, &OWN)).unwrap_err();
        assert!(matches!(refused.error, Error::NoAccount));
    }
}

#[test]
fn the_clients_own_credential_passes_as_it_is() {
    let rule = rule(false, vec![]);
    let (fields, credential) = pass(&rule, subject("billing"), &OWN);
    assert_eq!(fields.len(), OWN.len());
    assert!(!credential.is_account);
    let digest = |fields: &[_]| pass(&rule, subject("billing"), fields).1.digest;
    assert_eq!(credential.digest, digest(&OWN[1..]), "other fields do not matter");
    for (left_out, field) in OWN.iter().enumerate().skip(1) {
        let mut fewer = OWN.to_vec();
        fewer.remove(left_out);
        assert_ne!(credential.digest, digest(&fewer), "{field:?}");
    }
    assert_eq!(digest(&OWN[..1]), None, "no credential at all");
}

#[test]
fn the_credential_is_what_counts_and_not_the_principal() {
    let rule = rule(false, vec![]);
    let of = |principal| pass(&rule, principal, &OWN).1;
    assert_eq!(of(subject("billing")), of(subject("dispatch")));
    assert_eq!(of(subject("billing")), of(Principal::Anyone));
}

#[test]
fn an_accounts_secret_is_never_printed() {
    let rule = rule(false, vec![account(AUTHORIZATION, "s3cret", &["*"])]);
    let request = apply_now(&rule, request(Principal::Anyone, &[])).unwrap();
    assert!(request.headers()[AUTHORIZATION].is_sensitive());
    assert!(!format!("{rule:?} {request:?}").contains("s3cret"));
}
