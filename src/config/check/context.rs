//! What every check needs: the document, the world outside, and a place for problems.

use std::{collections::HashMap, fmt::Display, path::Path};

use zeroize::Zeroizing;

use crate::{
    config::{
        document::Document,
        effective::{Hidden, hash},
        path::KeyPath,
        problem::Problem,
        secret::{Env, Secret},
    },
    files::Sources,
};

/// What every check needs.
pub(crate) struct Context<'a> {
    /// Knows the lines.
    pub(crate) document: &'a Document<'a>,
    /// Where relative paths start.
    pub(crate) folder: &'a Path,
    /// Where secrets are.
    pub(crate) env: Env<'a>,
    /// Keys that could not be read: defaults stand in their places.
    pub(crate) wrong: &'a [KeyPath],
    /// What was found so far.
    pub(crate) problems: &'a mut Vec<Problem>,
    /// Which files were read so far.
    pub(crate) sources: &'a mut Sources,
    /// What they and the secrets held.
    pub(crate) hidden: Hidden,
}

/// The problem has been noted, so nothing more is to be said.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reported;

/// What a check gives: a valid thing, or nothing after noting why.
pub(crate) type Checked<T> = Result<T, Reported>;

// === impl Context ===

impl Context<'_> {
    /// Notes that `found` stands where `expected` should.
    pub(crate) fn expected(
        &mut self,
        key: impl AsRef<str>,
        found: impl Display,
        expected: impl Display,
    ) -> Reported {
        self.note(key, format!("found {found}, expected {expected}"))
    }

    /// Notes a problem with `key`, unless something else is wrong there already: whoever mistyped
    /// a key has not forgotten it.
    pub(crate) fn note(&mut self, key: impl AsRef<str>, text: String) -> Reported {
        let key = key.as_ref();
        if self.has_no_error(key) {
            let (path, line) = self.document.locate(&key.into());
            self.problems
                .push(Problem { key: path.to_string(), line, column: None, text });
        }
        Reported
    }

    /// Whether nothing is wrong with what was read at or below `key`.
    pub(crate) fn has_no_error(&self, key: &str) -> bool {
        let (path, _) = self.document.locate(&key.into());
        !self
            .wrong
            .iter()
            .any(|wrong| wrong.covers(&path) || path.covers(wrong))
    }

    /// The value of a key that must be there.
    pub(crate) fn required<'t, T>(
        &mut self,
        key: impl AsRef<str>,
        value: Option<&'t T>,
        expected: impl Display,
    ) -> Checked<&'t T> {
        value.ok_or_else(|| self.expected(key, "nothing", expected))
    }

    /// A secret's bytes, from where the file says they are.
    pub(crate) fn secret(&mut self, key: &str, secret: &Secret) -> Checked<Zeroizing<Vec<u8>>> {
        let bytes = secret
            .resolve(self.folder, self.env, self.sources)
            .map_err(|found| self.expected(key, found, "a secret"))?;
        self.hide(key, &bytes);
        Ok(bytes)
    }

    /// Notes what belongs to `key` and is not shown with it.
    pub(crate) fn hide(&mut self, key: &str, bytes: &[u8]) {
        self.hidden.insert(key.to_owned(), hash(bytes));
    }

    /// Notes every text that stands a second time.
    pub(crate) fn once<'t>(
        &mut self,
        texts: impl IntoIterator<Item = (String, &'t str)>,
        expected: &str,
    ) {
        let mut first = HashMap::new();
        for (key, text) in texts {
            match first.get(text) {
                Some(first) => {
                    self.expected(key, format_args!("{text:?} again, after {first}"), expected);
                }
                None => {
                    let (path, _) = self.document.locate(&key.as_str().into());
                    first.insert(text, path);
                }
            }
        }
    }
}
