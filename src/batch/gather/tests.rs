//! Several requests at once, and an upstream that responds when and what the test says.

use std::time::Duration;

use http::StatusCode;

use super::*;
use crate::loader::tests::{Calls, ONE_AT_ONCE, Sizes, loader, pass, vehicle};

const SECOND: Duration = Duration::from_secs(1);

/// One vehicle a call, and `max_parallel` calls of a request at once.
fn gatherer(max_parallel: usize) -> (Loader, Calls) {
    loader(Sizes { chunk: 1, max_parallel, max_in_flight: 100, ..ONE_AT_ONCE })
}

/// A request for vehicles of these numbers, under way.
fn ask(loader: &Loader, numbers: &[u32]) -> tokio::task::JoinHandle<Result<Gathered, Error>> {
    ask_with(loader, numbers, &HeaderMap::new())
}

/// The same with these headers.
fn ask_with(
    loader: &Loader,
    numbers: &[u32],
    headers: &HeaderMap,
) -> tokio::task::JoinHandle<Result<Gathered, Error>> {
    let (loader, vehicles) =
        (loader.clone(), numbers.iter().map(|&n| vehicle(n)).collect::<Vec<_>>());
    let directives = Directives::of(headers);
    tokio::spawn(async move {
        let credential = Credential { digest: Some([1; 32]), is_account: true };
        let wanted = Wanted {
            vehicles: &vehicles,
            partition: Some(Partition::new(&[1; 32])),
            credential: Some(&credential),
            client: None,
            directives: &directives,
            headers: &HeaderMap::new(),
            trace: &RequestTrace::default(),
            deadline: Instant::now() + 60 * SECOND,
        };
        gather(&loader, &wanted).await
    })
}

#[tokio::test(start_paused = true)]
async fn who_joins_a_refresh_that_waits_for_company_lets_it_go() {
    let refresh_wait = 5 * SECOND;
    let (loader, mut calls) =
        loader(Sizes { chunk: 10, max_in_flight: 100, refresh_wait, ..ONE_AT_ONCE });
    let filling = ask(&loader, &[1]);
    calls.next_for(&[1]).await.fill().await;
    filling.await.unwrap().unwrap();
    tokio::time::advance(901 * SECOND).await;
    let began_at = Instant::now();
    ask(&loader, &[1]).await.unwrap().unwrap();
    calls.are_none().await;
    // Past the time for which it is served while it is refreshed.
    tokio::time::advance(SECOND).await;
    let mut headers = HeaderMap::new();
    headers.insert(http::header::CACHE_CONTROL, "no-cache".parse().unwrap());
    let joining = ask_with(&loader, &[1], &headers);
    calls.next_for(&[1]).await.fill().await;
    assert_eq!(began_at.elapsed(), SECOND);
    joining.await.unwrap().unwrap();
    calls.are_none().await;
}

fn status(result: Result<Gathered, Error>) -> Option<StatusCode> {
    match result.unwrap_err() {
        Error::Call { error, .. } => error.status(),
        other => panic!("{other}"),
    }
}

fn found(result: Result<Gathered, Error>) -> Vec<CacheStatus> {
    result.unwrap().parts.iter().map(|part| part.from).collect()
}

#[tokio::test(start_paused = true)]
async fn a_refusal_reaches_only_the_request_that_leads() {
    let (loader, mut calls) = gatherer(4);
    let first = ask(&loader, &[1]);
    let call = calls.next_for(&[1]).await;
    let joined = [ask(&loader, &[1]), ask(&loader, &[1])];
    pass().await;
    call.refuse(400).await;
    assert_eq!(status(first.await.unwrap()), Some(StatusCode::BAD_REQUEST));

    calls.next_for(&[1]).await.fill().await;
    for request in joined {
        request.await.unwrap().unwrap();
    }
    calls.are_none().await;
}

