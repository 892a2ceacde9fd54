//! No name stands for files of two rooms.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::production;

/// Names that say the same in every room.
const CONVENTIONAL: [&str; 4] = ["mod", "config", "error", "metrics"];

#[test]
fn no_file_name_is_in_two_rooms() {
    let sources = production();
    let mut rooms: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for source in &sources {
        rooms
            .entry(source.name())
            .or_default()
            .insert(source.room());
    }
    let shared = rooms
        .iter()
        .filter(|(name, rooms)| rooms.len() > 1 && !CONVENTIONAL.contains(*name))
        .map(|(name, _)| (*name).to_owned());
    let shared: Vec<_> = shared.collect();
    assert!(shared.is_empty(), "names of files in two rooms: {shared:#?}");
}
