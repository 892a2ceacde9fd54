//! The subcommands, one a file.

pub mod check;
pub mod sandbox;
pub mod schema;
