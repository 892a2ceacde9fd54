//! Whether a file is the very one that was written at the end of a drain, and nobody has had it in
//! hand since.
//!
//! A snapshot that was used once must not be used again: what it holds may have been written over.
//! The file is removed when it is used, so it can only come back as a copy, or under another name.
//! A copy is another file (inode and time of birth), and whatever is done to a file, renaming
//! included, changes a time that nobody can set (`st_ctime`).

use std::{
    fs::Metadata,
    io,
    os::unix::fs::MetadataExt as _,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use super::LEEWAY;
use crate::vehicle_cache::Unheard;

/// Which file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    inode: u64,
    /// Nanoseconds since 1970; 0: the file system does not say.
    born_at: u64,
}

/// What the file system says of a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    pub(super) origin: Origin,
    /// When something was last done to it.
    pub(super) changed_at: SystemTime,
    /// Names that it has.
    pub(super) names: u64,
}

/// Why a snapshot is not used.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    /// It cannot be read, is not whole, or was sealed under another secret.
    #[error("it is spoilt, or was written with another secret or by another version")]
    Unreadable(#[source] io::Error),
    /// It is not the file that was written.
    #[error("it is a copy, or was moved or changed since it was written")]
    Handled,
    /// Another process has started before this one and after its writer.
    #[error("another process has served since the one that wrote it was started")]
    Overtaken,
    /// Other replicas may have written what is in it.
    #[error("it is not known what other replicas wrote since it was written")]
    Unheard(#[from] Unheard),
    /// It was written later than now.
    #[error("the clock has gone back since it was written")]
    Early,
    /// Nothing in it is served any more, or somebody may have served without it since.
    #[error("it is too old")]
    Old,
}

impl Facts {
    pub(super) fn of(file: &Metadata) -> Self {
        let born_at = file.created().ok();
        let born_at = born_at.and_then(|born_at| born_at.duration_since(UNIX_EPOCH).ok());
        let seconds = Duration::from_secs(file.ctime().try_into().unwrap_or(0));
        let nanos = Duration::from_nanos(file.ctime_nsec().try_into().unwrap_or(0));
        Self {
            origin: Origin {
                inode: file.ino(),
                born_at: born_at.map_or(0, |born_at| born_at.as_nanos() as u64),
            },
            changed_at: UNIX_EPOCH + seconds + nanos,
            names: file.nlink(),
        }
    }

    /// Judges a file that says that it is `said`, and that it was whole at `written_at`. Results are
    /// of use for `longest` at most.
    pub(super) fn judge(
        &self,
        said: Origin,
        written_at: SystemTime,
        longest: Duration,
        now: SystemTime,
    ) -> Result<(), Refusal> {
        if said != self.origin || self.names != 1 || self.changed_at > written_at + LEEWAY {
            return Err(Refusal::Handled);
        }
        match now.duration_since(written_at) {
            Ok(age) if age > longest => Err(Refusal::Old),
            Err(early) if early.duration() > LEEWAY => Err(Refusal::Early),
            _ => Ok(()),
        }
    }
}

impl Origin {
    pub(super) const LENGTH: usize = 16;

    pub(super) fn to_bytes(self) -> [u8; Self::LENGTH] {
        (u128::from(self.born_at) << 64 | u128::from(self.inode)).to_le_bytes()
    }

    pub(super) fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        let both = u128::from_le_bytes(bytes);
        Self { inode: both as u64, born_at: (both >> 64) as u64 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn takes_the_file_that_was_written_and_no_other() {
        let said = Origin { inode: 7, born_at: 900 };
        assert_eq!(Origin::from_bytes(said.to_bytes()), said);
        let written_at = UNIX_EPOCH + 1000 * SECOND;
        let facts = Facts { origin: said, changed_at: written_at + SECOND, names: 1 };
        let judge = |facts: Facts, now| {
            let judged = facts.judge(said, written_at, 60 * SECOND, now);
            judged.err().map(|refusal| refusal.to_string())
        };
        let soon = written_at + SECOND;
        assert_eq!(judge(facts, soon), None);
        assert_eq!(judge(facts, written_at - SECOND), None);
        assert_eq!(judge(facts, written_at + 60 * SECOND), None);
        for other in [
            Facts { origin: Origin { inode: 8, ..said }, ..facts },
            Facts { origin: Origin { born_at: 901, ..said }, ..facts },
            Facts { changed_at: written_at + 3 * SECOND, ..facts },
            Facts { names: 2, ..facts },
        ] {
            assert_eq!(judge(other, soon), Some(Refusal::Handled.to_string()), "{other:?}");
        }
        assert_eq!(judge(facts, written_at - 3 * SECOND), Some(Refusal::Early.to_string()));
        assert_eq!(judge(facts, written_at + 61 * SECOND), Some(Refusal::Old.to_string()));
    }
}
