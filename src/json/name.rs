//! Names of members.

use std::borrow::Cow;

use foldhash::{HashSet, HashSetExt as _};
use serde::{Deserialize, de::Error};

/// A member's name, unescaped; borrowed if it is written without escapes.
#[derive(Deserialize)]
pub(crate) struct Name<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

/// The names of an object's members, none twice, also if one of two is written with escapes.
#[derive(Default)]
pub(crate) struct Names<'a>(Option<HashSet<Cow<'a, str>>>);

impl<'a> Names<'a> {
    /// Adds a name.
    ///
    /// # Errors
    ///
    /// If it is there already. The message does not quote it.
    pub(crate) fn add<E: Error>(&mut self, Name(name): Name<'a>) -> Result<(), E> {
        // Most objects have none to add.
        let names = self.0.get_or_insert_with(HashSet::new);
        if names.insert(name) { Ok(()) } else { Err(E::custom("a member appears twice")) }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_none()
    }
}
