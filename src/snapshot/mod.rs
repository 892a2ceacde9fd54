//! What the cache holds, kept in a file over a restart.
//!
//! The file is written as the last act of a drain and used once: it is removed before the first
//! request is taken, and loaded behind the first ones. So a process that ends in another way
//! leaves nothing to load, and nothing comes back that a write has dropped meanwhile. What is
//! brought back has the age that it has, and is fresh for no longer than it was.
//!
//! It is [sealed](frames) under a secret: who reads the file learns how much is in it. A file that
//! was changed, cut, copied, restored or written with another secret is [refused](origin) as a
//! whole, and so is one whose writer was [not the last](owner) to start.
//!
//! Where other replicas write, too, it says how much was known of that, and what was written since
//! is not brought back. Without knowing that, none is written, and none is used.

mod bring_back;
mod entries;
mod frames;
mod origin;
mod owner;
mod save;

use std::{path::PathBuf, time::Duration};

use self::owner::Owner;

use crate::seal::Secret;

pub use self::{
    bring_back::Found,
    save::{SaveError, Saved},
};

/// Where this process finds a snapshot, and leaves one.
#[derive(Debug)]
pub struct Snapshots {
    config: Config,
    owner: Owner,
}

/// What the `[cache.snapshot]` table says.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where it is.
    pub file: PathBuf,
    /// What it is sealed under.
    pub secret: Secret,
}

/// How far clocks may be apart: that of a file system, and the same one before a restart.
const LEEWAY: Duration = Duration::from_secs(2);

/// What keys are made for.
const PURPOSE: &[u8] = b"snapshot";

#[cfg(test)]
mod tests;
