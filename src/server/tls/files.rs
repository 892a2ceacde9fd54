//! Where certificates and keys are kept.

use std::{
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use aws_lc_rs::digest::{self, SHA256};
use zeroize::Zeroizing;

use super::error::{Error, Found, Role};

/// More than any chain, and little enough to read whatever a path points at.
const MAX_FILE: u64 = 1 << 20;

/// Room for what most files hold.
const USUAL_FILE: usize = 16 * 1024;

/// The files of a listener, all PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The certificate chain, the listener's own first.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// Who signs the certificates of clients; `None`: none are asked for.
    pub client_ca: Option<PathBuf>,
}

/// What stood in the files when they were read.
pub(super) struct Contents {
    pub(super) certificate: Content,
    pub(super) key: Content,
    pub(super) client_ca: Option<Content>,
}

/// Bytes that are wiped when they are not needed any more, since they may be a key's.
type Content = Result<Zeroizing<Vec<u8>>, Error>;

/// A hash of everything that was read: tells contents apart without keeping a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint(pub(super) [u8; 32]);

// === impl Files ===

impl Files {
    pub(super) fn read(&self) -> Contents {
        let content = |role, path: &Path| read(path).map_err(Error::of(role));
        Contents {
            certificate: content(Role::Certificate, &self.certificate),
            key: content(Role::Key, &self.key),
            client_ca: self
                .client_ca
                .as_deref()
                .map(|path| content(Role::ClientCa, path)),
        }
    }
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Found> {
    let failed = |source: io::Error| Found::Unreadable { path: path.to_owned(), source };
    // A buffer that grows leaves copies of a key behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(USUAL_FILE));
    let file = fs::File::open(path).map_err(failed)?;
    file.take(MAX_FILE + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if u64::try_from(bytes.len()).is_ok_and(|read| read > MAX_FILE) {
        return Err(Found::TooLarge(path.to_owned()));
    }
    Ok(bytes)
}

// === impl Contents ===

impl Contents {
    pub(super) fn fingerprint(&self) -> Fingerprint {
        let mut hash = digest::Context::new(&SHA256);
        for content in [Some(&self.certificate), Some(&self.key), self.client_ca.as_ref()] {
            // Without the lengths, a line could move from one file to the next unseen.
            match content {
                Some(Ok(bytes)) => {
                    hash.update(&(bytes.len() as u64).to_be_bytes());
                    hash.update(bytes);
                }
                Some(Err(_)) | None => hash.update(&u64::MAX.to_be_bytes()),
            }
        }
        let mut fingerprint = [0; 32];
        fingerprint.copy_from_slice(hash.finish().as_ref());
        Fingerprint(fingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contents(files: [Option<&str>; 3]) -> Contents {
        let content = |role, text: Option<&str>| match text {
            Some(text) => Ok(Zeroizing::new(text.into())),
            None => Err(Error { role, found: Found::NoKey }),
        };
        Contents {
            certificate: content(Role::Certificate, files[0]),
            key: content(Role::Key, files[1]),
            client_ca: files[2].map(|text| content(Role::ClientCa, Some(text))),
        }
    }

    #[test]
    fn contents_are_told_apart() {
        let fingerprints = [
            [Some("ab"), Some("c"), None],
            [Some("a"), Some("bc"), None],
            [Some("ab"), Some("c"), Some("")],
            [Some("ab"), None, None],
            [Some("ab"), Some(""), None],
            [None, None, None],
        ]
        .map(|files| contents(files).fingerprint().0);
        let distinct: std::collections::HashSet<_> = fingerprints.into();
        assert_eq!(distinct.len(), fingerprints.len());
        let again = contents([Some("ab"), Some("c"), None]).fingerprint();
        assert_eq!(again.0, fingerprints[0]);
    }

    #[test]
    #[cfg(unix)]
    fn a_file_without_end_is_not_read_to_it() {
        assert!(matches!(read(Path::new("/dev/zero")), Err(Found::TooLarge(_))));
        assert!(matches!(read(Path::new("/")), Err(Found::Unreadable { .. })));
    }
}
