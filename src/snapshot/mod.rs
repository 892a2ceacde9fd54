//! What the cache holds, kept in a file over a restart.
//!
//! The file is written as the last act of a drain and used once: it is removed before the first
//! request is taken, and loaded behind the first ones. So a process that ends in another way
//! leaves nothing to load, and nothing comes back that a write has dropped meanwhile. What is
//! brought back has the age that it has, and is fresh for no longer than it was.
//!
//! It is [sealed](frames) under a secret: who reads the file learns how much is in it. A file that
//! was changed, cut, copied, restored or written with another secret is [refused](origin) as a
//! whole.

mod bring_back;
mod entries;
mod frames;
mod origin;
mod save;

use std::{path::PathBuf, time::Duration};

use crate::seal::Secret;

pub use self::{
    bring_back::{Found, find},
    save::{Saved, save},
};

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
