use std::time::Duration;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};

use super::{
    super::{Config, Metrics, metrics::Reason},
    GET, begin, config, finish, listener, seconds,
};

#[tokio::test]
async fn finishes_what_is_in_flight_and_takes_nothing_new() {
    let metrics = Metrics::unregistered().unwrap();
    let (address, go, drain, mut task) = listener(config(), &metrics).await;
    let stream = begin(address).await;
    drain.send(()).unwrap();
    while TcpStream::connect(address).await.is_ok() {
        tokio::task::yield_now().await;
    }
    assert!(timeout(Duration::from_millis(20), &mut task).await.is_err());
    go.send(()).unwrap();
    let answer = finish(stream).await.unwrap();
    assert!(answer.ends_with("done") && answer.contains("connection: close"), "{answer}");
    task.await.unwrap();
}

/// A connection that closes between two requests may do so when the second is on its way.
#[tokio::test]
async fn ends_connections_with_their_next_response_before_it_closes_the_listener() {
    let metrics = Metrics::unregistered().unwrap();
    let config = Config { drain_delay: seconds(3600), ..config() };
    let (address, go, drain, _task) = listener(config, &metrics).await;
    let mut kept = begin(address).await;
    go.send(()).unwrap();
    let mut response = [0; 128];
    let length = kept.read(&mut response).await.unwrap();
    assert!(response[..length].ends_with(b"done"));
    drain.send(()).unwrap();
    sleep(Duration::from_millis(20)).await;
    kept.write_all(GET.as_bytes()).await.unwrap();
    for stream in [kept, begin(address).await] {
        let response = finish(stream).await.unwrap();
        assert!(response.contains("connection: close") && response.ends_with("done"), "{response}");
    }
}

#[tokio::test]
async fn cuts_what_does_not_finish_in_time() {
    let metrics = Metrics::unregistered().unwrap();
    let config = Config { drain_timeout: Duration::from_millis(50), ..config() };
    let (address, _go, drain, task) = listener(config, &metrics).await;
    let stream = begin(address).await;
    drain.send(()).unwrap();
    task.await.unwrap();
    assert!(
        finish(stream)
            .await
            .map_or(true, |answer| answer.is_empty())
    );
    assert_eq!(metrics.count(Reason::Drain), 1);
}
