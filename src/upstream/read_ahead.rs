//! The beginning of a response's body, read with its head.

use std::{
    future::poll_fn,
    mem,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Response, StatusCode};
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use tokio::time::timeout;

use super::Error;
use crate::body::{self, Body};

/// How long a head waits for the first frame behind it.
///
/// As a rule both come in one packet, and then this costs nothing. A body that breaks right behind
/// its head does so at once as well, so that a moment is enough to see it while the call can still
/// fail. A body that legitimately begins later, such as server-sent events, is delayed by no more
/// than a person notices.
const HEAD_WAIT: Duration = Duration::from_millis(50);

/// A body of which the first frame has been read.
struct Begun {
    first: Option<Frame<Bytes>>,
    rest: Body,
}

/// Begins with the body of `response`, if its beginning comes with the head. A small one is whole
/// then. Fails if the body breaks before that.
pub(super) async fn read_ahead(response: &mut Response<Body>) -> Result<(), Error> {
    let status = response.status();
    let body = response.body_mut();
    if status == StatusCode::SWITCHING_PROTOCOLS || body.is_end_stream() {
        return Ok(());
    }
    let at_once = poll_fn(|cx| Poll::Ready(Pin::new(&mut *body).poll_frame(cx))).await;
    let first = match at_once {
        Poll::Ready(first) => first,
        Poll::Pending => match timeout(HEAD_WAIT, body.frame()).await {
            Ok(first) => first,
            Err(_) => return Ok(()),
        },
    };
    let first = first
        .transpose()
        .map_err(|error| Error::Incomplete(status, error))?;
    *body = match first.map(Frame::into_data) {
        None => Body::empty(),
        Some(Ok(data)) if body.is_end_stream() => Body::full(data),
        Some(frame) => {
            let first = Some(frame.map_or_else(|trailers| trailers, Frame::data));
            Body::new(Begun { first, rest: mem::take(body) })
        }
    };
    Ok(())
}

impl http_body::Body for Begun {
    type Data = Bytes;
    type Error = body::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, body::Error>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(Some(Ok(first))),
            None => Pin::new(&mut self.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let first = self.first.as_ref().and_then(Frame::data_ref);
        body::longer(self.rest.size_hint(), first.map_or(0, Bytes::len))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body_util::StreamBody;

    use super::*;

    type Frames = Vec<Result<Frame<Bytes>, body::Error>>;

    fn data(text: &'static str) -> Result<Frame<Bytes>, body::Error> {
        Ok(Frame::data(Bytes::from(text)))
    }

    async fn begin(frames: Frames) -> Result<Body, Error> {
        let body = Body::new(StreamBody::new(stream::iter(frames)));
        let mut response = Response::new(body);
        read_ahead(&mut response).await?;
        Ok(response.into_body())
    }

    #[tokio::test]
    async fn passes_on_what_it_has_read() {
        let mut trailers = http::HeaderMap::new();
        trailers.insert("x", http::HeaderValue::from_static("y"));
        let frames = vec![data("ab"), data("c"), Ok(Frame::trailers(trailers.clone()))];
        let body = begin(frames).await.unwrap();
        assert!(!body.is_end_stream());
        assert_eq!(body.size_hint().lower(), 2);
        let whole = body.collect().await.unwrap();
        assert_eq!(whole.trailers(), Some(&trailers));
        assert_eq!(whole.to_bytes(), "abc");
        assert!(begin(vec![]).await.unwrap().is_buffered());
    }

    #[tokio::test]
    async fn fails_if_the_first_frame_does() {
        let torn = || Err(body::Error::from("torn"));
        assert!(matches!(begin(vec![torn()]).await, Err(Error::Incomplete(..))));
        let body = begin(vec![data("ab"), torn()]).await.unwrap();
        assert!(body.collect().await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn does_not_wait_long_for_a_body_that_begins_later() {
        let later = stream::once(Box::pin(async {
            tokio::time::sleep(20 * HEAD_WAIT).await;
            data("x")
        }));
        let began_at = tokio::time::Instant::now();
        let mut response = Response::new(Body::new(StreamBody::new(later)));
        read_ahead(&mut response).await.unwrap();
        assert_eq!(began_at.elapsed(), HEAD_WAIT);
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "x");
    }
}
