//! What reading and checking need: where keys are, the world outside, and a place for problems.

use std::{
    collections::{BTreeMap, HashMap},
    ffi::OsString,
    fmt::Display,
    path::Path,
};

use super::{key_path, nearest, problems::Problem, toml_document::Document};
use crate::{
    digest::{self, Digest},
    files::Sources,
};

/// Looks up an environment variable: the program's own, or a test's.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// By key, the digest of what is not shown or is in another file.
pub(crate) type Hidden = BTreeMap<String, Digest>;

pub(crate) struct Outside<'a> {
    /// Where relative paths start.
    pub(crate) folder: &'a Path,
    /// Where secrets may be.
    pub(crate) env: Env<'a>,
    /// Whether the system trusts anybody.
    pub(crate) has_roots: fn() -> bool,
}

pub(crate) struct Context<'a> {
    pub(crate) outside: Outside<'a>,
    pub(crate) sources: &'a mut Sources,
    /// What they and the secrets held.
    pub(crate) hidden: Hidden,
    document: &'a Document<'a>,
    known: &'a [String],
    starts: HashMap<String, usize>,
    /// Keys that could not be read: defaults are in their place.
    wrong: Vec<String>,
    problems: &'a mut Vec<Problem>,
}

/// The problem is noted, so there is nothing more to say.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reported;

/// A valid thing, or nothing after noting why.
pub(crate) type Checked<T> = Result<T, Reported>;

/// The value of a required key. Its absence is reported when it is read.
pub(crate) fn required<T>(value: &Option<T>) -> Checked<&T> {
    value.as_ref().ok_or(Reported)
}

const MAX_PROBLEMS: usize = 1_000;

impl<'a> Context<'a> {
    pub(crate) fn new(
        document: &'a Document<'a>,
        known: &'a [String],
        outside: Outside<'a>,
        sources: &'a mut Sources,
        problems: &'a mut Vec<Problem>,
    ) -> Self {
        let (hidden, starts, wrong) = (Hidden::new(), HashMap::new(), document.broken.clone());
        Self { outside, sources, hidden, document, known, starts, wrong, problems }
    }

    /// Notes where a key is, and says whether there is something to read.
    pub(crate) fn enter(&mut self, key: &str, start: usize) -> bool {
        self.starts.insert(key.to_owned(), start);
        !self.document.broken.iter().any(|broken| broken == key)
    }

    pub(crate) fn is_written(&self, key: &str) -> bool {
        self.starts.contains_key(key)
    }

    /// Whether nothing is wrong with what was read at or below `key`.
    pub(crate) fn has_no_error(&self, key: &str) -> bool {
        let mut wrong = self.wrong.iter();
        !wrong.any(|wrong| key_path::covers(wrong, key) || key_path::covers(key, wrong))
    }

    /// Notes a problem with `key`, unless something else is wrong there already: a mistyped key is
    /// not missing as well.
    pub(crate) fn note(&mut self, key: &str, text: String) -> Reported {
        self.note_found(key, None, text)
    }

    fn note_found(&mut self, key: &str, found: Option<String>, text: String) -> Reported {
        if self.has_no_error(key) && self.problems.len() < MAX_PROBLEMS {
            let start = key_path::ancestors(key).find_map(|key| self.starts.get(key));
            let line = start.map(|start| self.document.position(*start).0);
            self.problems
                .push(Problem { key: key.to_owned(), line, column: None, found, text });
        }
        Reported
    }

    pub(crate) fn expected(
        &mut self,
        key: &str,
        found: impl Display,
        expected: impl Display,
    ) -> Reported {
        self.note(key, format!("found {found}, expected {expected}"))
    }

    /// The same of what is `written` in the file itself.
    pub(crate) fn expected_of(
        &mut self,
        key: &str,
        written: impl Display,
        expected: impl Display,
    ) -> Reported {
        self.note_found(key, Some(written.to_string()), format!("expected {expected}"))
    }

    /// The key could not be read. Later problems there are a consequence.
    pub(crate) fn unreadable(&mut self, key: &str) {
        self.wrong.push(key.to_owned());
    }

    pub(crate) fn unknown(&mut self, table: &str, name: &str, start: usize) {
        let key = key_path::join(table, name);
        // Each search takes a while.
        if self.enter(&key, start) && self.problems.len() < MAX_PROBLEMS {
            let text = match nearest::to(table, name, self.known) {
                Some(known) => format!("unknown key, did you mean \"{known}\"?"),
                None => "unknown key".to_owned(),
            };
            self.note(&key, text);
            self.wrong.push(key);
        }
    }

    /// Notes every text that is used again.
    pub(crate) fn unique<'t>(
        &mut self,
        texts: impl IntoIterator<Item = (String, &'t str)>,
        expected: &str,
    ) {
        let mut first = HashMap::new();
        for (key, text) in texts {
            if let Some(first) = first.get(text) {
                let written = format_args!("{text:?}, already used by {first}");
                self.expected_of(&key, written, expected);
            } else {
                first.insert(text, key);
            }
        }
    }

    /// Notes what belongs to `key` and is not shown with it.
    pub(crate) fn hide(&mut self, key: &str, bytes: &[u8]) {
        self.hidden.insert(key.to_owned(), digest::of(bytes));
    }
}
