//! Requests in HTTP/1.1 that are malformed, ambiguous or only odd, as raw bytes.
//!
//! Every case is followed, in the same write, by a second request: whatever the first one was
//! taken for, one look at the answers and at what went upstream tells where it ended.

mod fields;
mod framing;
mod methods;
mod sequences;
mod targets;

use crate::{
    caller::{exchange, statuses},
    support::Gateway,
    upstream::Upstream,
};

/// What a request comes to.
#[derive(Clone, Copy, Debug)]
enum Want {
    /// Answered with this status and the connection closed; nothing goes upstream.
    Refused(u16),
    /// Answered with this status here, and the connection is kept; nothing goes upstream.
    Here(u16),
    /// Goes upstream as this (see [`Seen`](crate::upstream::Seen)), and the connection is kept.
    Is(&'static str),
    /// Goes upstream as this, and the connection is closed after its answer.
    Last(&'static str),
    /// Goes upstream as this; what follows is refused with 400 and the connection closed.
    RefusedBehind(&'static str),
}

use Want::{Here, Is, Last, Refused, RefusedBehind};

/// The second request, and what the upstream sees of it.
const PROBE: &[u8] = b"GET /probe HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const PROBED: &str = "GET /probe";

/// No tokens, no accounts: what is read is all there is to see.
const OPEN: &str = "# no accounts\n[auth]\nenabled = false\n";

async fn gateway(toml: &str) -> (Gateway, Upstream) {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&format!("{toml}{}", upstream.toml())).await;
    (gateway, upstream)
}

/// Holds every case of a table against both sides, and tells all that failed at once.
async fn hold(cases: &[(&str, &[u8], Want)]) {
    let (gateway, upstream) = gateway(OPEN).await;
    let mut failures = Vec::new();
    for &(name, request, want) in cases {
        let responses = exchange(gateway.address, [request, PROBE].concat()).await;
        let mut got = statuses(&responses);
        // It may stand before any final answer to whoever asked for it.
        got.retain(|&status| status != 100);
        let seen: Vec<_> = upstream
            .take_seen()
            .iter()
            .map(ToString::to_string)
            .collect();
        let (statuses, requests) = match want {
            Refused(status) => (vec![status], vec![]),
            Here(status) => (vec![status, 200], vec![PROBED]),
            Is(request) => (vec![200, 200], vec![request, PROBED]),
            Last(request) => (vec![200], vec![request]),
            RefusedBehind(request) => (vec![200, 400], vec![request]),
        };
        if got != statuses || seen != requests {
            failures
                .push(format!("{name}: {want:?}\n  caller: {responses:?}\n  upstream: {seen:?}"));
        }
    }
    assert!(failures.is_empty(), "{} of {}:\n{}", failures.len(), cases.len(), failures.join("\n"));
}
