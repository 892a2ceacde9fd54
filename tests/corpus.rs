//! What fuzzing found worth keeping, replayed: `fuzz/corpus` has a folder a target, and a file a
//! finding or a start for it. See `vingate::fuzzing`.

use std::{
    fs,
    panic::catch_unwind,
    path::{Path, PathBuf},
};

use vingate::fuzzing::TARGETS;

#[test]
fn every_promise_holds_for_every_file() {
    let mut broken = Vec::new();
    for (name, target) in TARGETS {
        let files = children(&corpus().join(name));
        assert!(files.len() > 20, "the corpus of {name} is gone");
        for file in files {
            let bytes = fs::read(&file).expect("a file of the corpus is readable");
            // The panic itself says which promise it was.
            if catch_unwind(|| target(&bytes)).is_err() {
                broken.push(file.display().to_string());
            }
        }
    }
    assert!(broken.is_empty(), "a promise is broken by\n{}", broken.join("\n"));
}

#[test]
fn every_folder_has_its_target_and_no_file_is_large() {
    for folder in children(&corpus()) {
        let name = folder.file_name().map(|name| name.to_string_lossy());
        let is_known = TARGETS
            .iter()
            .any(|(target, _)| name.as_deref() == Some(target));
        assert!(is_known, "no target for {}", folder.display());
        for file in children(&folder) {
            let length = fs::metadata(&file).map_or(0, |file| file.len());
            assert!(length < 16 * 1024, "{} has {length} bytes", file.display());
        }
    }
}

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

fn children(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .unwrap_or_else(|error| panic!("{} is not readable: {error}", folder.display()));
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("a folder of the corpus is readable").path())
        .collect();
    paths.sort();
    paths
}
