//! A fleet that is polled costs little: its answer the first time, a 304 from then on.

use bytes::Bytes;
use tokio::time::Duration;
use vingate::sandbox::Class;

use crate::{
    connection::{Connection, asking_for, batch},
    figures::ratio,
    process::Process,
    support::Response,
};

#[tokio::test]
#[ignore = "takes a minute"]
async fn a_polled_fleet_costs_less_as_a_304() {
    poll(10_000, 300).await;
}

#[tokio::test]
async fn a_polled_fleet_is_a_304() {
    poll(1000, 5).await;
}

async fn poll(vehicles: usize, polls: u32) {
    let process = Process::start("").await;
    let vehicles = process.sandbox.vehicles(Class::Finished).take(vehicles);
    let body = asking_for(&vehicles.collect::<Vec<_>>());
    let mut connection = process.connect().await;
    let first = connection.batch(&body).await.expect(200);
    let calls = process.sandbox.counters().batches;
    assert!(first.body.len() > 1000);
    let whole = poll_for(&process, &mut connection, &body, None, &first, polls).await;
    let etag = first.field("etag");
    let same = poll_for(&process, &mut connection, &body, Some(etag), &first, polls).await;
    assert_eq!(process.sandbox.counters().batches, calls, "all of it was held");
    println!("CPU of a 200 is {:.1} times that of a 304", ratio(whole, same));
}

/// The CPU time of a poll.
async fn poll_for(
    process: &Process,
    connection: &mut Connection,
    body: &Bytes,
    etag: Option<&str>,
    first: &Response,
    polls: u32,
) -> Duration {
    let (mut before, mut bytes) = (process.cpu(), 0);
    // One poll more than is counted, after which buffers and branches are warm.
    for nth in 0..=polls {
        if nth == 1 {
            before = process.cpu();
        }
        let request = match etag {
            Some(etag) => batch().header("if-none-match", etag),
            None => batch(),
        };
        let response = connection.send(request, body.clone()).await;
        let status = if etag.is_some() { 304 } else { 200 };
        let expected = if etag.is_some() { &Bytes::new() } else { &first.body };
        let response = response.expect(status);
        assert!(response.body == expected);
        assert_eq!(response.field("etag"), first.field("etag"));
        let headers = response.headers.iter();
        bytes = response.body.len()
            + headers
                .map(|(n, v)| n.as_str().len() + v.len() + 4)
                .sum::<usize>();
    }
    let each = (process.cpu() - before) / polls;
    println!(
        "{}: {each:.1?} of CPU, {bytes} bytes, {} bytes asked, mean of {polls}",
        if etag.is_some() { 304 } else { 200 },
        body.len(),
    );
    each
}
