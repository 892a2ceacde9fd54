//! From a file to its configuration, or to all of its problems.

use std::path::Path;

use super::{
    check,
    context::{Context, Env, Outside},
    file::File,
    json_schema,
    parts::Config,
    problems::Problems,
    toml_document::Document,
    value::{Node, Value as _},
};
use crate::{files::Sources, tls};

/// A file that was read, whatever came of it.
#[derive(Debug)]
pub struct Loaded {
    /// What it says.
    pub config: Result<Config, Problems>,
    /// Its text; empty if it could not be read.
    pub text: String,
    /// It and the files that it names, as they were.
    pub sources: Sources,
}

impl Config {
    /// Reads and checks the file at `path`, and fetches the secrets that it names.
    ///
    /// # Errors
    ///
    /// All problems of the file at once, or that it cannot be read.
    pub fn load(path: &Path, env: Env<'_>) -> Result<Self, Problems> {
        Loaded::of(path, env).config
    }

    /// Checks `text` as if it were in a file at `path`, which need not exist: relative paths
    /// start at its folder, and problems name it. What the system trusts is not looked at.
    ///
    /// # Errors
    ///
    /// All problems of the text at once.
    pub fn parse(text: &str, path: &Path, env: Env<'_>) -> Result<Self, Problems> {
        Self::read(text, path, env, || true, &mut Sources::default())
    }

    pub(super) fn read(
        text: &str,
        path: &Path,
        env: Env<'_>,
        has_roots: fn() -> bool,
        sources: &mut Sources,
    ) -> Result<Self, Problems> {
        let mut problems = Vec::new();
        let config = Document::parse(text, &mut problems).and_then(|document| {
            let outside = Outside { folder: path.parent().unwrap_or(path), env, has_roots };
            let known = json_schema::keys();
            let mut context = Context::new(&document, &known, outside, sources, &mut problems);
            let root = Node { key: String::new(), value: &document.root };
            let file = File::read(&root, &mut context)?;
            check::check(&file, &mut context).ok()
        });
        match config {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(Problems::new(path.to_owned(), problems)),
        }
    }
}

impl Loaded {
    /// Reads and checks the file at `path`, and fetches the secrets that it names.
    pub fn of(path: &Path, env: Env<'_>) -> Self {
        let mut sources = Sources::default();
        let read = match sources.read(path) {
            Ok(bytes) => str::from_utf8(&bytes)
                .map(str::to_owned)
                .map_err(|_| "not UTF-8".to_owned()),
            Err(error) => Err(error.to_string()),
        };
        match read {
            Ok(text) => {
                let mut loaded = Self::again(text, path, env);
                loaded.sources.extend(sources);
                loaded
            }
            Err(found) => {
                let problems = Problems::whole(path.to_owned(), format!("cannot be read: {found}"));
                Self { config: Err(problems), text: String::new(), sources }
            }
        }
    }

    /// Checks a text that was in the file at `path`, and fetches the secrets that it names, as they
    /// are now.
    pub fn again(text: String, path: &Path, env: Env<'_>) -> Self {
        let mut sources = Sources::default();
        let config = Config::read(&text, path, env, tls::has_system_roots, &mut sources);
        Self { config, text, sources }
    }
}
