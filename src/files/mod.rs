//! Files that the program reads: bounded, wiped from memory, fingerprinted and watched.

mod watched;

use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::FileTypeExt as _,
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

pub use self::watched::{LOOK_EVERY, Watch};
use crate::digest::{self, Digest};

/// Bytes of a file: more than any needs, and few enough to read whatever a path points at.
pub const MAX_BYTES: usize = 1 << 20;

/// Room for what most files hold: a buffer that grows leaves copies of a secret behind.
const USUAL_BYTES: usize = 16 * 1024;

/// Every file that was read or could not be, with the SHA-256 of its contents: tells contents
/// apart without keeping a secret.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Sources(BTreeMap<PathBuf, Option<Digest>>);

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It cannot be opened, or not be read to its end.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It holds more than [`MAX_BYTES`].
    #[error("larger than 1 MiB")]
    TooLarge,
}

/// Reads a file of at most [`MAX_BYTES`]. Its bytes are wiped when they are dropped, since they
/// may be a secret's. It blocks: a disk may be slow.
///
/// # Errors
///
/// If it cannot be read, is a pipe, or is too large.
pub fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Unreadable> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(USUAL_BYTES));
    // To open one waits until somebody writes to it.
    if fs::metadata(path)?.file_type().is_fifo() {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is a pipe").into());
    }
    File::open(path)?
        .take(MAX_BYTES as u64 + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() > MAX_BYTES { Err(Unreadable::TooLarge) } else { Ok(bytes) }
}

impl Unreadable {
    /// What was found at `path`, in words.
    pub fn at(&self, path: &Path) -> impl fmt::Display {
        fmt::from_fn(move |f| match self {
            Self::Io(error) => write!(f, "{}: {error}", path.display()),
            Self::TooLarge => write!(f, "more than 1 MiB in {}", path.display()),
        })
    }
}

impl Sources {
    /// Reads a file as [`read`] does, and remembers what was found.
    ///
    /// # Errors
    ///
    /// As [`read`]. It is remembered that the file could not be read.
    pub fn read(&mut self, path: &Path) -> Result<Zeroizing<Vec<u8>>, Unreadable> {
        let contents = read(path);
        let hash = contents.as_ref().ok().map(|bytes| digest::of(bytes));
        self.0.insert(path.to_owned(), hash);
        contents
    }

    /// What the same files hold now. It reads them all.
    pub fn look_again(&self) -> Self {
        let mut found = Self::default();
        for path in self.0.keys() {
            // A file that cannot be read is remembered as such.
            let _ = found.read(path);
        }
        found
    }

    /// Remembers what `other` does, too.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }
}

impl fmt::Debug for Sources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that is removed with its owner.
    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path =
                std::env::temp_dir().join(format!("vingate-files-{name}-{}", std::process::id()));
            fs::create_dir_all(&path).unwrap();
            Self(path)
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_look_tells_contents_apart_and_finds_what_was_missing() {
        let folder = Folder::new("looks");
        let (one, other) = (folder.0.join("one"), folder.0.join("other"));
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
    }

    #[test]
    fn contents_are_told_apart() {
        let folder = Folder::new("contents");
        let found: Vec<_> = [
            [Some("ab"), Some("c"), None],
            [Some("a"), Some("bc"), None],
            [Some("ab"), Some("c"), Some("")],
            [Some("ab"), None, None],
            [Some("ab"), Some(""), None],
            [None, None, None],
        ]
        .into_iter()
        .map(|files| {
            let mut sources = Sources::default();
            for (name, text) in ["one", "two", "three"].into_iter().zip(files) {
                let path = folder.0.join(name);
                let _ = fs::remove_file(&path);
                if let Some(text) = text {
                    fs::write(&path, text).unwrap();
                }
                let _ = sources.read(&path);
            }
            sources
        })
        .collect();
        for (nth, one) in found.iter().enumerate() {
            assert!(!found[..nth].contains(one), "{nth}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_pipe_is_not_waited_for() {
        use std::os::fd::AsRawFd as _;
        let (pipe, _writer) = io::pipe().unwrap();
        let path = PathBuf::from(format!("/proc/self/fd/{}", pipe.as_raw_fd()));
        let found = read(&path).unwrap_err().at(&path).to_string();
        assert!(found.ends_with(": it is a pipe"), "{found}");
    }

    #[test]
    #[cfg(unix)]
    fn a_file_without_end_is_not_read_to_it() {
        assert!(matches!(read(Path::new("/dev/zero")), Err(Unreadable::TooLarge)));
        assert!(matches!(read(Path::new("/")), Err(Unreadable::Io(_))));
    }

    #[test]
    fn a_file_may_be_just_as_large_as_allowed() {
        let folder = Folder::new("large");
        let path = folder.0.join("large");
        for (size, fits) in [(MAX_BYTES, true), (MAX_BYTES + 1, false)] {
            fs::write(&path, vec![b'x'; size]).unwrap();
            assert_eq!(read(&path).is_ok(), fits, "{size}");
        }
    }
}
