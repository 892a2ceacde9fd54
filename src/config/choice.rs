//! One word of a few.

use jsonwebtoken::Algorithm;
use serde_json::{Value as Json, json};
use tracing::Level;

use super::value::{Form, Value};
use crate::telemetry::{Access, Format};

/// Makes a type the choice of one of these words.
macro_rules! choice {
    ($type:ident: $($word:literal = $variant:ident),* $(,)?) => {
        impl Value for $type {
            fn form() -> Form {
                let words = [$(concat!("\"", $word, "\"")),*].join(", ");
                let schema = json!({ "type": "string", "enum": [$($word),*] });
                Form::new(format!("one of {words}"), schema)
            }

            fn from_text(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$variant),)*
                    _ => Err(format!("{text:?}")),
                }
            }

            fn show(&self) -> Json {
                let words = [$(($word, Self::$variant)),*];
                let word = words.iter().find(|(_, value)| value == self);
                word.map(|(word, _)| *word).into()
            }
        }
    };
}

choice!(Format: "json" = Json, "text" = Text);
choice!(Access: "all" = All, "errors" = Errors, "off" = Off);
choice!(Level: "error" = ERROR, "warn" = WARN, "info" = INFO, "debug" = DEBUG, "trace" = TRACE);
choice!(
    Algorithm:
    "HS256" = HS256, "HS384" = HS384, "HS512" = HS512,
    "RS256" = RS256, "RS384" = RS384, "RS512" = RS512,
    "PS256" = PS256, "PS384" = PS384, "PS512" = PS512,
    "ES256" = ES256, "ES384" = ES384, "EdDSA" = EdDSA,
);

#[cfg(test)]
mod tests {
    use super::*;

    fn words<T: Value>() -> Vec<String> {
        let schema = T::form().schema;
        let words = schema["enum"].as_array().unwrap().iter();
        words
            .map(|word| word.as_str().unwrap().to_owned())
            .collect()
    }

    #[test]
    fn reads_the_words_and_no_other() {
        assert_eq!(words::<Access>(), ["all", "errors", "off"]);
        for word in words::<Access>() {
            assert_eq!(Access::from_text(&word).unwrap().show(), word);
        }
        for word in words::<Level>() {
            assert_eq!(Level::from_text(&word).unwrap().show(), word);
        }
        assert_eq!(Access::from_text("ALL").unwrap_err(), "\"ALL\"");
        assert_eq!(Access::form().expected, r#"one of "all", "errors", "off""#);
    }

    #[test]
    fn names_algorithms_as_tokens_do() {
        for word in words::<Algorithm>() {
            let algorithm = Algorithm::from_text(&word).unwrap();
            assert_eq!(serde_json::to_value(algorithm).unwrap(), word);
            assert_eq!(algorithm.show(), word);
        }
    }
}
