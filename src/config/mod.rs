//! The configuration file, from TOML to what the modules work with.

mod choice;
mod document;
mod number;
mod path;
mod problem;
mod secret;
mod table;
mod text;
mod units;
