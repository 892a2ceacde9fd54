//! Where in the file a key stands: `account[1].value`.

use std::fmt;

/// The way from the top of the file to a key or an element.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyPath(pub(crate) Vec<Step>);

/// One step of the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Into a table.
    Name(String),
    /// Into an array.
    Index(usize),
}

// === impl KeyPath ===

impl KeyPath {
    /// Whether `other` is this key or stands below it.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        other.0.starts_with(&self.0)
    }
}

/// From the text of a key that the program knows, with bare names only.
impl From<&str> for KeyPath {
    fn from(text: &str) -> Self {
        let steps = text.split(['.', '[']).filter(|part| !part.is_empty());
        Self(
            steps
                .map(|part| match part.strip_suffix(']').map(str::parse) {
                    Some(Ok(index)) => Step::Index(index),
                    _ => Step::Name(part.to_owned()),
                })
                .collect(),
        )
    }
}

impl From<&serde_path_to_error::Path> for KeyPath {
    fn from(path: &serde_path_to_error::Path) -> Self {
        use serde_path_to_error::Segment;

        let step = |segment: &Segment| match segment {
            Segment::Map { key } => Some(Step::Name(key.clone())),
            Segment::Seq { index } => Some(Step::Index(*index)),
            // Nothing in the file is read as an enum of tables.
            Segment::Enum { .. } | Segment::Unknown => None,
        };
        Self(path.iter().filter_map(step).collect())
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bare = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Name(name) => {
                    f.write_str(if at == 0 { "" } else { "." })?;
                    if !name.is_empty() && name.chars().all(bare) {
                        f.write_str(name)?;
                    } else {
                        write!(f, "{name:?}")?;
                    }
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_what_it_read() {
        for text in ["cache", "cache.ttl.finished", "account[1].value", "auth.key[0]", "a[0][12]"] {
            assert_eq!(KeyPath::from(text).to_string(), text);
        }
    }

    #[test]
    fn quotes_names_that_are_not_bare() {
        let path = KeyPath(vec![Step::Name("a.b".into()), Step::Name(String::new())]);
        assert_eq!(path.to_string(), r#""a.b".""#.to_owned() + "\"");
    }

    #[test]
    fn covers_itself_and_what_is_below() {
        for (above, below, covers) in [
            ("auth", "auth", true),
            ("auth", "auth.key[0].id", true),
            ("auth.key[0]", "auth.key[0].id", true),
            ("auth.key[0]", "auth.key[1].id", false),
            ("auth.key", "auth", false),
            ("cache", "cached", false),
        ] {
            assert_eq!(KeyPath::from(above).covers(&below.into()), covers, "{above} {below}");
        }
    }
}
