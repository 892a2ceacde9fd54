//! From the document to [`File`], past everything that is wrong on the way.
//!
//! serde stops at the first problem. So each problem is noted, its node is taken out of the
//! document, and the rest is read again, until nothing stops it: the derived types stay the only
//! description of the file. It is quadratic in the number of problems, which is why that is
//! bounded.

use serde_path_to_error::deserialize;
use toml::de::DeValue;

use super::{document::Document, file::File, nearest, path::KeyPath, problem::Problem};

/// Nobody reads on beyond these.
const MAX_PROBLEMS: usize = 1_000;

/// Reads what can be read of `document`, takes out what cannot, and adds that to `problems`.
///
/// Gives the file, with defaults in place of what is gone, and the keys that were wrong; `None`
/// after too many problems.
pub(crate) fn read(
    document: &mut Document<'_>,
    problems: &mut Vec<Problem>,
) -> Option<(File, Vec<KeyPath>)> {
    let mut wrong: Vec<KeyPath> = problems
        .iter()
        .filter(|problem| !problem.key.is_empty())
        .map(|problem| problem.key.as_str().into())
        .collect();
    while problems.len() < MAX_PROBLEMS {
        let error = match deserialize(document.deserializer()) {
            Ok(file) => return Some((file, wrong)),
            Err(error) => error,
        };
        let path = KeyPath::from(error.path());
        let (key, line) = document.locate(&path);
        // Of a table that lacks what was just taken out of it, enough was said.
        if !wrong.iter().any(|below| key.covers(below)) {
            let text = describe(error.inner().message(), &key, document.node(&path));
            problems.push(Problem { key: key.to_string(), line, column: None, text });
            wrong.push(key);
        }
        if !document.take_out(&path) {
            return None;
        }
    }
    None
}

/// A sentence of ours from one of serde's.
///
/// A value of another type than expected is named by its type alone: who writes a secret in the
/// place of a table shall not find it in a log. A value of the right type comes in the words of
/// that type.
fn describe(message: &str, key: &KeyPath, found: Option<&DeValue<'_>>) -> String {
    if message.starts_with("unknown field") {
        return match nearest::to(key) {
            Some(known) => format!("unknown key, did you mean \"{known}\"?"),
            None => "unknown key".to_owned(),
        };
    }
    let expected = message
        .rsplit_once(", expected ")
        .map_or("something else", |(_, what)| what);
    let expected = if expected == "a sequence" { "an array" } else { expected };
    let found = match message.strip_prefix("invalid value: ") {
        Some(rest) => rest
            .rsplit_once(", expected ")
            .map_or(rest, |(found, _)| found),
        None => found.map_or("nothing", kind),
    };
    format!("found {found}, expected {expected}")
}

fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}
