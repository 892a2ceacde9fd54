//! HTTP/2 by prior knowledge, frame by frame.

mod floods;
mod messages;
mod streams;

use crate::{
    frames::{GOAWAY, HEADERS, PROTOCOL_ERROR, Peer, RST_STREAM, get},
    support::Gateway,
    upstream::Upstream,
};

const OPEN: &str = "# no accounts\n[auth]\nenabled = false\n";

/// What frames come to. Whatever it is, the stream that is asked in is the first.
#[derive(Clone, Debug)]
enum Want {
    /// The connection ends with this error, or with `PROTOCOL_ERROR`, which is what our library
    /// says of most.
    Goaway(u32),
    /// The stream ends with this error and the connection is fine, or the connection ends
    /// (RFC 9113 section 5.4.1 allows it for any stream error).
    Reset(u32),
    /// The same, but what had come before was whole by its own words, and may have gone upstream as this.
    Late(u32, &'static str),
    /// The stream is answered so without the upstream, and the connection is fine.
    Refused(u16),
    /// The upstream sees this, and the connection is fine.
    Is(&'static str),
    /// The frames mean nothing, and the connection is fine.
    Nothing,
}

use Want::{Goaway, Is, Late, Nothing, Refused, Reset};

/// The stream that tells whether a connection is fine.
const PROBE: u32 = 101;
const PROBED: &str = "GET /probe";

async fn gateway(toml: &str) -> (Gateway, Upstream) {
    let upstream = Upstream::start().await;
    let gateway = Gateway::start(&format!("{toml}{}", upstream.toml())).await;
    (gateway, upstream)
}

/// Holds every case against both sides, and tells all that failed at once.
async fn hold(cases: Vec<(&str, Vec<u8>, Want)>) {
    let (gateway, upstream) = gateway(OPEN).await;
    let mut failures = Vec::new();
    let number = cases.len();
    for (name, frames, want) in cases {
        let mut peer = Peer::connect(gateway.address).await;
        peer.send(&[frames, get(PROBE, "/probe")].concat()).await;
        let (mut goaway, mut first, mut probed) = (None, None, false);
        while !(probed && (first.is_some() || matches!(want, Nothing))) {
            let Some(frame) = peer.next().await else { break };
            match (frame.kind, frame.stream) {
                (GOAWAY, _) => goaway = frame.error(),
                (HEADERS, PROBE) => probed = frame.status() == Some(200),
                (HEADERS | RST_STREAM, 1) => first = first.or(Some(frame)),
                _ => {}
            }
        }
        let mut seen: Vec<_> = upstream
            .take_seen()
            .iter()
            .map(ToString::to_string)
            .collect();
        let at = seen.iter().position(|line| line == PROBED);
        let probe_seen = at.map(|at| seen.remove(at)).is_some();
        let error = first.as_ref().and_then(|frame| frame.error());
        let status = first.as_ref().and_then(|frame| frame.status());
        let is_over = |code| {
            goaway.is_some_and(|found| found == code || found == PROTOCOL_ERROR)
                && !probed
                && !probe_seen
                && seen.is_empty()
        };
        let holds = match want {
            Goaway(code) => is_over(code),
            Reset(code) => error == Some(code) && probed && seen.is_empty() || is_over(code),
            Late(code, line) => {
                error == Some(code) && probed && seen.iter().all(|seen| seen == line)
            }
            Refused(code) => status == Some(code) && probed && seen.is_empty(),
            Is(line) => status == Some(200) && probed && seen == [line],
            Nothing => first.is_none() && probed && seen.is_empty(),
        };
        if !holds {
            failures.push(format!(
                "{name}: {want:?}\n  goaway {goaway:?}, reset {error:?}, status {status:?}, \
                 probed {probed}, upstream {seen:?}"
            ));
        }
    }
    assert!(failures.is_empty(), "{} of {number}:\n{}", failures.len(), failures.join("\n"));
}
