//! The vingate program.

fn main() {}
