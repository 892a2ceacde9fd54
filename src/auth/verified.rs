//! The memory of verified tokens.
