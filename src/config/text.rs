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
/// of which `config/vingate.toml` has none. Of a `struct`, declares the type, too.
macro_rules! text {
    ($(#[$about:meta])* struct $type:ident($inner:ty): $($form:tt)*) => {
        $(#[$about])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub(crate) struct $type(pub(crate) $inner);

        text!($type: $($form)*);
    };
    ($type:ident: $expected:literal, $example:literal, $read:expr, $show:expr $(,)?) => {
        impl Value for $type {
            fn form() -> Form {
                let schema = json!({ "type": "string", "minLength": 1, "examples": [$example] });
                Form::new($expected, schema)
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
text!(PathBuf: "the path of a file", "keys/secret", path, |path| path.display().to_string());
text!(SocketAddr: "an address and a port", "127.0.0.1:8080", parsed, Self::to_string);
text!(IpNet: "a CIDR", "10.0.0.0/8", parsed, Self::to_string);
text!(Origin: "scheme, host and optionally a port", "https://sync.example", origin, Self::to_string);
text!(
    HarmlessWrite: "a method and a path", "POST /api/reports/*",
    |text: &str| text.parse().map_err(|error| format!("{text:?}, {error}")), Self::to_string
);
text!(
    ServerUrl: "redis:// or rediss://, a host and optionally a port", "rediss://cache.internal:6380",
    |text: &str| text.parse().map_err(|invalid: InvalidUrl| invalid.to_string()), Self::to_string
);
text!(
    struct CredentialHeader(HeaderName):
    "the name of a header that can carry a credential", "X-API-Key",
    |text| credential_header(text).map(Self), |header| header.0.to_string()
);
text!(
    /// The name of a host, without a port.
    struct HostName(String): "a host name without a port", "vingate.internal",
    |text| only(text, is_host_name).map(Self), |name| name.0.clone()
);
text!(
    /// One scope (RFC 6749 section 3.3). It is quoted in `WWW-Authenticate`.
    struct Scope(String): "one scope, without quotes and backslashes", "vehicles:read",
    |text| only(text, is_scope).map(Self), |scope| scope.0.clone()
);
text!(
    /// Part of the names of what is kept elsewhere, as it is without any quoting.
    struct Namespace(String): "up to 64 letters, digits, \"-\", \"_\" and \".\"", "vingate",
    |text| only(text, is_namespace).map(Self), |namespace| namespace.0.clone()
);
text!(
    /// Where keys are published. Key servers may take a credential in the query, which is not shown.
    struct JwksUrl(String): "an https URL, an http URL on loopback, or a path", "https://login.example/jwks",
    |text| visible(text).map(Self), |url| Source::masked(&url.0)
);
text!(
    /// It may be the secret itself, by mistake: it is never shown.
    struct Variable(String): "the name of an environment variable", "VINGATE_SECRET",
    |text| only(text, is_variable).map(Self).map_err(|_| "a string that is not one".to_owned()),
    |_| "***".to_owned()
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

/// A text of a form that holds no secret either.
fn only(text: &str, is_of_form: fn(&str) -> bool) -> Result<String, String> {
    if is_of_form(text) { Ok(text.to_owned()) } else { Err(format!("{text:?}")) }
}

fn is_host_name(text: &str) -> bool {
    let authority = text.parse::<Authority>();
    authority.is_ok_and(|authority| authority.host() == text && !text.contains('*'))
}

fn is_scope(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\';
    !text.is_empty() && text.bytes().all(is_allowed)
}

fn is_namespace(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    text.len() <= 64 && !text.is_empty() && text.bytes().all(is_allowed)
}

fn is_variable(text: &str) -> bool {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !text.is_empty() && text.bytes().all(is_allowed)
}

// A text that is no name may be a whole header line, secret and all: it is never shown.
fn credential_header(text: &str) -> Result<HeaderName, String> {
    let name: HeaderName = text
        .parse()
        .map_err(|_| "a string that is not a header name")?;
    if NO_CREDENTIAL_HEADERS.contains(&name.as_str()) {
        return Err(format!("{text:?}, which frames or routes messages or is the gateway's own"));
    }
    Ok(name)
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
    let (scheme, default_port) = match scheme.as_str() {
        "http" => (Scheme::HTTP, 80),
        "https" => (Scheme::HTTPS, 443),
        _ => return Err(format!("the scheme {:?}", scheme.as_str())),
    };
    let bare_host = host.trim_start_matches('[').trim_end_matches(']');
    if ServerName::try_from(bare_host).is_err() {
        return Err(format!("the host {host:?}"));
    }
    if port == Some(0) || port.is_none() && authority.as_str().len() != host.len() {
        return Err(format!("{text:?} with an invalid port"));
    }
    let mut authority = host.to_ascii_lowercase();
    if let Some(port) = port.filter(|port| *port != default_port) {
        authority += &format!(":{port}");
    }
    let invalid = |_| format!("the host {authority:?}");
    let authority = authority.parse().map_err(invalid)?;
    Ok(Origin { scheme, authority })
}

#[cfg(test)]
mod tests;
