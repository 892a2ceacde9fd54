//! No files of a room import one another in a circle.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    paths::{Path, paths},
    source::{Source, production, sources},
};

/// Which file a path leads to.
struct Files {
    /// The files by their modules.
    modules: BTreeMap<Vec<String>, String>,
    /// What modules pass on or import, by the path under which it is found there.
    aliases: BTreeMap<Vec<String>, Vec<String>>,
}

#[test]
fn no_files_of_a_room_import_each_other_in_a_circle() {
    let files = in_circles(&production());
    assert!(files.is_empty(), "in a circle of imports: {files:#?}");
}

#[test]
fn finds_circles_and_no_more() {
    let source = |path: &str, text: &str| Source { path: path.into(), text: text.into() };
    let sources = [
        source("own/mod.rs", "mod a; mod b; mod c; mod d; pub use self::a::A; use self::d::D;"),
        source("own/a.rs", "use super::b::B; use crate::own::c::C;"),
        source("own/b.rs", "use super::A;"),
        source("own/c.rs", "use super::D; #[cfg(test)] mod tests { use super::super::b::B; }"),
        source("own/d.rs", ""),
    ];
    assert_eq!(in_circles(&sources), ["own/a.rs", "own/b.rs"]);
}

/// The files from which imports lead back to them.
fn in_circles(sources: &[Source]) -> Vec<String> {
    let (files, paths) = Files::of(sources);
    let imports: BTreeMap<&str, BTreeSet<&str>> = paths
        .iter()
        .map(|(source, paths)| (&*source.path, files.imports(source, paths)))
        .collect();
    let leads_back = |path: &&str| {
        let (mut seen, mut next) = (BTreeSet::new(), vec![*path]);
        while let Some(file) = next.pop() {
            next.extend(imports[file].iter().filter(|import| seen.insert(**import)));
        }
        seen.contains(path)
    };
    let paths = imports.keys().copied();
    paths.filter(leads_back).map(str::to_owned).collect()
}

impl Files {
    /// The files of `sources`, and the paths in each.
    fn of(sources: &[Source]) -> (Self, Vec<(&Source, Vec<Path>)>) {
        let modules = sources
            .iter()
            .map(|source| (source.module(), source.path.clone()));
        let mut files = Self { modules: modules.collect(), aliases: BTreeMap::new() };
        // The root only declares modules, it uses none.
        let sources = sources.iter().filter(|source| source.room() != "lib");
        let paths: Vec<_> = sources
            .map(|source| (source, files.paths(source)))
            .collect();
        for (source, paths) in &paths {
            for path in paths {
                let Some(name) = path.segments.last() else { continue };
                let mut alias = source.module();
                alias.push(name.clone());
                if alias != path.segments {
                    files.aliases.insert(alias, path.segments.clone());
                }
            }
        }
        (files, paths)
    }

    fn paths(&self, source: &Source) -> Vec<Path> {
        let module = source.module();
        let children: Vec<_> = self
            .modules
            .keys()
            .filter(|below| below.len() == module.len() + 1 && below.starts_with(&module))
            .filter_map(|below| below.last().cloned())
            .collect();
        paths(&source.text, &module, &children)
    }

    /// The other files of its room that a source imports. What it only passes on is no import.
    fn imports(&self, source: &Source, paths: &[Path]) -> BTreeSet<&str> {
        paths
            .iter()
            .filter(|path| !path.is_reexport && path.segments[0] == source.room())
            .filter_map(|path| self.file(&path.segments, 8))
            .filter(|file| *file != source.path)
            .collect()
    }

    /// The file in which a path ends, at most `hops` aliases away.
    fn file(&self, path: &[String], hops: usize) -> Option<&str> {
        for length in (1..=path.len()).rev() {
            let start = &path[..length];
            if let Some(file) = self.modules.get(start) {
                return Some(file);
            }
            if let Some(origin) = self.aliases.get(start)
                && hops > 0
            {
                let origin: Vec<_> = origin.iter().chain(&path[length..]).cloned().collect();
                return self.file(&origin, hops - 1);
            }
        }
        None
    }
}

#[test]
fn every_source_is_read() {
    assert!(sources().len() > production().len(), "no source is a test");
}
