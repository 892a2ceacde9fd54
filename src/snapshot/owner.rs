//! Which process a file belongs to: the one that has started last.
//!
//! Processes may overlap, as when one drains while the next serves already. What the earlier one
//! holds then is older than what was written through the later one. So whoever starts leaves its
//! name in a file beside the snapshot, and a snapshot is used only if nobody has come between: if
//! the name that is found there is that of its writer.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use crate::seal::random;

/// The name of a process, which no other has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner(pub(super) [u8; Owner::LENGTH]);

impl Owner {
    pub(super) const LENGTH: usize = 16;

    pub(super) fn new() -> Self {
        Self(random())
    }

    /// Of `file`; `None`: nobody has left a name.
    pub(super) fn of(file: &Path) -> io::Result<Option<Self>> {
        match fs::read(beside(file, ".owner")) {
            Ok(name) => Ok(name.try_into().ok().map(Self)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Makes `file` that of this process.
    pub(super) fn take(self, file: &Path) -> io::Result<()> {
        let part = beside(file, ".owner.part");
        let mut written = File::create(&part)?;
        written.write_all(&self.0)?;
        written.sync_all()?;
        fs::rename(part, beside(file, ".owner"))?;
        sync_folder(file)
    }
}

/// A file that has the name of `file`, and more.
pub(super) fn beside(file: &Path, more: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(more);
    name.into()
}

/// Makes what was done to the names of a folder last, whatever happens to the machine.
pub(super) fn sync_folder(file: &Path) -> io::Result<()> {
    let folder = file
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}
