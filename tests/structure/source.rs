//! The files of `src/`.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A file of `src/`.
pub(crate) struct Source {
    /// From `src/` on, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl Source {
    /// The first segment of the module path, `lib` for the crate's root.
    pub(crate) fn room(&self) -> &str {
        let first = self.path.split('/').next().unwrap_or_default();
        first.strip_suffix(".rs").unwrap_or(first)
    }

    /// The file's name without `.rs`.
    pub(crate) fn name(&self) -> &str {
        let name = self.path.rsplit('/').next().unwrap_or_default();
        name.strip_suffix(".rs").unwrap_or(name)
    }

    /// The module path.
    pub(crate) fn module(&self) -> Vec<String> {
        let path = self.path.strip_suffix(".rs").unwrap_or(&self.path);
        let path = path.strip_suffix("/mod").unwrap_or(path);
        path.split('/').map(str::to_owned).collect()
    }

    /// Whether it is for tests only.
    pub(crate) fn is_test(&self) -> bool {
        let mut parts = self.path.split('/');
        parts.any(|part| {
            matches!(part, "tests" | "tests.rs" | "testing" | "testing.rs" | "fuzzing.rs")
        })
    }
}

/// Every file of `src/`.
pub(crate) fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a source is readable text");
        let below = path.strip_prefix(&root).expect("it was found there");
        Source { path: below.display().to_string(), text }
    };
    let mut sources: Vec<_> = below(&root, "rs").into_iter().map(read).collect();
    sources.sort_by(|a, b| a.path.cmp(&b.path));
    sources
}

/// Every file in `folder` and in those below it with this `extension`.
pub(crate) fn below(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for path in children(&folder) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|found| found == extension) {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty(), "found no .{extension} in {}", folder.display());
    found
}

/// The sources without those that are for tests only.
pub(crate) fn production() -> Vec<Source> {
    let mut sources = sources();
    sources.retain(|source| !source.is_test());
    sources
}

fn children(folder: &Path) -> impl Iterator<Item = PathBuf> {
    let entries = fs::read_dir(folder).expect("the folder is readable");
    entries.map(|entry| entry.expect("the folder is readable").path())
}

#[test]
fn knows_the_module_of_a_file() {
    for (path, room, module) in [
        ("lib.rs", "lib", "lib"),
        ("route.rs", "route", "route"),
        ("cache/mod.rs", "cache", "cache"),
        ("body/idle.rs", "body", "body::idle"),
        ("batch/asked/read.rs", "batch", "batch::asked::read"),
    ] {
        let source = Source { path: path.into(), text: String::new() };
        assert_eq!((source.room(), &*source.module().join("::")), (room, module), "{path}");
    }
}
