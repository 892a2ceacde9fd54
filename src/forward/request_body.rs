//! A client's body on its way to the upstream.
//!
//! The HTTP client that sends it does not say why a body failed, so it is recorded here for
//! whoever makes the response: an incomplete body is the client's fault, whatever the upstream made
//! of it.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use parking_lot::Mutex;

use super::trailers::Trailers;
use crate::body::{Body, Failure, Idle};

/// A body that is watched while it is sent.
#[derive(Debug)]
pub(super) struct RequestBody {
    body: Body,
    idle: Idle,
    trailers: Trailers,
    monitor: Arc<BodyMonitor>,
}

/// What is known of a body that somebody else is sending.
#[derive(Debug)]
pub(super) struct BodyMonitor(Mutex<State>);

#[derive(Debug)]
struct State {
    failure: Option<Failure>,
    capture: Capture,
}

/// The JSON text that a body holds, as far as it was sent.
#[derive(Debug, Default)]
pub(super) enum Capture {
    /// There is no body, or it need not be looked at.
    #[default]
    Nothing,
    /// It is no JSON text, and may name anything.
    Unreadable,
    /// Its beginning; more is to come.
    Part {
        /// The bytes so far.
        bytes: Vec<u8>,
        /// Bytes that are kept at most.
        limit: usize,
    },
    /// It is too long to be kept: its beginning.
    TooLong(Vec<u8>),
    /// All of it.
    Whole(Vec<u8>),
}

/// What the HTTP client gets to see of a failure; the monitor has the rest.
#[derive(Debug, thiserror::Error)]
#[error("the client's body failed")]
pub(super) struct BodyFailed;

impl RequestBody {
    /// Watches `body` while it is sent, and ends a silence of `idle_timeout`.
    pub(super) fn new(
        body: Body,
        idle_timeout: Duration,
        trailers: Trailers,
        monitor: Arc<BodyMonitor>,
    ) -> Self {
        Self { body, idle: Idle::new(idle_timeout), trailers, monitor }
    }
}

