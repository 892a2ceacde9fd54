//! The configuration file, from TOML to what the modules work with.

mod choice;
mod document;
mod file;
mod missing;
mod nearest;
mod number;
mod path;
mod problem;
mod read;
mod schema;
mod secret;
mod table;
mod text;
mod units;
