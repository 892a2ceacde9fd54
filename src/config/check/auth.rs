//! Tokens: keys that fit their algorithms, and all that published keys need.

use std::path::Path;

use jsonwebtoken::AlgorithmFamily;

use super::upstream::certificates;
use crate::{
    auth::{self, Scopes, SyncAccount, jwks},
    config::{
        context::{Checked, Context, required},
        file::{Auth, File, Key},
        value::{Item, Value as _, values},
    },
    upstream::Origin,
};

/// Checks `[auth]`, and puts it together with what it needs of other tables. Apart from it is
/// where keys are published, if any are needed.
pub(super) fn check(
    file: &File,
    accounts: Checked<Vec<SyncAccount>>,
    origin: Checked<Origin>,
    context: &mut Context<'_>,
) -> Checked<(auth::Config, Option<jwks::Config>)> {
    let written = &file.auth;
    let has_no_key = written.key.is_empty() && written.jwks_url.is_none();
    if written.enabled && has_no_key && context.has_no_error("auth.jwks_url") {
        context.expected("auth.key", "none", "at least one key to verify tokens with");
    }
    let jwks = jwks(file, context);
    refuse_empty(written, context);
    let ids = written
        .key
        .iter()
        .filter_map(|key| Some((format!("{}.id", key.at), key.id.as_deref()?)));
    context.unique(ids, "a different id for each key");
    // All are checked before the first invalid one ends it.
    let keys: Vec<_> = written
        .key
        .iter()
        .map(|written| key(written, file, context))
        .collect();
    let scopes = written.scope.as_ref().map(|scope| {
        Ok(Scopes {
            read: required(&scope.read)?.0.clone(),
            write: required(&scope.write)?.0.clone(),
        })
    });

    let (jwks, accounts) = (jwks?, accounts?);
    let credential_headers = file.upstream.credential_headers.iter();
    let credential_headers = credential_headers.map(|header| header.0.clone()).collect();
    let auth = auth::Config {
        enabled: written.enabled,
        algorithms: values(&written.algorithms),
        tokens: auth::TokenRules {
            issuer: written.issuer.clone(),
            audience: values(&written.audience),
            leeway: written.leeway.0,
            scopes: scopes.transpose()?,
            max_length: written.max_token.to_usize(),
            subject_claims: values(&written.subject_claims),
            audience_claims: values(&written.audience_claims),
            scope_claims: values(&written.scope.clone().unwrap_or_default().claims),
        },
        keys: keys.into_iter().collect::<Checked<_>>()?,
        accounts,
        credential_headers,
        origin: origin?.to_string(),
    };
    Ok((auth, jwks.filter(|_| written.enabled)))
}

/// Lists that no token passes when nothing is in them.
fn refuse_empty(written: &Auth, context: &mut Context<'_>) {
    let scope_claims = written.scope.as_ref().map(|scope| &scope.claims);
    for (key, is_empty, expected) in [
        ("auth.algorithms", written.algorithms.is_empty(), "at least one algorithm"),
        ("auth.subject_claims", written.subject_claims.is_empty(), "at least one claim"),
        ("auth.audience_claims", written.audience_claims.is_empty(), "at least one claim"),
        ("auth.scope.claims", scope_claims.is_some_and(Vec::is_empty), "at least one claim"),
    ] {
        if is_empty {
            context.expected(key, "none", expected);
        }
    }
}

/// Where published keys come from. Their tokens must name `auth.issuer` and one of
/// `auth.audience`, so both must be there.
fn jwks(file: &File, context: &mut Context<'_>) -> Checked<Option<jwks::Config>> {
    let written = &file.auth;
    let Some(url) = &written.jwks_url else { return Ok(None) };
    if written.issuer.is_none() {
        context.expected("auth.issuer", "nothing", "the issuer of the keys at auth.jwks_url");
    }
    if written.audience.is_empty() {
        context.expected("auth.audience", "none", "at least one audience with auth.jwks_url");
    }
    // Its query is not shown.
    context.hide("auth.jwks_url", url.0.as_bytes());
    let source = jwks::Source::parse(&url.0, context.outside.folder).map_err(|error| {
        context.expected("auth.jwks_url", error, "https, http on loopback, or a path")
    });
    if let Some(file) = source.as_ref().ok().and_then(jwks::Source::file) {
        key_set(file, context);
    }
    let ca = certificates("auth.jwks_ca", written.jwks_ca.as_deref(), context);
    Ok(Some(jwks::Config { source: source?, ca: ca? }))
}

/// Reads the key set in `file` as the gateway will. It is no part of the configuration: it may be
/// replaced while the gateway runs.
fn key_set(file: &Path, context: &mut Context<'_>) {
    let found = match context.sources.read(file) {
        Ok(json) => jwks::check(&json)
            .err()
            .map(|found| format!("{found} in {}", file.display())),
        Err(error) => Some(error.at(file).to_string()),
    };
    if let Some(found) = found {
        context.expected("auth.jwks_url", found, "a JSON Web Key Set with a usable key");
    }
}

fn key(written: &Item<Key>, file: &File, context: &mut Context<'_>) -> Checked<auth::Key> {
    let at = &written.at;
    let algorithm_key = format!("{at}.algorithm");
    let algorithm = required(&written.algorithm).copied();
    if let Ok(algorithm) = algorithm
        && context.has_no_error("auth.algorithms")
        && !file
            .auth
            .algorithms
            .iter()
            .any(|allowed| allowed.item == algorithm)
    {
        context.expected(&algorithm_key, algorithm.show(), "one of auth.algorithms");
    }

    let given = match (&written.secret, &written.public_key) {
        (Some(secret), None) => Ok(("secret", secret)),
        (None, Some(public_key)) => Ok(("public_key", public_key)),
        (Some(_), Some(_)) => Err("both secret and public_key"),
        (None, None) => Err("neither secret nor public_key"),
    };
    let (name, kept) = given.map_err(|found| context.expected(at, found, "one of them"))?;
    let material_key = format!("{at}.{name}");
    let material = kept.fetch(&material_key, context);
    if written.subjects.as_ref().is_some_and(Vec::is_empty) {
        let expected = "at least one subject, or no subjects key to allow any";
        context.expected(&format!("{at}.subjects"), "none", expected);
    }

    let (id, algorithm) = (required(&written.id)?.clone(), algorithm?);
    let needed = match algorithm.family() {
        AlgorithmFamily::Hmac => "secret",
        AlgorithmFamily::Rsa | AlgorithmFamily::Ec | AlgorithmFamily::Ed => "public_key",
    };
    if name != needed {
        let found = format_args!("a {name} for {algorithm:?}");
        return Err(context.expected(&material_key, found, format_args!("a {needed}")));
    }
    let make = if needed == "secret" { auth::Key::from_secret } else { auth::Key::from_pem };
    let mut key = make(id, algorithm, &material?)
        .map_err(|error| context.note(&material_key, error.to_string()))?;
    key.issuer.clone_from(&written.issuer);
    key.subjects = written.subjects.as_deref().map(values);
    Ok(key)
}
