//! A time limit on silence, not on length: a body may take hours as long as its bytes come.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body as _, Frame};
use tokio::time::{Instant, Sleep, sleep};

use super::{Body, Failure};

/// Reads the frames of a body, each within a time limit.
///
/// The clock runs only while somebody waits for the sender of the body. A reader that takes its
/// time does not use it up, because it does not poll meanwhile, and a byte that has arrived
/// counts before the clock does.
#[derive(Debug)]
pub struct Idle {
    timeout: Duration,
    /// Made when the first wait begins: most bodies are there at once.
    sleep: Option<Pin<Box<Sleep>>>,
    waiting: bool,
}

impl Idle {
    /// Allows `timeout` of silence.
    pub fn new(timeout: Duration) -> Self {
        Self { timeout, sleep: None, waiting: false }
    }

    /// The next frame of `body`, [`Failure::Idle`] if it does not come in time, and
    /// [`Failure::Incomplete`] if the body ends before its end.
    ///
    /// A frame without a byte does not stop the clock.
    pub fn poll_frame(
        &mut self,
        body: &mut Body,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        match Pin::new(body).poll_frame(cx) {
            Poll::Ready(frame) => {
                self.waiting &= is_empty_data(&frame);
                Poll::Ready(frame.map(|frame| frame.map_err(Failure::Incomplete)))
            }
            Poll::Pending if self.poll_elapsed(cx).is_ready() => {
                Poll::Ready(Some(Err(Failure::Idle)))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn poll_elapsed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timeout = self.timeout;
        let sleep = self.sleep.get_or_insert_with(|| {
            self.waiting = true;
            Box::pin(sleep(timeout))
        });
        if !self.waiting {
            self.waiting = true;
            sleep.as_mut().reset(Instant::now() + timeout);
        }
        sleep.as_mut().poll(cx)
    }
}

fn is_empty_data<E>(frame: &Option<Result<Frame<Bytes>, E>>) -> bool {
    matches!(frame, Some(Ok(frame)) if frame.data_ref().is_some_and(Bytes::is_empty))
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures_util::stream;
    use http_body_util::StreamBody;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(30);

    /// A body whose frames come after these many seconds each.
    fn drip(frames: &'static [(u64, &'static str)]) -> Body {
        let frames = stream::unfold(frames.iter(), |mut frames| async {
            let (wait, data) = frames.next()?;
            sleep(Duration::from_secs(*wait)).await;
            Some((
                Ok::<_, super::super::Error>(Frame::data(Bytes::from_static(data.as_bytes()))),
                frames,
            ))
        });
        Body::new(StreamBody::new(frames))
    }

    async fn next(idle: &mut Idle, body: &mut Body) -> Option<Result<Frame<Bytes>, Failure>> {
        poll_fn(|cx| idle.poll_frame(body, cx)).await
    }

    #[tokio::test(start_paused = true)]
    async fn allows_any_length_as_long_as_bytes_come() {
        let (mut idle, mut body) = (Idle::new(LIMIT), drip(&[(29, "a"), (29, "b"), (29, "c")]));
        for _ in 0..3 {
            assert!(matches!(next(&mut idle, &mut body).await, Some(Ok(_))));
        }
        assert!(next(&mut idle, &mut body).await.is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn ends_a_silence_at_its_limit() {
        let (mut idle, mut body) = (Idle::new(LIMIT), drip(&[(1, "a"), (31, "b")]));
        let began = Instant::now();
        assert!(matches!(next(&mut idle, &mut body).await, Some(Ok(_))));
        assert!(matches!(next(&mut idle, &mut body).await, Some(Err(Failure::Idle))));
        assert_eq!(began.elapsed().as_secs(), 31);
    }

    #[tokio::test(start_paused = true)]
    async fn does_not_count_the_time_of_a_slow_reader() {
        let (mut idle, mut body) = (Idle::new(LIMIT), drip(&[(1, "a"), (1, "b")]));
        assert!(matches!(next(&mut idle, &mut body).await, Some(Ok(_))));
        sleep(LIMIT * 10).await;
        assert!(matches!(next(&mut idle, &mut body).await, Some(Ok(_))));
    }

    #[tokio::test(start_paused = true)]
    async fn is_not_kept_waiting_by_empty_frames() {
        let (mut idle, mut body) = (Idle::new(LIMIT), drip(&[(20, ""), (20, "a")]));
        assert!(matches!(next(&mut idle, &mut body).await, Some(Ok(_))));
        assert!(matches!(next(&mut idle, &mut body).await, Some(Err(Failure::Idle))));
    }
}
