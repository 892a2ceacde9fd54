//! The streams of an HTTP/2 connection: each a task, reset when its response is not taken.
//!
//! A stream whose window is closed blocks no write, so its socket does not show it. But hyper
//! polls a body for its next frame only when the last one is on its way: a stream that waits
//! although the frame of its body was taken waits for its window.

use std::{
    cell::Cell,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep};

use super::{
    in_flight::{FLOW, Flow},
    metrics::{Metrics, Reason},
};

#[derive(Clone, Debug)]
pub(super) struct Streams {
    write_idle_timeout: Duration,
    metrics: Metrics,
}

pin_project! {
    struct Stream<F> {
        #[pin]
        inner: F,
        streams: Streams,
        // Runs while the other end has to open the window.
        #[pin]
        stalled: Option<Sleep>,
    }
}

impl Streams {
    pub(super) fn new(write_idle_timeout: Duration, metrics: Metrics) -> Self {
        Self { write_idle_timeout, metrics }
    }
}

impl<F> hyper::rt::Executor<F> for Streams
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, inner: F) {
        tokio::spawn(Stream { inner, streams: self.clone(), stalled: None });
    }
}

impl<F: Future<Output = ()>> Future for Stream<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut this = self.project();
        let (polled, flow) =
            FLOW.sync_scope(Cell::default(), || (this.inner.poll(cx), FLOW.with(Cell::get)));
        if polled.is_ready() {
            return Poll::Ready(());
        }
        match flow {
            Flow::NotPolled => {}
            Flow::Waiting => this.stalled.set(None),
            Flow::Taken => match this.stalled.as_mut().as_pin_mut() {
                Some(stalled) => stalled.reset(Instant::now() + this.streams.write_idle_timeout),
                None => this
                    .stalled
                    .set(Some(sleep(this.streams.write_idle_timeout))),
            },
        }
        let Some(stalled) = this.stalled.as_pin_mut() else {
            return Poll::Pending;
        };
        // Dropping an unfinished stream resets it.
        stalled
            .poll(cx)
            .map(|()| this.streams.metrics.note(Reason::WriteTimeout))
    }
}
