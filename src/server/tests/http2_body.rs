use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::Request;
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use tokio::{
    sync::oneshot,
    time::{Instant, sleep},
};

use super::{super::connection_state::SILENCE, Served, http2, seconds};
use crate::body::Body;

#[tokio::test(start_paused = true)]
async fn takes_the_rest_of_an_http2_body_that_nobody_reads() {
    const FRAMES: usize = 3_000;
    let Served { client, .. } = Served::start();
    let (mut sender, _connection) = http2(client).await;
    let (ended, has_ended) = oneshot::channel();
    // Several times what fits into the windows.
    let frames = (0..FRAMES).map(|_| Ok::<_, Infallible>(Frame::data(Bytes::from(vec![0; 1024]))));
    let last = stream::once(async move {
        ended.send(()).unwrap();
        Ok(Frame::data(Bytes::new()))
    });
    let body = StreamBody::new(stream::iter(frames).chain(Box::pin(last)));
    let request = Request::post("http://a/").body(Body::new(body)).unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.collect().await.unwrap().to_bytes(), "hello");
    has_ended.await.expect("all of the body is taken");
}

#[tokio::test(start_paused = true)]
async fn an_http2_body_that_nobody_reads_and_that_stops_ends_its_stream() {
    let Served { client, .. } = Served::start();
    let (mut sender, _connection) = http2(client).await;
    let dropped = Arc::new(());
    let held = Arc::clone(&dropped);
    let frames = stream::pending::<Result<Frame<Bytes>, Infallible>>().inspect(move |_| {
        let _ = &held;
    });
    let body = Body::new(StreamBody::new(frames));
    let request = Request::post("http://a/").body(body).unwrap();
    let response = sender.send_request(request).await.unwrap();
    let responded_at = Instant::now();
    assert_eq!(response.collect().await.unwrap().to_bytes(), "hello");
    while Arc::strong_count(&dropped) > 1 {
        sleep(Duration::from_millis(100)).await;
    }
    let silence = responded_at.elapsed();
    assert!((SILENCE..SILENCE + seconds(1)).contains(&silence), "{silence:?}");
}