impl http_body::Body for RequestBody {
    type Data = Bytes;
    type Error = BodyFailed;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyFailed>>> {
        let this = &mut *self;
        loop {
            let frame = ready!(this.idle.poll_frame(&mut this.body, cx));
            let frame = match frame.transpose() {
                Ok(frame) => frame,
                Err(failure) => {
                    this.monitor.0.lock().failure = Some(failure);
                    return Poll::Ready(Some(Err(BodyFailed)));
                }
            };
            let data = frame.as_ref().and_then(Frame::data_ref);
            let is_whole = frame.is_none() || this.body.is_end_stream();
            this.monitor
                .0
                .lock()
                .capture
                .push(data.map_or(&[], |data| data), is_whole);
            match frame.map(|frame| this.trailers.filter(frame)) {
                Some(None) => {}
                Some(Some(frame)) => return Poll::Ready(Some(Ok(frame))),
                None => return Poll::Ready(None),
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl BodyMonitor {
    /// Nothing has happened; what is sent is kept as `capture` says.
    pub(super) fn new(capture: Capture) -> Self {
        Self(Mutex::new(State { failure: None, capture }))
    }

    /// Why the body was not sent whole, once.
    pub(super) fn take_failure(&self) -> Option<Failure> {
        self.0.lock().failure.take()
    }

    /// Whether the body was not sent whole.
    pub(super) fn has_failed(&self) -> bool {
        self.0.lock().failure.is_some()
    }

    /// Looks at what was sent.
    pub(super) fn with_capture<T>(&self, look: impl FnOnce(&Capture) -> T) -> T {
        look(&self.0.lock().capture)
    }
}

impl Capture {
    /// Keeps up to `limit` bytes of a body: now if they are in memory, else as they are sent.
    pub(super) fn of(body: &Body, limit: usize) -> Self {
        if body.is_end_stream() {
            return Self::Nothing;
        }
        let mut capture = Self::Part { bytes: Vec::new(), limit };
        if let Some(bytes) = body.buffered() {
            capture.push(&bytes, true);
        }
        capture
    }

    /// Whether nothing more is to come.
    pub(super) fn is_over(&self) -> bool {
        !matches!(self, Self::Part { .. })
    }

    fn push(&mut self, mut data: &[u8], is_whole: bool) {
        let Self::Part { bytes, limit } = self else {
            return;
        };
        if bytes.is_empty() {
            data = data.trim_ascii_start();
            // Only these hold a text. 0xEF: the byte order mark that some write.
            if !data.is_empty() && !matches!(data[0], b'{' | b'[' | b'"' | 0xef) {
                *self = Self::Unreadable;
                return;
            }
        }
        let room = *limit - bytes.len();
        if data.len() > room {
            bytes.extend_from_slice(&data[..room]);
            *self = Self::TooLong(std::mem::take(bytes));
            return;
        }
        bytes.extend_from_slice(data);
        if is_whole {
            let bytes = std::mem::take(bytes);
            *self = if bytes.is_empty() { Self::Nothing } else { Self::Whole(bytes) };
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body_util::{BodyExt as _, StreamBody};

    use super::*;
    use crate::body::Error;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn monitored(
        frames: Vec<Result<&'static str, Error>>,
        limit: usize,
    ) -> (RequestBody, Arc<BodyMonitor>) {
        let frames = frames
            .into_iter()
            .map(|frame| frame.map(|data| Frame::data(data.into())));
        let body = Body::new(StreamBody::new(stream::iter(frames)));
        let monitor = Arc::new(BodyMonitor::new(Capture::of(&body, limit)));
        let trailers = Trailers::announced(&mut http::HeaderMap::new(), &[]);
        (RequestBody::new(body, PATIENCE, trailers, Arc::clone(&monitor)), monitor)
    }

    #[tokio::test]
    async fn keeps_a_copy_of_json_within_its_limit() {
        for (frames, want) in [
            (vec!["{\"vin\"", ":1}"], "whole {\"vin\":1}"),
            (vec![" ", "\r\n [", "]"], "whole []"),
            (vec!["{", "\"too long\": 1234}"], "cut {\"too long\":"),
            (vec!["vin=1", "{}"], "unreadable"),
            (vec!["\"text\""], "whole \"text\""),
            (vec!["", " "], "nothing"),
        ] {
            let (body, monitor) = monitored(frames.iter().map(|frame| Ok(*frame)).collect(), 12);
            assert_eq!(body.collect().await.unwrap().to_bytes(), frames.concat());
            let found = monitor.with_capture(|capture| match capture {
                Capture::Nothing => "nothing".to_owned(),
                Capture::Unreadable => "unreadable".to_owned(),
                Capture::Part { .. } => "part".to_owned(),
                Capture::TooLong(bytes) => format!("cut {}", String::from_utf8_lossy(bytes)),
                Capture::Whole(bytes) => format!("whole {}", String::from_utf8_lossy(bytes)),
            });
            assert_eq!(found, want);
        }
    }

    #[tokio::test]
    async fn knows_a_body_that_is_not_all_sent_from_one_that_is() {
        let (mut body, monitor) = monitored(vec![Ok("{"), Ok("}")], 12);
        assert!(body.frame().await.is_some());
        assert!(monitor.with_capture(|capture| matches!(capture, Capture::Part { .. })));
    }

    #[tokio::test]
    async fn records_why_a_body_failed() {
        let (body, monitor) = monitored(vec![Ok("{"), Err("reset".into())], 12);
        assert!(!monitor.has_failed());
        assert!(body.collect().await.is_err());
        assert!(monitor.has_failed());
        assert!(matches!(monitor.take_failure(), Some(Failure::Incomplete(_))));
        assert!(monitor.take_failure().is_none());
    }

    #[test]
    fn copies_nothing_where_there_is_no_body() {
        assert!(matches!(Capture::of(&Body::empty(), 4), Capture::Nothing));
    }
}
