//! What the documents name exists: files, and the tests that prove a claim.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::source::below;

/// Where files are that documents name by their path.
const FOLDERS: [&str; 6] = ["src/", "tests/", "deploy/", "config/", "fuzz/", "benches/"];

/// Binaries of tests, by which documents name their tests.
const RINGS: [&str; 5] = ["edges:", "gateway:", "load:", "secrecy:", "structure:"];

#[test]
fn what_documents_name_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let code: String = ["src", "tests", "fuzz/fuzz_targets"]
        .iter()
        .flat_map(|folder| below(&root.join(folder), "rs"))
        .map(|path| fs::read_to_string(path).expect("a source is readable text"))
        .collect();
    for (document, text) in documents() {
        let missing: Vec<_> = text
            .split('`')
            .skip(1)
            .step_by(2)
            .filter(|named| !exists(root, &code, named))
            .collect();
        assert!(missing.is_empty(), "{} names {missing:?}", document.display());
    }
}

#[test]
fn links_lead_to_files() {
    for (document, text) in documents() {
        let folder = document.parent().expect("a file has a folder");
        let targets = text.split("](").skip(1);
        let targets = targets.filter_map(|rest| rest.split([')', '#']).next());
        let missing: Vec<_> = targets
            .filter(|target| !target.contains("://") && !folder.join(target).exists())
            .collect();
        assert!(missing.is_empty(), "{} links to {missing:?}", document.display());
    }
}

/// Who puts two of these files together has one set of variables.
#[test]
fn secrets_have_the_names_that_the_example_has() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &Path| fs::read_to_string(path).expect("it is readable text");
    let example = read(&root.join("config/vingate.toml"));
    // A client's own token; and what the example has a file for, but containers have none.
    let others = ["VINGATE_TOKEN", "VINGATE_SHARED_SECRET"];
    let known: Vec<_> = secrets(&example).chain(others).collect();
    let mut files = vec![root.join("README.md"), root.join("deploy/Dockerfile")];
    for kind in ["md", "toml", "yaml", "service"] {
        files.extend(below(&root.join("deploy"), kind));
    }
    for file in files {
        let text = read(&file);
        let other: Vec<_> = secrets(&text)
            .filter(|name| !known.contains(name))
            .collect();
        assert!(other.is_empty(), "{} has {other:?}", file.display());
    }
}

/// The names of variables in `text` that have secrets.
fn secrets(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let is_secret = |name: &&str| {
        let kind = name.rsplit_once('_').map(|(_, kind)| kind);
        matches!(kind, Some("TOKEN" | "SECRET" | "PASSWORD"))
    };
    text.split(move |c| !is_part(c)).filter(is_secret)
}

/// The documents for people, with their text.
fn documents() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = below(&root.join("deploy"), "md");
    paths.push(root.join("README.md"));
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a document is readable text");
        (path, text)
    };
    paths.into_iter().map(read).collect()
}

/// Whether `named` exists, if it is the name of a file or a test.
fn exists(root: &Path, code: &str, named: &str) -> bool {
    let is_path = FOLDERS.iter().any(|folder| named.starts_with(folder));
    let is_test = RINGS.iter().any(|ring| named.starts_with(ring));
    if !(is_path || is_test) || named.contains([' ', '…', '*']) {
        return true;
    }
    let (place, test) = named.split_once(':').unwrap_or((named, ""));
    let name = test.rsplit(':').next().unwrap_or(test);
    let in_code = |kind| code.contains(&format!("{kind} {name}"));
    (is_test || root.join(place).exists()) && (name.is_empty() || in_code("fn") || in_code("mod"))
}
