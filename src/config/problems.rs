//! What is wrong with a file, all of it at once.

use std::{fmt, path::PathBuf};

/// One thing that is wrong: which key, where, what was found and what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key, such as `account[1].value`; empty if it is not about a key.
    pub key: String,
    /// The line, from 1, of the key, or of the table that misses it; `None`: of the whole file.
    pub line: Option<usize>,
    /// The column, from 1, where the text stops being TOML.
    pub column: Option<usize>,
    /// What stands in the file instead of what was expected. It may be a secret in the wrong place.
    pub found: Option<String>,
    /// The rest: what was expected, or what else is wrong; no secret.
    pub text: String,
}

/// Everything that is wrong with a file, in the order of its lines.
#[derive(Debug, thiserror::Error)]
pub struct Problems {
    /// The file as it was named.
    pub file: PathBuf,
    /// The problems; at least one.
    pub list: Vec<Problem>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        if let Some(found) = &self.found {
            write!(f, "found {found}, ")?;
        }
        f.write_str(&self.text)
    }
}

impl Problems {
    /// The problems of `file`, those about the whole of it first.
    pub(crate) fn new(file: PathBuf, mut list: Vec<Problem>) -> Self {
        list.sort_by_key(|problem| (problem.line, problem.column));
        Self { file, list }
    }

    /// A file of which nothing is known but this.
    pub(crate) fn whole(file: PathBuf, text: String) -> Self {
        let problem = Problem { key: String::new(), line: None, column: None, found: None, text };
        Self { file, list: vec![problem] }
    }

    /// The same for a log, which quotes nothing of the file.
    pub fn without_values(mut self) -> Self {
        for found in self.list.iter_mut().filter_map(|it| it.found.as_mut()) {
            "another value".clone_into(found);
        }
        self
    }
}

/// One line a problem: `vingate.toml:12: cache.capacty: unknown key, did you mean …?`
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.list.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{}:", self.file.display())?;
            for number in [problem.line, problem.column].into_iter().flatten() {
                write!(f, "{number}:")?;
            }
            write!(f, " {problem}")?;
        }
        Ok(())
    }
}
