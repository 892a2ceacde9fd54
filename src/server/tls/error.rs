//! What is wrong with a file.

use std::path::PathBuf;

use crate::files::Unreadable;

/// Why one of the files cannot be used. Its text says what was found there, and quotes nothing of
/// it: it may be the wrong file, with a key.
#[derive(Debug, thiserror::Error)]
#[error("server.tls.{}: found {found}", role.as_str())]
pub struct Error {
    /// Which file.
    pub role: Role,
    /// What was found.
    pub found: Found,
}

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The listener's certificate chain.
    Certificate,
    /// Its private key.
    Key,
    /// Who signs the certificates of clients.
    ClientCa,
}

/// What was found in place of a certificate or a key.
#[derive(Debug, thiserror::Error)]
pub enum Found {
    /// The file cannot be read.
    #[error("{}", source.at(path))]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        source: Unreadable,
    },
    /// The file is incomplete, or of another format.
    #[error("a file that is not PEM")]
    NotPem,
    /// The file holds no certificate.
    #[error("a file without a certificate")]
    NoCertificate,
    /// There is none, or it needs a password.
    #[error("a file without a private key, or with an encrypted one")]
    NoKey,
    /// It is labelled as a certificate and is none.
    #[error("a certificate that cannot be used ({0})")]
    Certificate(#[source] webpki::Error),
    /// It is labelled as a key and is none.
    #[error("a private key that cannot be used ({0})")]
    Key(#[source] rustls::Error),
    /// Each is valid, but they do not belong together.
    #[error("the private key of another certificate than the first")]
    KeyOfAnother,
    /// rustls refuses it for another reason.
    #[error("a certificate that TLS refuses ({0})")]
    Refused(#[source] rustls::Error),
}

// === impl Role ===

impl Role {
    /// The key in the `[server.tls]` table.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Key => "key",
            Self::ClientCa => "client_ca",
        }
    }
}
