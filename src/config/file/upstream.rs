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
    pub(crate) struct Upstream {
        [Required] url: Option<Origin> = None,
        ca: Option<PathBuf> = None,
        credential_headers: List<CredentialHeader> =
            vec![CredentialHeader(HeaderName::from_static("x-api-key")).into()],
        connect_timeout: Timeout = Time::seconds(3),
        attempt_timeout: Timeout = Time::seconds(20),
        request_timeout: Timeout = Time::seconds(60),
        stream_idle_timeout: Timeout = Time::seconds(60),
        pool_idle_timeout: Timeout = Time::seconds(90),
        max_in_flight: Whole<1, 100_000> = Whole(64),
        adaptive: bool = true,
        client_share: Part = Part(0.5),
        max_answer: Size<1, { 4 * GIB }> = Size(64 * MIB),
        retry: Retry = Retry::default(),
        breaker: Breaker = Breaker::default(),
    }
}

table! {
    pub(crate) struct Retry {
        max_attempts: Whole<1, 10> = Whole(3),
        budget: Part = Part(0.2),
    }
}

table! {
    pub(crate) struct Breaker {
        failure_ratio: Part = Part(0.5),
        min_requests: Whole<1, 100_000> = Whole(20),
        open_for: Timeout = Time::seconds(10),
    }
}

table! {
    /// An account at Sync, and the subjects of tokens that use it.
    pub(crate) struct Account {
        [Required] name: Option<String> = None,
        header: CredentialHeader = CredentialHeader(AUTHORIZATION),
        [Required] value: Option<Secret> = None,
        [Required] subjects: List<String> = List::new(),
    }
}
