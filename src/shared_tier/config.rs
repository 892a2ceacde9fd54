use std::{fmt, str::FromStr, time::Duration};

use http::Uri;
use rustls::pki_types::CertificateDer;

use super::Secret;

/// What the `[shared]` table says, and how long a write may take.
#[derive(Clone)]
pub struct Config {
    /// Where the server is.
    pub url: ServerUrl,
    /// As whom it is spoken to; `None`: the server's default user.
    pub user: Option<String>,
    /// That user's.
    pub password: Option<Secret>,
    /// Certificates to trust; `None`: the system's.
    pub ca: Option<Vec<CertificateDer<'static>>>,
    /// Encrypts what is kept there.
    pub secret: Secret,
    /// Former secrets, which only decrypt.
    pub previous: Vec<Secret>,
    /// Part of the names of all that is kept there.
    pub namespace: String,
    /// The longest that a request waits for values.
    pub timeout: Duration,
    /// How long what was heard of writes is trusted.
    pub lease: Duration,
    /// How long after a write was announced its response leaves at the latest.
    pub write_wait: Duration,
    /// Nothing older is served while nothing is heard of writes.
    pub when_lost: Duration,
    /// Whether one replica asks for what nobody has, and the others wait for it.
    pub leases: bool,
    /// The longest that a write may take.
    pub write_timeout: Duration,
}

/// `redis://HOST:PORT`, or `rediss://HOST:PORT` over TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerUrl {
    /// Whether TLS is spoken.
    pub is_tls: bool,
    /// A name or an address.
    pub host: String,
    /// By default 6379.
    pub port: u16,
}

/// Why a text is no URL of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidUrl {
    /// It cannot be read, or has no host.
    #[error("no URL")]
    Malformed,
    /// Another scheme.
    #[error("a scheme that is neither redis nor rediss")]
    Scheme,
    /// It would be shown with the configuration.
    #[error("a user or password in the URL")]
    Login,
    /// A database number or parameters.
    #[error("a path or a query in the URL")]
    Rest,
}

const PORT: u16 = 6379;

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("url", &self.url)
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

impl FromStr for ServerUrl {
    type Err = InvalidUrl;

    fn from_str(text: &str) -> Result<Self, InvalidUrl> {
        let uri: Uri = text.parse().map_err(|_| InvalidUrl::Malformed)?;
        let is_tls = match uri.scheme_str() {
            Some("redis") => false,
            Some("rediss") => true,
            _ => return Err(InvalidUrl::Scheme),
        };
        let authority = uri.authority().ok_or(InvalidUrl::Malformed)?;
        if authority.as_str().contains('@') {
            return Err(InvalidUrl::Login);
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(InvalidUrl::Rest);
        }
        let host = authority.host();
        let has_port = authority.as_str().len() > host.len();
        let port = match authority.port_u16() {
            Some(port) => port,
            None if has_port => return Err(InvalidUrl::Malformed),
            None => PORT,
        };
        // An IPv6 address stands in brackets here and nowhere else.
        let host = host.trim_start_matches('[').trim_end_matches(']');
        if host.is_empty() {
            return Err(InvalidUrl::Malformed);
        }
        Ok(Self { is_tls, host: host.to_owned(), port })
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_tls { "rediss" } else { "redis" };
        let Self { host, port, .. } = self;
        match host.contains(':') {
            true => write!(f, "{scheme}://[{host}]:{port}"),
            false => write!(f, "{scheme}://{host}:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_url_and_shows_it() {
        for (text, want) in [
            ("redis://cache.internal", Ok("redis://cache.internal:6379")),
            ("rediss://cache.internal:6380/", Ok("rediss://cache.internal:6380")),
            ("redis://[::1]:7000", Ok("redis://[::1]:7000")),
            ("redis://127.0.0.1", Ok("redis://127.0.0.1:6379")),
            ("http://cache.internal", Err(InvalidUrl::Scheme)),
            ("cache.internal:6379", Err(InvalidUrl::Scheme)),
            ("redis://user:secret@cache", Err(InvalidUrl::Login)),
            ("redis://cache/1", Err(InvalidUrl::Rest)),
            ("redis://cache?x=1", Err(InvalidUrl::Rest)),
            ("redis://cache:66000", Err(InvalidUrl::Malformed)),
            ("redis://", Err(InvalidUrl::Malformed)),
            ("", Err(InvalidUrl::Malformed)),
        ] {
            let url = text.parse().map(|url: ServerUrl| url.to_string());
            assert_eq!(url, want.map(str::to_owned), "{text}");
        }
    }
}
