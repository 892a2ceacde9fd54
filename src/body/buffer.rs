//! Bodies that must be whole before anything can be decided.

use std::{future::poll_fn, time::Duration};

use bytes::{Bytes, BytesMut};
use http_body::Body as _;

use super::{Body, Failure, Idle, room::Room};
use crate::client::Client;

/// Room made at once for a body of this length. Most are no longer, and whoever announces more
/// than it sends makes us reserve no more than this.
const MAX_RESERVED: usize = 1024 * 1024;

impl Body {
    /// Reads this body to its end: at most `limit` bytes, with at most `idle_timeout` of silence.
    ///
    /// A body that is announced to be longer is refused before a byte of it is read. Trailers
    /// are dropped. After a failure the rest is still in the body, but of one that has stopped:
    /// nobody should wait for it once more.
    pub async fn buffer(&mut self, limit: usize, idle_timeout: Duration) -> Result<Bytes, Failure> {
        self.buffer_in(limit, idle_timeout, None).await
    }

    /// The same for the body of a request of this client, who may have so much at a time.
    pub async fn buffer_of(
        &mut self,
        client: Option<Client>,
        limit: usize,
        idle_timeout: Duration,
    ) -> Result<Bytes, Failure> {
        let room = Room::new(client, limit);
        self.buffer_in(limit, idle_timeout, Some(room)).await
    }

    async fn buffer_in(
        &mut self,
        limit: usize,
        idle_timeout: Duration,
        mut room: Option<Room<'_>>,
    ) -> Result<Bytes, Failure> {
        let announced = self.size_hint().lower();
        if announced > limit as u64 {
            return Err(Failure::TooLarge { limit });
        }
        let mut idle = Idle::new(idle_timeout);
        let mut first = Bytes::new();
        let mut all = BytesMut::new();
        while let Some(frame) = poll_fn(|cx| idle.poll_frame(self, cx)).await {
            let frame = frame.inspect_err(|failure| {
                if matches!(failure, Failure::Idle) {
                    *self = Self::empty();
                }
            })?;
            let Ok(data) = frame.into_data() else {
                continue;
            };
            let before = all.len().max(first.len());
            if data.len() > limit - before {
                return Err(Failure::TooLarge { limit });
            }
            if let Some(room) = &mut room {
                room.hold(before + data.len())?;
            }
            // Most bodies come in one piece, which need not be copied.
            if first.is_empty() {
                first = data;
            } else {
                if all.is_empty() {
                    all.reserve((announced as usize).min(MAX_RESERVED));
                    all.extend_from_slice(&first);
                }
                all.extend_from_slice(&data);
            }
        }
        Ok(if all.is_empty() { first } else { all.freeze() })
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body::Frame;
    use http_body_util::StreamBody;
    use proptest::prelude::*;

    use super::*;
    use crate::body::Error;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn chunks(chunks: Vec<Bytes>) -> Body {
        let frames = chunks
            .into_iter()
            .map(|chunk| Ok::<_, Error>(Frame::data(chunk)));
        Body::new(StreamBody::new(stream::iter(frames)))
    }

    fn buffer(mut body: Body, limit: usize) -> Result<Bytes, Failure> {
        futures_util::FutureExt::now_or_never(body.buffer(limit, PATIENCE)).unwrap()
    }

    proptest! {
        #[test]
        fn gives_all_bytes_or_none(
            parts in proptest::collection::vec("[a-z]{0,5}", 0..8),
            limit in 0_usize..30,
        ) {
            let whole = parts.concat();
            let body = chunks(parts.into_iter().map(Bytes::from).collect());
            match buffer(body, limit) {
                Ok(bytes) => prop_assert_eq!(bytes, whole),
                Err(error) => {
                    prop_assert!(whole.len() > limit, "{}", error);
                }
            }
        }
    }

    #[test]
    fn refuses_an_announced_length_before_it_reads() {
        let mut body = Body::full("12345");
        let refused = futures_util::FutureExt::now_or_never(body.buffer(4, PATIENCE)).unwrap();
        assert!(matches!(refused, Err(Failure::TooLarge { limit: 4 })));
        assert_eq!(buffer(body, 5).unwrap(), "12345", "nothing was read");
    }

    #[test]
    fn tells_an_incomplete_body_from_a_whole_one() {
        let frames = [Ok(Frame::data(Bytes::from("12"))), Err("reset")];
        let body = Body::new(StreamBody::new(stream::iter(frames)));
        assert!(matches!(buffer(body, 10), Err(Failure::Incomplete(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn gives_up_on_a_silent_sender() {
        let mut body = Body::new(StreamBody::new(stream::pending::<Result<Frame<Bytes>, Error>>()));
        assert!(matches!(body.buffer(10, PATIENCE).await, Err(Failure::Idle)));
        assert!(body.is_end_stream(), "nobody waits for it again");
    }
}
