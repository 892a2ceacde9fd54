//! Logs and metrics.

/// What the `[log]` table says.
#[derive(Clone, Debug)]
pub struct Config {
    /// How lines look.
    pub format: Format,
    /// The least severe level that is written.
    pub level: tracing::Level,
    /// Which requests get a line.
    pub access: Access,
}

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line.
    Json,
    /// For people.
    Text,
}

/// Which requests get a line of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Every request.
    All,
    /// Answers of 500 and above, and what the gateway refused.
    Errors,
    /// None.
    Off,
}
