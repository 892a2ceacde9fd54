//! Secrets: named in the file, kept elsewhere.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use serde_json::Value as Json;
use toml::de::DeValue;
use zeroize::Zeroizing;

use super::{
    context::{Checked, Context, Env},
    declaration::table,
    text::Variable,
    value::{Form, Node, Value},
};
use crate::files::Sources;

/// Where a secret is kept. `Debug` does not show it: it may be the secret itself, by mistake.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Secret {
    Env(String),
    /// In this file; relative paths start at the configuration file's folder.
    File(PathBuf),
}

table! {
    /// A secret that is kept outside of this file: `{ env = "NAME" }` or `{ file = "PATH" }`. One
    /// line break at its end is not part of it.
    pub(crate) struct Reference {
        /// The name of an environment variable.
        env: Option<Variable> = None,
        /// The path of a file.
        file: Option<PathBuf> = None,
    }
}

impl Secret {
    /// The secret itself; never empty.
    pub(crate) fn fetch(
        &self,
        key: &str,
        context: &mut Context<'_>,
    ) -> Checked<Zeroizing<Vec<u8>>> {
        let bytes = self
            .resolve(context.outside.folder, context.outside.env, context.sources)
            .map_err(|found| context.expected(key, found, "a secret"))?;
        context.hide(key, &bytes);
        Ok(bytes)
    }

    /// The same, of at least so many bytes.
    pub(crate) fn fetch_long(
        &self,
        key: &str,
        at_least: usize,
        context: &mut Context<'_>,
    ) -> Checked<Zeroizing<Vec<u8>>> {
        let secret = self.fetch(key, context)?;
        if secret.len() < at_least {
            let found = format!("a secret of {} bytes", secret.len());
            return Err(context.expected(key, found, format_args!("at least {at_least} bytes")));
        }
        Ok(secret)
    }

    fn resolve(
        &self,
        folder: &Path,
        env: Env<'_>,
        sources: &mut Sources,
    ) -> Result<Zeroizing<Vec<u8>>, String> {
        let (bytes, place) = match self {
            Self::Env(name) => {
                let is_usual = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
                let shown = if name.chars().all(is_usual) { name } else { "of that name" };
                let value = env(name).ok_or_else(|| format!("no environment variable {shown}"))?;
                let bytes = Zeroizing::new(value.into_encoded_bytes());
                (bytes, format!("environment variable {shown}"))
            }
            Self::File(path) => {
                let path = folder.join(path);
                let bytes = sources
                    .read(&path)
                    .map_err(|error| error.at(&path).to_string())?;
                (bytes, path.display().to_string())
            }
        };
        without_accidents(bytes).map_err(|found| format!("{found} {place}"))
    }
}

/// A secret as it was meant: without the line break that an editor or `echo` adds at its end. What
/// else looks like an accident is refused, because as part of a secret it would be hard to find.
fn without_accidents(mut bytes: Zeroizing<Vec<u8>>) -> Result<Zeroizing<Vec<u8>>, &'static str> {
    if bytes.pop_if(|last| *last == b'\n').is_some() {
        bytes.pop_if(|last| *last == b'\r');
    }
    const BYTE_ORDER_MARKS: [&[u8]; 3] = [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"];
    // Bytes that are no text may be any.
    let text = str::from_utf8(&bytes).unwrap_or_default();
    // A PEM file has many lines, and notes between its parts.
    let is_pem = text.contains("-----BEGIN");
    match () {
        () if bytes.is_empty() => Err("an empty"),
        () if BYTE_ORDER_MARKS.iter().any(|mark| bytes.starts_with(mark)) => {
            Err("a byte order mark in")
        }
        () if is_pem => Ok(bytes),
        () if text.starts_with(is_unseen) || text.ends_with(is_unseen) => {
            Err("white space or a character that cannot be seen at the start or end of")
        }
        () if text.contains(char::is_control) => {
            Err("a line break or another control character in")
        }
        () => Ok(bytes),
    }
}

/// White space, controls, and what editors and messengers put between or before words.
fn is_unseen(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}')
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl Value for Secret {
    fn form() -> Form {
        let mut schema = Reference::form().schema;
        schema["minProperties"] = 1.into();
        schema["maxProperties"] = 1.into();
        Form::new("{ env = \"NAME\" } or { file = \"PATH\" }", schema)
    }

    fn read(node: &Node<'_>, context: &mut Context<'_>) -> Option<Self> {
        if !matches!(node.value, DeValue::Table(_)) {
            return node.is_not(context);
        }
        let secret = match <Reference as Value>::read(node, context)? {
            Reference { env: Some(Variable(name)), file: None } => Ok(Self::Env(name)),
            Reference { env: None, file: Some(path) } => Ok(Self::File(path)),
            Reference { env: Some(_), file: Some(_) } => Err("both env and file".to_owned()),
            Reference { env: None, file: None } => Err("neither env nor file".to_owned()),
        };
        node.valid(secret, context)
    }

    fn show(&self) -> Json {
        "***".into()
    }
}

#[cfg(test)]
mod tests {
    use std::{ffi::OsString, fs};

    use super::*;
    use crate::config::value::read;

