//! Oracles: what must hold for any bytes from outside.
//!
//! One function a subject. Each takes any bytes, reads them as the gateway would, and panics if
//! the result breaks a promise: not only that nothing panics by itself, but that what was
//! accepted is what it is taken for, by a second, slower reading of the same bytes. They are in
//! the modules whose promises they check.
//!
//! `fuzz/` feeds them with what a fuzzer finds, the tests below with what it has found.
//! They are compiled for these two only: `cargo fuzz` sets `cfg(fuzzing)`.

pub use crate::{
    auth::{fuzzing::token, jwks::fuzzing::jwks},
    batch::fuzzing::{batch, response},
    config::fuzzing::config,
    gateway::fuzzing::head,
    normalize::fuzzing::upsert,
    vehicle::fuzzing::vehicle,
};

/// A function that panics if some bytes make the gateway break a promise.
pub type Target = fn(&[u8]);

/// Every target by its name, which is that of its folder in `fuzz/corpus`.
pub const TARGETS: [(&str, Target); 8] = [
    ("batch", batch),
    ("config", config),
    ("head", head),
    ("jwks", jwks),
    ("response", response),
    ("token", token),
    ("upsert", upsert),
    ("vehicle", vehicle),
];

/// Replays `fuzz/corpus`: a folder a target, a file a finding or a seed.
#[cfg(test)]
mod tests {
    use std::{
        fs,
        panic::catch_unwind,
        path::{Path, PathBuf},
    };

    use super::TARGETS;

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
}
