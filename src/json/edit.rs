//! Changing a few values of a JSON text where they stand.
//!
//! A body that was taken apart and put together again is another body, so what is not changed
//! keeps its bytes. Values are given as the slices of the text that they are.

use std::fmt;

use bytes::Bytes;
use serde::{
    Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use super::Name;

/// Changes to the values of a text.
pub(crate) struct Edits<'a> {
    text: &'a str,
    /// A slice of the text, and what stands in its place.
    replaced: Vec<(&'a str, String)>,
}

impl<'a> Edits<'a> {
    /// No changes to `text` yet.
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, replaced: Vec::new() }
    }

    /// Puts `by` in the place of `value`, which is a slice of the text.
    pub(crate) fn replace(&mut self, value: &'a str, by: String) {
        if value != by {
            self.replaced.push((value, by));
        }
    }

    /// The changed text, `None` if nothing changed.
    pub(crate) fn finish(mut self) -> Option<Bytes> {
        if self.replaced.is_empty() {
            return None;
        }
        self.replaced
            .sort_unstable_by_key(|(value, _)| offset(self.text, value));
        let mut changed = String::with_capacity(self.text.len());
        let mut copied = 0;
        for (value, by) in &self.replaced {
            let at = offset(self.text, value);
            changed.push_str(&self.text[copied..at]);
            changed.push_str(by);
            copied = at + value.len();
        }
        changed.push_str(&self.text[copied..]);
        Some(changed.into())
    }
}

/// Where in `text` its slice `value` begins.
fn offset(text: &str, value: &str) -> usize {
    value.as_ptr().addr() - text.as_ptr().addr()
}

/// A member of an object, as often as it stands there.
#[derive(Clone, Copy)]
pub(crate) enum Member<'a> {
    /// It does not.
    Absent,
    /// Its value, quotes and escapes included.
    Once(&'a str),
    /// More than once.
    Twice,
}

/// The values of `N` members of an object that is otherwise only checked to be JSON.
pub(crate) struct Members<'a, const N: usize>(pub(crate) [Member<'a>; N]);

impl<'a, const N: usize> Members<'a, N> {
    /// The members with these names of the object that `json` is, a byte order mark before it
    /// or not.
    pub(crate) fn parse(json: &'a str, names: [&'static str; N]) -> serde_json::Result<Self> {
        let json = json.strip_prefix('\u{feff}').unwrap_or(json);
        let mut json = serde_json::Deserializer::from_str(json);
        let members = json.deserialize_map(MembersVisitor(names))?;
        json.end()?;
        Ok(members)
    }
}

struct MembersVisitor<const N: usize>([&'static str; N]);

impl<'de, const N: usize> Visitor<'de> for MembersVisitor<N> {
    type Value = Members<'de, N>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = [Member::Absent; N];
        while let Some(Name(name)) = map.next_key()? {
            match self.0.iter().position(|&wanted| *wanted == name) {
                Some(at) => {
                    let value = map.next_value::<&RawValue>()?.get();
                    members[at] = match members[at] {
                        Member::Absent => Member::Once(value),
                        Member::Once(_) | Member::Twice => Member::Twice,
                    };
                }
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(Members(members))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_values_where_they_stand_and_nothing_else() {
        let text = "\u{feff} {\"b\" : 1.0,\"x\":[\"a\"], \"\\u0061\":\"\\n\" }";
        let Members([Member::Once(a), Member::Once(b), Member::Absent]) =
            Members::parse(text, ["a", "b", "c"]).unwrap()
        else {
            panic!("found other members")
        };
        assert_eq!((a, b), ("\"\\n\"", "1.0"));
        let mut edits = Edits::new(text);
        edits.replace(a, "22".into());
        edits.replace(b, "\"1\"".into());
        let changed = "\u{feff} {\"b\" : \"1\",\"x\":[\"a\"], \"\\u0061\":22 }";
        assert_eq!(edits.finish().unwrap(), changed);

        let mut edits = Edits::new(text);
        edits.replace(b, "1.0".into());
        assert_eq!(edits.finish(), None);
    }

    #[test]
    fn tells_a_member_that_stands_twice() {
        let Members([a]) = Members::parse(r#"{"a":1,"\u0061":2,"a":3}"#, ["a"]).unwrap();
        assert!(matches!(a, Member::Twice));
        for json in ["[]", "{\"a\":1", "{} {}", "\u{feff}\u{feff}{}"] {
            assert!(Members::parse(json, ["a"]).is_err(), "{json}");
        }
    }
}
