//! The configuration file, from TOML to what the modules work with.

mod choice;
mod number;
mod table;
mod text;
mod units;
mod secret;
