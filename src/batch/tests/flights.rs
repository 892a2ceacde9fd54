//! Calls that are shared, and what becomes of them when somebody fails.

use futures_util::{FutureExt as _, future::join_all};

use super::*;
use crate::trace::{self, Recorder};

#[tokio::test(start_paused = true)]
async fn followers_of_one_call_are_answered_with_it() {
    let fixture = Fixture::new();
    fixture.set(|sync| sync.latency = SECOND);
    let began_at = Instant::now();
    let responses = join_all((0..100).map(|_| fixture.ask(""))).await;
    let collapsed = responses
        .iter()
        .filter(|response| response.from() == "fwd=miss; collapsed");
    assert_eq!(collapsed.count(), 99);
    assert_eq!(fixture.calls(), 1);
    assert_eq!(began_at.elapsed(), SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_told_to_all_who_wait_at_the_same_moment() {
    let fixture = Fixture::new();
    fixture.set(|sync| {
        sync.latency = SECOND;
        sync.status = StatusCode::BAD_GATEWAY;
    });
    let began_at = Instant::now();
    for response in join_all((0..100).map(|_| fixture.ask(""))).await {
        assert_eq!(response.status, 502);
    }
    assert_eq!(began_at.elapsed(), SECOND);
    assert_eq!(fixture.calls(), 1, "and is not repeated one by one");
}

#[tokio::test(start_paused = true)]
async fn vehicles_that_failed_are_noted_of_their_request() {
    let fixture = Fixture::new();
    fixture.set(|sync| sync.status = StatusCode::BAD_GATEWAY);
    let recorder = Recorder::new(trace::Config::default(), None, true).unwrap();
    let mut request = Fixture::request("");
    let (trace, _) = recorder.begin(&mut request);
    RequestContext::of_mut(request.extensions_mut()).trace = trace.clone();
    fixture.refuse(request).await;
    assert_eq!((trace.vehicles(), trace.calls()), (Some("failed=1"), Some(1)));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_hangs_up_has_asked_for_everybody() {
    let fixture = Fixture::new();
    fixture.set(|sync| sync.latency = SECOND);
    assert!(
        tokio::time::timeout(SECOND / 2, fixture.ask(""))
            .await
            .is_err(),
        "hung up"
    );
    let follower = fixture.ask("").await;
    assert_eq!((follower.from(), follower.call()), ("fwd=miss; collapsed", 1));
}

#[tokio::test(start_paused = true)]
async fn what_a_leader_that_hangs_up_has_not_sent_is_not_sent() {
    let fixture = Fixture::new();
    assert!(fixture.ask("").now_or_never().is_none(), "hung up");
    sleep(SECOND).await;
    assert_eq!(fixture.calls(), 0);
    assert_eq!(fixture.ask("").await.from(), "fwd=miss");
}

#[tokio::test(start_paused = true)]
async fn a_call_that_panics_fails_all_who_wait_and_is_not_made_again() {
    let fixture = Fixture::new();
    fixture.set(|sync| sync.panics = 1);
    for response in join_all((0..10).map(|_| fixture.ask(""))).await {
        assert_eq!(response.status, 500);
    }
    assert_eq!(fixture.calls(), 1);
    assert_eq!(fixture.ask("").await.call(), 2, "the next request is none the worse");
}

#[tokio::test(start_paused = true)]
async fn no_cache_joins_only_what_is_not_sent() {
    let fixture = Fixture::new();
    fixture.set(|sync| sync.latency = SECOND);
    let (first, anew) = tokio::join!(fixture.ask(""), async {
        sleep(SECOND / 2).await;
        fixture.ask("no-cache").await
    });
    assert_eq!((first.call(), anew.call()), (1, 2));
    assert_eq!(fixture.ask("").await.call(), 2, "what was asked for later stays");
}

#[tokio::test(start_paused = true)]
async fn no_store_is_joined_by_nobody() {
    let fixture = Fixture::new();
    fixture.set(|sync| sync.latency = SECOND);
    let (apart, other) = tokio::join!(fixture.ask("no-store"), fixture.ask(""));
    assert_eq!((apart.call(), other.call()), (1, 2));
}
