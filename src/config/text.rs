//! Texts that have a form: addresses, networks, names.

use std::{borrow::Cow, fmt, marker::PhantomData, net::SocketAddr};

use http::{HeaderName, Uri, uri::Scheme};
use ipnet::IpNet;
use rustls::pki_types::ServerName;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{forward::HarmlessWrite, upstream::Origin};

/// Values with a textual form.
pub(crate) trait Form: Sized {
    /// What a text of this form is, for the message of a refusal.
    const EXPECTED: &'static str;
    /// A text of this form.
    const EXAMPLE: &'static str;

    /// Reads `text`, or says what was found instead, in words that give no secret away.
    fn parse(text: &str) -> Result<Self, String>;

    /// The value as a text again.
    fn to_text(&self) -> String;
}

/// A `T`, written as a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Text<T>(pub(crate) T);

/// A field that carries a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CredentialField(pub(crate) HeaderName);

/// Fields that frame or route a message. A credential in one of them would be taken for that, or
/// not be passed on at all.
const NO_CREDENTIAL_FIELDS: [&str; 12] = [
    "connection",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "via",
];

/// Names, subjects, issuers: any text that can be seen.
impl Form for String {
    const EXPECTED: &'static str = "a text that is not empty";
    const EXAMPLE: &'static str = "fleet";

    fn parse(text: &str) -> Result<Self, String> {
        if text.trim().is_empty() {
            return Err("nothing to see".into());
        }
        if text.chars().any(char::is_control) {
            return Err(format!("{text:?} with a control character"));
        }
        Ok(text.to_owned())
    }

    fn to_text(&self) -> String {
        self.clone()
    }
}

impl Form for SocketAddr {
    const EXPECTED: &'static str = "an address and a port, such as \"127.0.0.1:8080\"";
    const EXAMPLE: &'static str = "127.0.0.1:8080";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("{text:?}"))
    }

    fn to_text(&self) -> String {
        self.to_string()
    }
}

impl Form for IpNet {
    const EXPECTED: &'static str = "a CIDR, such as \"10.0.0.0/8\"";
    const EXAMPLE: &'static str = "10.0.0.0/8";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|_| format!("{text:?}"))
    }

    fn to_text(&self) -> String {
        self.to_string()
    }
}

impl Form for CredentialField {
    const EXPECTED: &'static str =
        "the name of a field that carries a credential, such as \"X-API-Key\"";
    const EXAMPLE: &'static str = "X-API-Key";

    // A text that is no name may be a whole header line, secret and all: it is never shown.
    fn parse(text: &str) -> Result<Self, String> {
        let name: HeaderName = text.parse().map_err(|_| "a text that is no field name")?;
        if NO_CREDENTIAL_FIELDS.contains(&name.as_str()) {
            return Err(format!("{text:?}, which has another task"));
        }
        Ok(Self(name))
    }

    fn to_text(&self) -> String {
        self.0.to_string()
    }
}

impl Form for HarmlessWrite {
    const EXPECTED: &'static str = "a method and a path, such as \"POST /api/reports/*\"";
    const EXAMPLE: &'static str = "POST /api/reports/*";

    fn parse(text: &str) -> Result<Self, String> {
        text.parse().map_err(|error| format!("{text:?}, {error}"))
    }

    fn to_text(&self) -> String {
        self.to_string()
    }
}

impl Form for Origin {
    const EXPECTED: &'static str =
        "an origin: scheme, host and perhaps a port, such as \"https://sync.example\"";
    const EXAMPLE: &'static str = "https://sync.example";

    // A URL may hold a password: it is shown only after it is known that it does not.
    fn parse(text: &str) -> Result<Self, String> {
        let uri: Uri = text.parse().map_err(|_| "a text that is no URL")?;
        let parts = uri.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err("a text without scheme and host".into());
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
            return Err(format!("{text:?} without a port that exists"));
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
        Ok(Self { scheme, authority })
    }

    fn to_text(&self) -> String {
        format!("{}://{}", self.scheme, self.authority)
    }
}

// === impl Text ===

impl<T: Form> Serialize for Text<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0.to_text())
    }
}

impl<'de, T: Form> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T>(PhantomData<T>);

        impl<T: Form> de::Visitor<'_> for Visitor<T> {
            type Value = Text<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(T::EXPECTED)
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Text<T>, E> {
                T::parse(text)
                    .map(Text)
                    .map_err(|found| de::Error::invalid_value(de::Unexpected::Other(&found), &self))
            }
        }

        deserializer.deserialize_str(Visitor(PhantomData))
    }
}

impl<T: Form> JsonSchema for Text<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Text".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "minLength": 1, "examples": [T::EXAMPLE] })
    }
}

#[cfg(test)]
mod tests;
