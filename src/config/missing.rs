//! Keys of functions that this version does not have.
//!
//! They have their place in the file, but a file that sets one is refused, because a limit that
//! is silently not kept is worse than one that is not there. Each goes from this list with the
//! function that it is for.

use super::{document::Document, path::KeyPath, problem::Problem};

/// The keys, or the tables, that are refused.
pub(crate) const KEYS: [&str; 1] = ["upstream.breaker"];

/// Takes these keys out of `document` and adds each that stands there to `problems`.
pub(crate) fn refuse(document: &mut Document<'_>, problems: &mut Vec<Problem>) {
    for key in KEYS {
        let path = KeyPath::from(key);
        if document.node(&path).is_some() {
            let (_, line) = document.locate(&path);
            let text = "not available in this version, leave it out".to_owned();
            problems.push(Problem { key: key.to_owned(), line, column: None, text });
            document.take_out(&path);
        }
    }
}
