//! The files that a configuration was made of.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::effective::{Hash, hash};

/// More than any file here, and little enough to read whatever a path points at.
const MAX_FILE: u64 = 1 << 20;

/// Room for what most files hold: a buffer that grows leaves copies of a secret behind.
const USUAL_FILE: usize = 16 * 1024;

/// Every file that was read or could not be, with a hash of what stood in it: tells contents
/// apart without keeping a secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Sources(BTreeMap<PathBuf, Option<Hash>>);

/// Why a file gives nothing.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreadable {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error("larger than 1 MiB")]
    TooLarge,
}

// === impl Sources ===

impl Sources {
    /// The bytes of a file of at most 1 MiB.
    pub(crate) fn read(&mut self, path: &Path) -> Result<Zeroizing<Vec<u8>>, Unreadable> {
        let contents = contents(path);
        let hash = contents.as_ref().ok().map(|bytes| hash(bytes));
        self.0.insert(path.to_owned(), hash);
        contents
    }

    /// What stands in the same files now. It reads them all.
    pub fn look_again(&self) -> Self {
        let mut found = Self::default();
        for path in self.0.keys() {
            // What cannot be read is found so.
            let _ = found.read(path);
        }
        found
    }
}

fn contents(path: &Path) -> Result<Zeroizing<Vec<u8>>, Unreadable> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(USUAL_FILE));
    File::open(path)?
        .take(MAX_FILE + 1)
        .read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).is_ok_and(|read| read > MAX_FILE) {
        return Err(Unreadable::TooLarge);
    }
    Ok(bytes)
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_look_tells_contents_apart_and_finds_what_was_missing() {
        let folder = std::env::temp_dir().join(format!("vingate-sources-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (one, other) = (folder.join("one"), folder.join("other"));
        fs::write(&one, "a").unwrap();

        let mut sources = Sources::default();
        assert_eq!(**sources.read(&one).unwrap(), *b"a");
        assert!(sources.read(&other).is_err());
        assert_eq!(sources.look_again(), sources);
        fs::write(&other, "").unwrap();
        let found = sources.look_again();
        assert_ne!(found, sources, "a file that came");
        fs::write(&one, "b").unwrap();
        assert_ne!(found.look_again(), found, "as long as before");
        fs::write(&one, "a").unwrap();
        assert_eq!(found.look_again(), found);
        fs::remove_dir_all(folder).unwrap();
    }
}
