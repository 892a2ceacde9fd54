//! The configuration file, from TOML to what the modules work with.
//!
//! Two types: `File` is the file as it is written, [`Config`] is what follows from it, and cannot
//! hold an invalid state. Between them every problem of the file is found at once, each with its
//! key and line, so that a file need not be mended one start at a time:
//!
//! 1. `document` parses TOML into a tree that knows lines.
//! 2. `value` and `table` make a `File` of it, and note whatever has the wrong name, type or range.
//! 3. `check` checks what takes more than one key, and fetches secrets.
//!
//! `file` declares every key once; schema, defaults and the rule of what needs a restart follow.
//! Only this module knows TOML; every other has a plain `Config` of its own, and nothing below
//! imports this one.

mod check;
mod choice;
mod context;
mod document;
mod effective;
mod file;
#[cfg(any(test, fuzzing))]
pub(crate) mod fuzzing;
mod key;
mod load;
mod nearest;
mod number;
mod parts;
mod problem;
mod schema;
mod secret;
mod table;
mod text;
mod units;
mod value;

pub use self::{
    context::Env,
    effective::{Changes, EffectiveConfig},
    load::Loaded,
    parts::{Config, ReloadableConfig, RestartOnlyConfig},
    problem::{Problem, Problems},
    schema::schema,
};

#[cfg(test)]
mod example;
#[cfg(test)]
mod tests;
