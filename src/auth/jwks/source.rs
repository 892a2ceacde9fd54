//! Where a key set is published.

use std::{
    fmt,
    net::IpAddr,
    path::{Path, PathBuf},
};

use http::{Uri, uri::Scheme};
use rustls::pki_types::CertificateDer;

/// Where published keys come from.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where they are published.
    pub source: Source,
    /// Certificates to trust there; `None`: the system's.
    pub ca: Option<Vec<CertificateDer<'static>>>,
}

/// Where a key set is published: a URL with https, one with http on this machine, or a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source(pub(super) Place);

#[derive(Clone, PartialEq, Eq)]
pub(super) enum Place {
    Url(Uri),
    File(PathBuf),
}

/// Why a text names no [`Source`].
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each says in words what it means")]
pub enum SourceError {
    #[error("not a URL")]
    Url(#[from] http::uri::InvalidUri),
    #[error("another scheme than https")]
    Scheme,
    /// Whoever sits on the way could replace the keys, and with them be anybody.
    #[error("http to another machine: keys must come over https")]
    Plain,
    /// The address is logged and shown.
    #[error("a user or password in a URL")]
    Credential,
    #[error("nothing")]
    Nothing,
}

impl Source {
    /// What `text` names: a URL if there is `://` in it, else the path of a file, which starts at
    /// `folder` if it is relative.
    ///
    /// # Errors
    ///
    /// A URL from which no keys may come.
    pub fn parse(text: &str, folder: &Path) -> Result<Self, SourceError> {
        if text.is_empty() {
            return Err(SourceError::Nothing);
        }
        if !text.contains("://") {
            return Ok(Self(Place::File(folder.join(text))));
        }
        let uri: Uri = text.parse()?;
        let is_http = uri.scheme() == Some(&Scheme::HTTP);
        if !is_http && uri.scheme() != Some(&Scheme::HTTPS) {
            return Err(SourceError::Scheme);
        }
        if uri
            .authority()
            .is_some_and(|authority| authority.as_str().contains('@'))
        {
            return Err(SourceError::Credential);
        }
        if is_http && !uri.host().is_some_and(is_this_machine) {
            return Err(SourceError::Plain);
        }
        Ok(Self(Place::Url(uri)))
    }

    /// The file that keys are read from, if they are not fetched.
    pub fn file(&self) -> Option<&Path> {
        match &self.0 {
            Place::Url(_) => None,
            Place::File(path) => Some(path),
        }
    }

    /// `text`, as it is written in the configuration, as it may be shown: some key servers take a
    /// credential in the query.
    pub fn masked(text: &str) -> String {
        match text.find(['?', '#']) {
            Some(at) if text.contains("://") => format!("{}***", &text[..=at]),
            _ => text.to_owned(),
        }
    }

    /// Whether TLS is needed to get there.
    pub(super) fn needs_tls(&self) -> bool {
        matches!(&self.0, Place::Url(uri) if uri.scheme() == Some(&Scheme::HTTPS))
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Url(uri) => write!(f, "Url({})", Source::masked(&uri.to_string())),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

fn is_this_machine(host: &str) -> bool {
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    host.eq_ignore_ascii_case("localhost")
        || bare
            .parse::<IpAddr>()
            .is_ok_and(|address| address.to_canonical().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_https_http_on_this_machine_and_files() {
        let file = |path: &str| Some(Place::File(path.into()));
        let url = |text: &str| Some(Place::Url(text.parse().unwrap()));
        for (text, expected) in [
            ("https://login.example/jwks", url("https://login.example/jwks")),
            ("https://login.example:8443/k?p=1", url("https://login.example:8443/k?p=1")),
            ("HTTPS://login.example", url("https://login.example/")),
            ("http://127.0.0.1:8080/jwks", url("http://127.0.0.1:8080/jwks")),
            ("http://127.9.9.9/jwks", url("http://127.9.9.9/jwks")),
            ("http://[::1]:8080/jwks", url("http://[::1]:8080/jwks")),
            ("http://[::ffff:127.0.0.1]/", url("http://[::ffff:127.0.0.1]/")),
            ("http://LocalHost/jwks", url("http://LocalHost/jwks")),
            ("http://login.example/jwks", None),
            ("http://localhost.example/jwks", None),
            ("http://127.0.0.1.example/jwks", None),
            ("http://127.1/jwks", None),
            ("http://192.168.0.1/jwks", None),
            ("http://[::]/jwks", None),
            ("http://0.0.0.0/jwks", None),
            ("ftp://127.0.0.1/jwks", None),
            ("file:///etc/jwks.json", None),
            ("https://user:word@login.example/jwks", None),
            ("http://localhost@login.example/", None),
            ("https://", None),
            ("://x", None),
            ("", None),
            ("jwks.json", file("/etc/vingate/jwks.json")),
            ("keys/jwks.json", file("/etc/vingate/keys/jwks.json")),
            ("/run/jwks.json", file("/run/jwks.json")),
        ] {
            let found = Source::parse(text, Path::new("/etc/vingate"));
            assert_eq!(found.ok().map(|source| source.0), expected, "{text}");
        }
    }

    #[test]
    fn a_query_is_not_shown() {
        for (text, shown) in [
            ("https://login.example/jwks", "https://login.example/jwks"),
            ("https://login.example/k?code=hunter2&p=1", "https://login.example/k?***"),
            ("https://login.example?hunter2", "https://login.example?***"),
            ("https://login.example/k#hunter2?", "https://login.example/k#***"),
            ("keys/what?.json", "keys/what?.json"),
        ] {
            assert_eq!(Source::masked(text), shown);
            let source = Source::parse(text, Path::new("/etc")).unwrap();
            assert!(!format!("{source:?}").contains("hunter2"), "{source:?}");
        }
    }
}
