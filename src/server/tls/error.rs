//! What is wrong with a file.

/// Why one of the files cannot be used. It quotes nothing of the file: it may be the wrong one, with
/// a key.
#[derive(Debug, thiserror::Error)]
#[error("server.tls.{key}: found {found}")]
pub struct Error {
    /// The key in the `[server.tls]` table that names the file.
    pub key: &'static str,
    /// What was found there, in words.
    pub found: String,
}