#[tokio::test(start_paused = true)]
async fn what_is_asked_again_after_a_refusal_is_asked_again_once() {
    let (loader, mut calls) = gatherer(4);
    let first = ask(&loader, &[1]);
    let call = calls.next_for(&[1]).await;
    let joined = [ask(&loader, &[1]), ask(&loader, &[1])];
    pass().await;
    call.refuse(404).await;
    calls.next_for(&[1]).await.refuse(404).await;
    for request in joined.into_iter().chain([first]) {
        assert_eq!(status(request.await.unwrap()), Some(StatusCode::NOT_FOUND));
    }
    calls.are_none().await;
}

#[tokio::test(start_paused = true)]
async fn what_was_led_by_a_request_that_failed_is_fetched_for_those_who_joined() {
    let (loader, mut calls) = gatherer(1);
    let first = ask(&loader, &[9, 1]);
    let call = calls.next_for(&[9]).await;
    let joined = [ask(&loader, &[1]), ask(&loader, &[1])];
    pass().await;
    call.refuse(500).await;
    assert_eq!(status(first.await.unwrap()), Some(StatusCode::INTERNAL_SERVER_ERROR));

    // Neither of them led the call that is refused, so it is made once more.
    calls.next_for(&[1]).await.refuse(400).await;
    calls.next_for(&[1]).await.fill().await;
    for request in joined {
        request.await.unwrap().unwrap();
    }
    calls.are_none().await;
}

#[tokio::test(start_paused = true)]
async fn a_failure_reaches_everybody_and_drops_what_is_not_sent() {
    let (loader, mut calls) = gatherer(1);
    let first = ask(&loader, &[1, 2]);
    let call = calls.next_for(&[1]).await;
    let joined = ask(&loader, &[1]);
    pass().await;
    call.refuse(503).await;
    for request in [first, joined] {
        assert_eq!(status(request.await.unwrap()), Some(StatusCode::SERVICE_UNAVAILABLE));
    }
    calls.are_none().await;
}

#[tokio::test(start_paused = true)]
async fn a_failure_takes_back_what_waits_for_a_permit() {
    let (loader, mut calls) =
        loader(Sizes { chunk: 1, max_parallel: 3, max_in_flight: 2, ..ONE_AT_ONCE });
    let request = ask(&loader, &[1, 2, 3]);
    let (sent, failing) = (calls.next_for(&[1]).await, calls.next_for(&[2]).await);
    failing.refuse(503).await;
    calls.are_none().await;
    assert!(!sent.response.is_closed());
    sent.fill().await;
    assert_eq!(status(request.await.unwrap()), Some(StatusCode::SERVICE_UNAVAILABLE));
    calls.are_none().await;
}

#[tokio::test(start_paused = true)]
async fn refreshes_behind_go_up_after_what_is_waited_for() {
    let (loader, mut calls) = gatherer(1);
    let first = ask(&loader, &[1]);
    calls.next_for(&[1]).await.fill().await;
    first.await.unwrap().unwrap();
    tokio::time::advance(901 * SECOND).await;

    let request = ask(&loader, &[1, 2]);
    let call = calls.next_for(&[2]).await;
    calls.are_none().await;
    call.fill().await;
    assert_eq!(found(request.await.unwrap()), [CacheStatus::Stale, CacheStatus::Miss]);
    calls.next_for(&[1]).await.fill().await;
    assert_eq!(found(ask(&loader, &[1, 2]).await.unwrap()), [CacheStatus::Hit, CacheStatus::Hit]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_hangs_up_disturbs_nobody() {
    let (loader, mut calls) = gatherer(4);
    let first = ask(&loader, &[1]);
    let call = calls.next_for(&[1]).await;
    let joined = ask(&loader, &[1]);
    pass().await;
    first.abort();
    call.fill().await;
    assert_eq!(found(joined.await.unwrap()), [CacheStatus::Joined]);
    calls.are_none().await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_panics_fails_all_who_wait() {
    let (loader, mut calls) = gatherer(4);
    let first = ask(&loader, &[1]);
    let call = calls.next_for(&[1]).await;
    let joined = ask(&loader, &[1]);
    pass().await;
    drop(call);
    for request in [first, joined] {
        let Err(Error::Call { error, .. }) = request.await.unwrap() else {
            panic!("it has its vehicles");
        };
        assert!(matches!(*error, CallError::Panic));
    }
    calls.are_none().await;
}
