//! `[upstream]` and `[[account]]`: where Sync is, how it is called, and as whom.

use std::path::PathBuf;

use http::{HeaderName, header::AUTHORIZATION};

use crate::{
    config::{
        declaration::table,
        number::{Part, Whole},
        secret::Secret,
        text::CredentialHeader,
        units::{GIB, MIB, Size, Time, Timeout},
        value::List,
    },
    upstream::Origin,
};

table! {
    /// Where Sync is, and how it is called.
    pub(crate) struct Upstream {
        /// The origin of Sync: scheme, host and optionally a port; no path, no query. Required,
        /// because a gateway that guesses where to send credentials is dangerous.
        [Required] url: Option<Origin> = None,
        /// The CA certificates of the upstream, PEM. If absent, those that the system trusts.
        ca: Option<PathBuf> = None,
        /// Headers that carry a credential, besides Authorization and Cookie: requests that differ
        /// in one of them never share a cache entry. By default the usual name of an API key.
        credential_headers: List<CredentialHeader> =
            vec![CredentialHeader(HeaderName::from_static("x-api-key")).into()],
        /// How long it may take to connect, TLS included: three round trips and a lost packet.
        connect_timeout: Timeout = Time::seconds(3),
        /// One attempt, from the last byte sent to the head of the response. Sync takes seconds for
        /// a batch of 500.
        attempt_timeout: Timeout = Time::seconds(20),
        /// One client request, from its head to the head of its response. Three attempts.
        request_timeout: Timeout = Time::seconds(60),
        /// How long a body may make no progress on the way from or to the upstream.
        stream_idle_timeout: Timeout = Time::seconds(60),
        /// How long an idle connection is kept. Well below the 4 minutes after which Azure's load
        /// balancer forgets it.
        pool_idle_timeout: Timeout = Time::seconds(90),
        /// Calls to the upstream at once. Start low, since the upstream must never suffer. At most
        /// half of them are for calls whose body still comes from the client, and for WebSockets.
        /// 16 times as many may wait, each for one attempt_timeout; above: 503.
        max_in_flight: Whole<1, 100_000> = Whole(64),
        /// Whether fewer calls are made at once, but at least 4, while the upstream becomes slower
        /// the more there are. More calls at once do not make it faster then.
        adaptive: bool = true,
        /// The part of the calls at once that one client may hold while others wait.
        client_share: Part = Part(0.5),
        /// Bytes of one batch response: 500 vehicles with 128 KiB each.
        max_answer: Size<1, { 4 * GIB }> = Size(64 * MIB),
        retry: Retry = Retry::default(),
        breaker: Breaker = Breaker::default(),
    }
}

table! {
    /// When a failed call is made again: without a connection, without a response in time, or
    /// with a 429, 500, 502, 503 or 504, unless Retry-After asks for a wait.
    pub(crate) struct Retry {
        /// Attempts in all, for safe methods only. What two retries do not heal, more do not.
        max_attempts: Whole<1, 10> = Whole(3),
        /// Retries for each first attempt, and always 10 a second: an upstream in trouble gets a
        /// fifth more calls, not three times as many.
        budget: Part = Part(0.2),
    }
}

table! {
    /// When calls stop for a while. Meanwhile clients get cached results, or a 503.
    pub(crate) struct Breaker {
        /// The part of calls that fail (no connection, no response in time, a 5xx) at which calls
        /// stop. Below half, the upstream is still of use.
        failure_ratio: Part = Part(0.5),
        /// Calls in half a minute before the ratio means anything.
        min_requests: Whole<1, 100_000> = Whole(20),
        /// How long calls stop before one of them probes. As long as a restart takes.
        open_for: Timeout = Time::seconds(10),
    }
}

table! {
    /// An account at Sync, and the subjects of tokens that use it.
    pub(crate) struct Account {
        /// A label for people.
        [Required] name: Option<String> = None,
        /// The header that carries the credential. By default HTTP's own.
        header: CredentialHeader = CredentialHeader(AUTHORIZATION),
        /// The whole value of that header, such as "Bearer ...".
        [Required] value: Option<Secret> = None,
        /// Subjects of tokens that use this account. "*" stands for all that no account names.
        [Required] subjects: List<String> = List::new(),
    }
}
