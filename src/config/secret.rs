//! Secrets: named in the file, kept elsewhere.

use std::{
    borrow::Cow,
    ffi::OsString,
    fmt,
    path::{Path, PathBuf},
};

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroizing;

use super::table;
use crate::files::Sources;

/// Looks up an environment variable: the program's own, or a test's.
pub type Env<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// Where a secret is kept. `Debug` does not show it: it may be the secret itself, by mistake.
#[derive(Clone, PartialEq, Eq)]
pub(crate) enum Secret {
    /// In the environment variable of this name.
    Env(String),
    /// In this file; relative paths start at the configuration file's folder.
    File(PathBuf),
}

/// A secret that is kept outside of this file: `{ env = "NAME" }` or `{ file = "PATH" }`.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("minProperties" = 1, "maxProperties" = 1))]
struct Written {
    /// The name of an environment variable.
    #[serde(default)]
    env: Option<String>,
    /// The path of a file. One line break at its end is not a part of the secret.
    #[serde(default)]
    file: Option<PathBuf>,
}

const EXPECTED: &str = "{ env = \"NAME\" } or { file = \"PATH\" }";

/// The bytes of a file of at most 1 MiB.
///
/// The error says what was found, for a [`Problem`](super::Problem).
pub(crate) fn contents(path: &Path, sources: &mut Sources) -> Result<Zeroizing<Vec<u8>>, String> {
    sources
        .read(path)
        .map_err(|error| error.at(path).to_string())
}

// === impl Secret ===

impl Secret {
    /// The secret itself; never empty.
    ///
    /// The error says what was found, for a [`Problem`](super::Problem), and never the secret.
    pub(crate) fn resolve(
        &self,
        folder: &Path,
        env: Env<'_>,
        sources: &mut Sources,
    ) -> Result<Zeroizing<Vec<u8>>, String> {
        let (mut bytes, place) = match self {
            Self::Env(name) => {
                // Who takes the secret itself for its name shall not find it in a log.
                let named = |c: char| c.is_ascii_alphanumeric() || c == '_';
                if name.is_empty() || !name.chars().all(named) {
                    return Err("a text that is no name of a variable".into());
                }
                let usual = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
                let shown = if name.chars().all(usual) { name } else { "of that name" };
                let value = env(name).ok_or_else(|| format!("no environment variable {shown}"))?;
                let bytes = Zeroizing::new(value.into_encoded_bytes());
                (bytes, format!("the environment variable {shown}"))
            }
            Self::File(path) => {
                let path = folder.join(path);
                (contents(&path, sources)?, path.display().to_string())
            }
        };
        if matches!(self, Self::File(_)) && bytes.last() == Some(&b'\n') {
            bytes.pop();
            bytes.pop_if(|last| *last == b'\r');
        }
        if bytes.is_empty() { Err(format!("nothing in {place}")) } else { Ok(bytes) }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

/// Whoever asks for the configuration in force learns only that there is a secret.
impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str("***")
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Written { env, file } = table::read(deserializer, EXPECTED)?;
        let found = match (env, file) {
            (Some(name), None) => return Ok(Self::Env(name)),
            (None, Some(path)) => return Ok(Self::File(path)),
            (Some(_), Some(_)) => "both env and file",
            (None, None) => "neither env nor file",
        };
        Err(de::Error::invalid_value(de::Unexpected::Other(found), &EXPECTED))
    }
}

impl JsonSchema for Secret {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Secret".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        Written::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn env(name: &str) -> Option<OsString> {
        match name {
            "SET" => Some("hunter2\n".into()),
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
    fn comes_from_the_environment_as_it_is() {
        let read = |name: &str| {
            Secret::Env(name.into()).resolve(Path::new(""), &env, &mut Sources::default())
        };
        assert_eq!(*read("SET").unwrap(), b"hunter2\n");
        assert_eq!(read("UNSET").unwrap_err(), "no environment variable UNSET");
        assert_eq!(read("EMPTY").unwrap_err(), "nothing in the environment variable EMPTY");
    }

    #[test]
    fn a_secret_in_the_place_of_a_name_is_not_shown() {
        for text in ["Bearer hunter2", "", "a=b", "hunter2!"] {
            let found = Secret::Env(text.into())
                .resolve(Path::new(""), &env, &mut Sources::default())
                .unwrap_err();
            assert_eq!(found, "a text that is no name of a variable");
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
            (b"hunter2\n\n", Some(b"hunter2\n")),
            (b"hunter2\r", Some(b"hunter2\r")),
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
            let read = Secret::deserialize(toml::de::ValueDeserializer::parse(text).unwrap());
            assert_eq!(read.ok(), want, "{text}");
        }
        let secret = Secret::Env("hunter2".into());
        assert_eq!(serde_json::to_value(&secret).unwrap(), "***");
        assert_eq!(format!("{secret:?}"), "Secret(***)");
    }
}
