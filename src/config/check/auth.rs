//! Tokens: keys that fit their algorithms, scopes both or none.

use std::collections::HashSet;

use http::header::{AUTHORIZATION, COOKIE};
use jsonwebtoken::AlgorithmFamily;

use super::{Checked, Context, plain, upstream::certificates};
use crate::{
    auth::{self, Account, Scopes, jwks},
    config::{
        file::{File, Key, Scope},
        text::{Form, Text},
    },
    upstream::Origin,
};

/// Checks `[auth]`, and puts it together with what it needs of other tables. Apart from it stands
/// where keys are published, if any are needed.
pub(super) fn check(
    file: &File,
    accounts: Checked<Vec<Account>>,
    origin: Checked<&Origin>,
    context: &mut Context<'_>,
) -> Checked<(auth::Config, Option<jwks::Config>)> {
    let written = &file.auth;
    let has_no_key = written.key.is_empty() && written.jwks_url.is_none();
    if written.enabled && has_no_key && context.has_no_error("auth.jwks_url") {
        context.expected("auth.key", "none", "at least one key to verify tokens with");
    }
    let jwks = written
        .jwks_url
        .as_ref()
        .map(|url| jwks(&url.0, file, context))
        .transpose();
    if written.algorithms.is_empty() {
        context.expected("auth.algorithms", "none", "at least one algorithm");
    }
    let ids = written.key.iter().enumerate().filter_map(|(index, key)| {
        Some((format!("auth.key[{index}].id"), key.id.as_ref()?.0.as_str()))
    });
    context.once(ids, "every kid once");

    // All are checked before the first that is not fine ends it.
    let keys: Vec<_> = written
        .key
        .iter()
        .enumerate()
        .map(|(index, written)| key(&format!("auth.key[{index}]"), written, file, context))
        .collect();
    let scopes = written
        .scope
        .as_ref()
        .map(|scope| scopes(scope, context))
        .transpose();

    let accounts = accounts?;
    let mut credential_headers: Vec<_> = file
        .upstream
        .credential_headers
        .iter()
        .map(|field| field.0.0.clone())
        .collect();
    // What carries an account's credential is a credential field, whoever sends it.
    credential_headers.extend(accounts.iter().map(|account| account.header.clone()));
    let mut seen = HashSet::from([AUTHORIZATION, COOKIE]);
    credential_headers.retain(|name| seen.insert(name.clone()));

    let jwks = jwks?.filter(|_| written.enabled);
    let auth = auth::Config {
        enabled: written.enabled,
        issuer: written.issuer.as_ref().map(|issuer| issuer.0.clone()),
        audience: plain(&written.audience),
        algorithms: written
            .algorithms
            .iter()
            .map(|algorithm| algorithm.0)
            .collect(),
        leeway: written.leeway.0,
        keys: keys.into_iter().collect::<Checked<_>>()?,
        scopes: scopes?,
        accounts,
        credential_headers,
        origin: origin?.to_text(),
    };
    Ok((auth, jwks))
}

/// Checks where published keys come from. They vouch for `auth.issuer`, and for nobody's tokens
/// but those meant for `auth.audience`, so both must be said.
fn jwks(url: &str, file: &File, context: &mut Context<'_>) -> Checked<jwks::Config> {
    let written = &file.auth;
    let issuer = context.required("auth.issuer", written.issuer.as_ref(), "the keys' issuer");
    if written.audience.is_empty() {
        context.expected("auth.audience", "none", "at least one audience with auth.jwks_url");
    }
    // Its query is not shown.
    context.hide("auth.jwks_url", url.as_bytes());
    let source = jwks::Source::parse(url, context.folder).map_err(|error| {
        context.expected("auth.jwks_url", error, "https, http on loopback, or a path")
    });
    let ca = written
        .jwks_ca
        .as_ref()
        .map(|path| certificates("auth.jwks_ca", path, context))
        .transpose();
    issuer?;
    Ok(jwks::Config { source: source?, ca: ca? })
}

/// Checks one `[[auth.key]]`, which stands at `at`.
fn key(at: &str, written: &Key, file: &File, context: &mut Context<'_>) -> Checked<auth::Key> {
    let id = context.required(format!("{at}.id"), written.id.as_ref(), "the kid of its tokens");
    let algorithm_key = format!("{at}.algorithm");
    let algorithm = context.required(&algorithm_key, written.algorithm.as_ref(), "an algorithm");
    if let Ok(algorithm) = algorithm
        && context.has_no_error("auth.algorithms")
        && !file.auth.algorithms.contains(algorithm)
    {
        let found = format_args!("{:?}", algorithm.as_str());
        context.expected(&algorithm_key, found, "one of auth.algorithms");
    }

    let given = match (&written.secret, &written.public_key) {
        (Some(secret), None) => Ok(("secret", secret)),
        (None, Some(public_key)) => Ok(("public_key", public_key)),
        (Some(_), Some(_)) => Err("both a secret and a public_key"),
        (None, None) => Err("neither a secret nor a public_key"),
    };
    let (name, kept) = given.map_err(|found| context.expected(at, found, "one of them"))?;
    let material_key = format!("{at}.{name}");
    let material = context.secret(&material_key, kept);
    if written.subjects.as_ref().is_some_and(Vec::is_empty) {
        let expected = "the subjects it vouches for, or no such key for any";
        context.expected(format!("{at}.subjects"), "none", expected);
    }

    let (id, algorithm) = (id?.0.clone(), algorithm?);
    let needed = match algorithm.0.family() {
        AlgorithmFamily::Hmac => "secret",
        AlgorithmFamily::Rsa | AlgorithmFamily::Ec | AlgorithmFamily::Ed => "public_key",
    };
    if name != needed {
        let found = format_args!("a {name} for {}", algorithm.as_str());
        return Err(context.expected(&material_key, found, format_args!("a {needed}")));
    }
    let make = if needed == "secret" { auth::Key::from_secret } else { auth::Key::from_pem };
    let mut key = make(id, algorithm.0, &material?)
        .map_err(|error| context.note(&material_key, error.to_string()))?;
    key.issuer = written.issuer.as_ref().map(|issuer| issuer.0.clone());
    key.subjects = written.subjects.as_deref().map(plain);
    Ok(key)
}

fn scopes(written: &Scope, context: &mut Context<'_>) -> Checked<Scopes> {
    let read = scope("auth.scope.read", written.read.as_ref(), context);
    let write = scope("auth.scope.write", written.write.as_ref(), context);
    Ok(Scopes { read: read?, write: write? })
}

/// One scope (RFC 6749 section 3.3); it may stand in a `WWW-Authenticate` field.
fn scope(key: &str, written: Option<&Text<String>>, context: &mut Context<'_>) -> Checked<String> {
    let Text(scope) = context.required(key, written, "a scope: both are needed, or none")?;
    let allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    if scope.bytes().all(allowed) {
        Ok(scope.clone())
    } else {
        let expected = "one scope, without blanks, quotes and backslashes";
        Err(context.expected(key, format_args!("{scope:?}"), expected))
    }
}