    fn env(name: &str) -> Option<OsString> {
        match name {
            "SET" => Some("hunter2".into()),
            "LINE" => Some("hunter2\r\n".into()),
            "PEM" => Some("-----BEGIN\nx\n\n".into()),
            "BOM" => Some("\u{feff}hunter2".into()),
            "BLANK" => Some(" hunter2".into()),
            "TAB" => Some("hunter2\t\n".into()),
            "ZERO_WIDTH" => Some("hunter2\u{200b}".into()),
            "NO_BREAK" => Some("\u{a0}hunter2".into()),
            "LINES" => Some("hunter2\n\n".into()),
            "FIRST" => Some("\nhunter2".into()),
            "TWO" => Some("hunter2\nhunter3\n".into()),
            "BREAK" => Some("\n".into()),
            "EMPTY" => Some("".into()),
            _ => None,
        }
    }

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("vingate-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn comes_from_the_environment_as_it_was_meant() {
        const UNSEEN: &str =
            "white space or a character that cannot be seen at the start or end of";
        let read = |name: &str| {
            Secret::Env(name.into()).resolve(Path::new(""), &env, &mut Sources::default())
        };
        assert_eq!(*read("SET").unwrap(), b"hunter2");
        assert_eq!(*read("LINE").unwrap(), b"hunter2");
        assert_eq!(*read("PEM").unwrap(), b"-----BEGIN\nx\n");
        for (name, found) in [
            ("BOM", "a byte order mark in"),
            ("BLANK", UNSEEN),
            ("TAB", UNSEEN),
            ("ZERO_WIDTH", UNSEEN),
            ("NO_BREAK", UNSEEN),
            ("LINES", UNSEEN),
            ("FIRST", UNSEEN),
            ("TWO", "a line break or another control character in"),
            ("BREAK", "an empty"),
        ] {
            let problem = read(name).unwrap_err();
            assert_eq!(problem, format!("{found} environment variable {name}"));
        }
        assert_eq!(read("UNSET").unwrap_err(), "no environment variable UNSET");
        assert_eq!(read("EMPTY").unwrap_err(), "an empty environment variable EMPTY");
    }

    #[test]
    fn a_secret_in_the_place_of_a_name_is_not_shown() {
        for text in ["Bearer hunter2", "", "a=b", "hunter2!"] {
            let found = read::<Secret>(&format!("{{ env = {text:?} }}")).unwrap_err();
            assert!(!found[0].contains("hunter2"), "{found:?}");
            assert!(found[0].contains("expected the name of an environment variable"), "{found:?}");
        }
    }

    #[test]
    fn a_secret_that_could_be_a_name_is_not_shown() {
        let found =
            Secret::Env("hunter2".into()).resolve(Path::new(""), &env, &mut Sources::default());
        assert_eq!(found.unwrap_err(), "no environment variable of that name");
    }

    #[test]
    fn comes_from_a_file_without_its_last_line_break() {
        let folder = folder("secret");
        for (written, read) in [
            (&b"hunter2"[..], Some(&b"hunter2"[..])),
            (b"hunter2\n", Some(b"hunter2")),
            (b"hunter2\r\n", Some(b"hunter2")),
            (b"hunter2\n\n", None),
            (b"hunter2\r", None),
            (b"hunter\x002", None),
            // A shell that writes UTF-16.
            (b"\xff\xfeh\0u\0\n\0", None),
            (b"\xfe\xff\0h\0u", None),
            (b"\xff\x00", Some(b"\xff\x00")),
            (b"\n", None),
            (b"", None),
        ] {
            fs::write(folder.join("key"), written).unwrap();
            let found = Secret::File("key".into()).resolve(&folder, &env, &mut Sources::default());
            assert_eq!(found.ok().as_deref().map(Vec::as_slice), read, "{written:?}");
        }
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_file_that_cannot_be_read_is_named() {
        let found = Secret::File("absent".into()).resolve(
            Path::new("/no/where"),
            &env,
            &mut Sources::default(),
        );
        let found = found.unwrap_err();
        assert!(found.starts_with("/no/where/absent: "), "{found}");
        assert!(
            Secret::File("/".into())
                .resolve(Path::new(""), &env, &mut Sources::default())
                .is_err()
        );
    }

    #[test]
    #[cfg(unix)]
    fn a_file_without_end_is_refused() {
        let found =
            Secret::File("/dev/zero".into()).resolve(Path::new(""), &env, &mut Sources::default());
        assert_eq!(found.unwrap_err(), "more than 1 MiB in /dev/zero");
    }

    #[test]
    fn is_written_as_a_reference_and_shown_as_stars() {
        for (text, want) in [
            (r#"{ env = "A" }"#, Some(Secret::Env("A".into()))),
            (r#"{ file = "a/b" }"#, Some(Secret::File("a/b".into()))),
            (r#"{ env = "A", file = "b" }"#, None),
            ("{}", None),
            (r#"{ value = "hunter2" }"#, None),
            (r#""hunter2""#, None),
            (r#"["A"]"#, None),
        ] {
            assert_eq!(read::<Secret>(text).ok(), want, "{text}");
        }
        let secret = Secret::Env("hunter2".into());
        assert_eq!(secret.show(), "***");
        assert_eq!(format!("{secret:?}"), "Secret(***)");
    }
}
