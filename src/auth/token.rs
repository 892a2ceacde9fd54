//! Tokens: taken apart and verified.
