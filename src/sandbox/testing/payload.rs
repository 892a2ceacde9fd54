//! What goes out as a body: bytes, then filler, as fast and as complete as a fault allows.

use std::{num::NonZeroU64, time::Duration};

use bytes::Bytes;
use futures_util::stream;
use http_body::Frame;
use http_body_util::{BodyExt as _, Full, StreamBody, combinators::UnsyncBoxBody};
use tokio::{task, time};

use super::calls::Counted;

/// A body on its way out.
pub(in crate::sandbox) type Body = UnsyncBoxBody<Bytes, Aborted>;

/// Why a call ends without its whole response.
#[derive(Debug, thiserror::Error)]
pub(in crate::sandbox) enum Aborted {
    /// A fault.
    #[error("the connection is closed instead of a response, as requested")]
    Closed,
    /// A fault.
    #[error("the response is cut, as requested")]
    Cut,
    /// The client's doing.
    #[error("the request ended before its end")]
    Request(#[source] hyper::Error),
}

/// Blank space, which JSON allows after its end.
pub(super) const SPACES: &[u8] = &[b' '; 64 * 1024];

/// `0, 1, … 250, 0, …`: shows a byte that was lost, doubled or moved.
pub(super) const PATTERN: &[u8] = &pattern();

/// A block of filler repeats after this many bytes, wherever one starts.
const PERIOD: u64 = 251;

/// `bytes`, then `fill` bytes of `filler`.
pub(super) struct Payload {
    pub(super) bytes: Bytes,
    pub(super) filler: &'static [u8],
    pub(super) fill: u64,
    /// Breaks off after that many bytes.
    pub(super) cut_after: Option<u64>,
    pub(super) bytes_per_second: Option<NonZeroU64>,
}

impl Payload {
    pub(super) fn new(bytes: impl Into<Bytes>) -> Self {
        Self {
            bytes: bytes.into(),
            filler: SPACES,
            fill: 0,
            cut_after: None,
            bytes_per_second: None,
        }
    }

    /// Bytes in all, if nothing cuts it.
    pub(super) fn length(&self) -> u64 {
        self.bytes.len() as u64 + self.fill
    }

    /// The body. `open` is given back just before the last byte is handed to the connection:
    /// whoever has read a response to its end finds the call counted as over.
    pub(super) fn into_body(self, open: Option<Counted>) -> Body {
        if self.length() == 0 {
            return Full::default()
                .map_err(|never| match never {})
                .boxed_unsync();
        }
        let frames = stream::unfold((self, 0, open), |(mut payload, sent, mut open)| async move {
            let chunk = payload.next(sent).await?;
            if payload.length() == 0 {
                open = None;
            }
            let sent = sent + chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
            Some((chunk.map(Frame::data), (payload, sent, open)))
        });
        StreamBody::new(frames).boxed_unsync()
    }

    /// The next piece, with `sent` bytes gone before it.
    async fn next(&mut self, sent: u64) -> Option<Result<Bytes, Aborted>> {
        let mut most = u64::MAX;
        if let Some(cut_after) = self.cut_after {
            most = cut_after.saturating_sub(sent);
            if most == 0 && self.length() > 0 {
                // The connection writes what it has when the body is not ready, and nothing
                // once it has failed.
                task::yield_now().await;
                return Some(Err(Aborted::Cut));
            }
        }
        if let Some(rate) = self.bytes_per_second {
            most = most.min((rate.get() / 10).max(1));
        }
        let chunk = self.take(most, sent)?;
        if let Some(rate) = self.bytes_per_second {
            time::sleep(Duration::from_secs_f64(chunk.len() as f64 / rate.get() as f64)).await;
        }
        Some(Ok(chunk))
    }

    /// At most `most` bytes off the front, `None` when nothing is left.
    fn take(&mut self, most: u64, sent: u64) -> Option<Bytes> {
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        if !self.bytes.is_empty() {
            return Some(self.bytes.split_to(self.bytes.len().min(most)));
        }
        let start = (sent % PERIOD) as usize;
        let rest = self.filler.len() - start;
        let length = rest
            .min(most)
            .min(usize::try_from(self.fill).unwrap_or(usize::MAX));
        self.fill -= length as u64;
        (length > 0).then(|| Bytes::from_static(&self.filler[start..start + length]))
    }
}

const fn pattern() -> [u8; 64 * 1024] {
    let mut block = [0; 64 * 1024];
    let mut at = 0;
    while at < block.len() {
        block[at] = (at as u64 % PERIOD) as u8;
        at += 1;
    }
    block
}
