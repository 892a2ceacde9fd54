//! Strings of a form: names, addresses, networks, URLs, paths.

use std::{net::SocketAddr, path::PathBuf};

use http::{
    HeaderName, Uri,
    uri::{Authority, Scheme},
};
use ipnet::IpNet;
use rustls::pki_types::ServerName;
use serde_json::{Value as Json, json};

use super::value::{Form, Value};
use crate::{
    auth::jwks::Source,
    forward::HarmlessWrite,
    shared_tier::{InvalidUrl, ServerUrl},
    upstream::Origin,
};

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CredentialHeader(pub(crate) HeaderName);

/// One scope (RFC 6749 section 3.3). It is quoted in `WWW-Authenticate`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Scope(pub(crate) String);

/// Where keys are published. Key servers may take a credential in the query, which is not shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct JwksUrl(pub(crate) String);

/// The name of a host, without a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostName(pub(crate) String);

/// Part of the names of what is kept elsewhere, as it is without any quoting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Namespace(pub(crate) String);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Variable(pub(crate) String);

/// Headers that frame or route a message, or that the gateway writes itself. A credential in one of
/// them would be taken for that, or would not be passed on at all.
const NO_CREDENTIAL_HEADERS: [&str; 21] = [
    "accept",
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "expect",
    "forwarded",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "traceparent",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-http-method-override",
    "x-request-id",
];

/// Makes a type a value by what its strings are, how they are read and shown, and an example for keys
/// of which `config/vingate.toml` has none.
macro_rules! text {
    ($type:ident: $expected:literal, $example:literal, $read:expr, $show:expr) => {
        impl Value for $type {
            fn form() -> Form {
                Form::new(
                    $expected,
                    json!({ "type": "string", "minLength": 1, "examples": [$example] }),
                )
            }

            fn from_text(text: &str) -> Result<Self, String> {
                $read(text)
            }

            fn show(&self) -> Json {
                let show: fn(&Self) -> String = $show;
                show(self).into()
            }
        }
    };
}

text!(String: "a string that is not blank", "vingate", visible, Self::clone);
text!(PathBuf: "the path of a file", "secrets/sync-token", path, |path| path.display().to_string());
text!(SocketAddr: "an address and a port", "127.0.0.1:8080", parsed, Self::to_string);
text!(IpNet: "a CIDR", "10.0.0.0/8", parsed, Self::to_string);
text!(Origin: "scheme, host and optionally a port", "https://sync.example", origin, Self::to_string);
text!(
    CredentialHeader: "the name of a header that can carry a credential", "X-API-Key",
    credential_header, |header| header.0.to_string()
);
text!(HostName: "a host name without a port", "vingate.internal", host_name, |name| name.0.clone());
text!(Scope: "one scope, without quotes and backslashes", "vehicles:read", scope, |scope| scope.0.clone());
text!(
    HarmlessWrite: "a method and a path", "POST /api/reports/*",
    |text: &str| text.parse().map_err(|error| format!("{text:?}, {error}")), Self::to_string
);
text!(
    ServerUrl: "redis:// or rediss://, a host and optionally a port", "rediss://cache.internal:6380",
    |text: &str| text.parse().map_err(|invalid: InvalidUrl| invalid.to_string()), Self::to_string
);
text!(
    Namespace: "up to 64 letters, digits, \"-\", \"_\" and \".\"", "vingate",
    namespace, |namespace| namespace.0.clone()
);
text!(
    JwksUrl: "an https URL, an http URL on loopback, or a path", "https://login.example/jwks",
    |text| visible(text).map(Self), |url| Source::masked(&url.0)
);
text!(
    Variable: "the name of an environment variable", "SYNC_TOKEN",
    variable, |_| "***".to_owned()
);

fn visible(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        Err("a blank string".to_owned())
    } else if text.chars().any(char::is_control) {
        Err(format!("{text:?} with a control character"))
    } else {
        Ok(text.to_owned())
    }
}

fn path(text: &str) -> Result<PathBuf, String> {
    if text.is_empty() { Err("an empty string".to_owned()) } else { Ok(text.into()) }
}

/// What holds no secret, so that it may be shown.
fn parsed<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text:?}"))
}

// A text that is no name may be a whole header line, secret and all: it is never shown.
fn credential_header(text: &str) -> Result<CredentialHeader, String> {
    let name: HeaderName = text
        .parse()
        .map_err(|_| "a string that is not a header name")?;
    if NO_CREDENTIAL_HEADERS.contains(&name.as_str()) {
        return Err(format!("{text:?}, which frames or routes messages or is the gateway's own"));
    }
    Ok(CredentialHeader(name))
}

fn host_name(text: &str) -> Result<HostName, String> {
    let is_host = text
        .parse::<Authority>()
        .is_ok_and(|authority| authority.host() == text && !text.contains('*'));
    if is_host { Ok(HostName(text.to_owned())) } else { Err(format!("{text:?}")) }
}

fn scope(text: &str) -> Result<Scope, String> {
    let is_allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    if text.is_empty() || !text.bytes().all(is_allowed) {
        return Err(format!("{text:?}"));
    }
    Ok(Scope(text.to_owned()))
}

fn namespace(text: &str) -> Result<Namespace, String> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    match (1..=64).contains(&text.len()) && text.bytes().all(is_allowed) {
        true => Ok(Namespace(text.to_owned())),
        false => Err(format!("{text:?}")),
    }
}

// It may be the secret itself, by mistake: it is never shown.
fn variable(text: &str) -> Result<Variable, String> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    if text.is_empty() || !text.bytes().all(is_allowed) {
        return Err("a string that is not one".to_owned());
    }
    Ok(Variable(text.to_owned()))
}

// A URL may hold a password: it is shown only after it is known that it does not.
fn origin(text: &str) -> Result<Origin, String> {
    let uri: Uri = text.parse().map_err(|_| "a string that is not a URL")?;
    let parts = uri.into_parts();
    let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
        return Err("a string without scheme and host".into());
    };
    if authority.as_str().contains('@') {
        return Err("a URL with a user".into());
    }
    if parts.path_and_query.is_some_and(|path| path != "/") || text.contains('#') {
        return Err("a URL with a path, a query or a fragment".into());
    }
    let (host, port) = (authority.host(), authority.port_u16());
    let default_port = match scheme.as_str() {
        "http" => 80,
        "https" => 443,
        _ => return Err(format!("the scheme {:?}", scheme.as_str())),
    };
    let bare_host = host.trim_start_matches('[').trim_end_matches(']');
    if ServerName::try_from(bare_host).is_err() {
        return Err(format!("the host {host:?}"));
    }
    if port == Some(0) || port.is_none() && authority.as_str().len() != host.len() {
        return Err(format!("{text:?} with an invalid port"));
    }
    let host = host.to_ascii_lowercase();
    let authority = match port.filter(|port| *port != default_port) {
        Some(port) => format!("{host}:{port}"),
        None => host,
    };
    let authority = authority
        .parse()
        .map_err(|_| format!("the host {authority:?}"))?;
    let scheme = if default_port == 443 { Scheme::HTTPS } else { Scheme::HTTP };
    Ok(Origin { scheme, authority })
}

#[cfg(test)]
mod tests;
