use std::time::Duration;

use http::HeaderName;

use super::HarmlessWrite;

/// What the forwarding needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Headers that carry a credential, besides `Authorization` and `Cookie`, those of accounts
    /// included: `Connection` cannot nominate them away, and they are no trailers.
    pub credential_headers: Vec<HeaderName>,
    /// Bytes of a `GET` or `HEAD` body of unknown length, and of a write that is searched for
    /// vehicles.
    pub max_body: usize,
    /// How long a request body may be without a byte from the client.
    pub body_idle_timeout: Duration,
    /// How long a body may be without a byte, either way, once the head of the response came.
    pub stream_idle_timeout: Duration,
    /// How long nothing is stored of the vehicles of a write whose outcome is unknown.
    pub attempt_timeout: Duration,
    /// Writes that change no vehicle, and so drop nothing.
    pub harmless_writes: Vec<HarmlessWrite>,
}
