//! The configuration file, from TOML to what the modules work with.
//!
//! Two types: `File` is the file as it is written, [`Config`] is what follows from it, and cannot
//! hold an invalid state. Between them every problem of the file is found at once, each with its
//! key and line, so that a file need not be mended one start at a time:
//!
//! 1. `toml_document` parses TOML into a tree that knows lines.
//! 2. `value` and `declaration` make a `File` of it, and note whatever has the wrong name, type or
//!    range.
//! 3. `check` checks what takes more than one key, and fetches secrets.
//!
//! `file` declares every key once; schema, defaults and the rule of what needs a restart follow.
//! Only this module knows TOML; every other has a plain `Config` of its own, and nothing below
//! imports this one.

mod check;
mod choice;
mod context;
mod declaration;
mod describe;
mod effective;
mod example_file;
mod file;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod json_schema;
mod key_path;
mod load;
mod nearest;
mod number;
mod parts;
mod problems;
mod secret;
mod text;
mod toml_document;
mod units;
mod value;

pub use self::{
    context::Env,
    describe::describe,
    effective::{Changes, EffectiveConfig},
    json_schema::schema,
    load::Loaded,
    parts::{Config, ReloadableConfig, RestartOnlyConfig},
    problems::{Problem, Problems},
};

#[cfg(test)]
mod example;
#[cfg(test)]
mod tests;
