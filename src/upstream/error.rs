//! What went wrong with a call to Sync, and the questions others ask of it.

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No connection could be made.
    #[error("no connection to the upstream")]
    Connect(#[source] hyper_util::client::legacy::Error),
    /// No head of an answer within the time of an attempt.
    #[error("no answer from the upstream in time")]
    Timeout,
    /// The connection broke, or what came is not HTTP.
    #[error("the call to the upstream failed")]
    Exchange(#[source] hyper_util::client::legacy::Error),
}
