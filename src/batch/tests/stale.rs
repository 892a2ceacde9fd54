//! What is served past its time: while it is refreshed, and when that fails.

use futures_util::future::join_all;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_thousand_readers_of_a_stale_vehicle_get_it_at_once_and_ask_once() {
    let fixture = Fixture::new();
    fixture.ask("").await;
    fixture.set(|sync| sync.latency = SECOND);
    advance(1000 * SECOND).await;
    let began_at = Instant::now();
    for response in join_all((0..1000).map(|_| fixture.ask(""))).await {
        assert_eq!(response.from(), "hit; ttl=-100");
        assert!(
            response
                .cache_status
                .contains("hit=0 stale=1 joined=0 miss=0")
        );
        assert_eq!(response.cache_control, "private, no-cache, max-age=0");
        assert_eq!(response.age, "1000");
        assert_eq!(response.call(), 1);
    }
    assert_eq!(began_at.elapsed(), Duration::ZERO, "nobody waits");
    sleep(2 * SECOND).await;
    assert_eq!(fixture.calls(), 2);
    let fresh = fixture.ask("").await;
    assert_eq!((fresh.from(), fresh.call()), ("hit; ttl=899", 2));
}

#[tokio::test(start_paused = true)]
async fn only_finished_results_are_served_while_they_are_refreshed_and_not_for_ever() {
    let pending = json!([{"status": {"statusId": -1}}]);
    for (info, at, from) in [
        (finished(), 900, "hit; ttl=0"),
        (finished(), 1200, "hit; ttl=-300"),
        (finished(), 1201, "fwd=miss"),
        (pending, 11, "fwd=miss"),
        (json!([]), 31, "fwd=miss"),
    ] {
        let fixture = Fixture::new();
        fixture.set(|sync| sync.info = Some(info.clone()));
        fixture.ask("").await;
        advance(at * SECOND).await;
        assert_eq!(fixture.ask("").await.from(), from, "{info} at {at} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_fails_leaves_what_is_held_and_is_tried_again() {
    let fixture = Fixture::new();
    fixture.ask("").await;
    fixture.set(|sync| sync.status = StatusCode::BAD_GATEWAY);
    advance(1000 * SECOND).await;
    for calls in 2..5 {
        assert_eq!(fixture.ask("").await.from(), "hit; ttl=-100");
        // The refresh runs behind.
        tokio::task::yield_now().await;
        assert_eq!(fixture.calls(), calls);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_is_made_good_with_what_is_held_within_its_window() {
    let pending = json!([{"status": {"statusId": -1}}]);
    for (info, life) in [(finished(), 900), (pending, 10), (json!([]), 30)] {
        let fixture = Fixture::new();
        fixture.set(|sync| sync.info = Some(info.clone()));
        fixture.ask("").await;
        fixture.set(|sync| sync.status = StatusCode::INTERNAL_SERVER_ERROR);
        advance((life + 3600) * SECOND).await;
        let saved = fixture.ask("").await;
        assert_eq!(saved.from(), "fwd=stale; fwd-status=500", "{info}");
        assert!(
            saved
                .cache_status
                .ends_with("\"hit=0 stale=1 joined=0 miss=0 absent=0\"")
        );
        assert_eq!(saved.cache_control, "private, no-cache, max-age=0");
        assert_eq!(saved.age, (life + 3600).to_string());
        for directives in ["no-cache", "no-store", "max-age=100000", "min-fresh=0"] {
            assert_eq!(fixture.ask(directives).await.status, 500, "{directives}");
        }
        advance(SECOND).await;
        assert_eq!(fixture.ask("").await.status, 500, "{info}");
        fixture.set(|sync| sync.status = StatusCode::OK);
        assert_eq!(fixture.ask("").await.from(), "fwd=miss", "{info}");
    }
}

/// Also where its calls have as much time as the request.
#[tokio::test(start_paused = true)]
async fn what_is_held_is_there_before_the_client_waits_no_more() {
    let fixture = Fixture::new();
    fixture.ask("").await;
    fixture.set(|sync| sync.latency = 3600 * SECOND);
    advance(1300 * SECOND).await;
    let began_at = Instant::now();
    let saved = fixture.ask("").await;
    assert_eq!(saved.from(), "fwd=stale");
    let took = began_at.elapsed();
    assert!(took < 60 * SECOND && took > 59 * SECOND, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_fault_of_the_request_is_not_made_good() {
    let fixture = Fixture::new();
    fixture.ask("").await;
    advance(1300 * SECOND).await;
    for (status, answered) in [(400, 400), (401, 401), (404, 404), (429, 200), (503, 200)] {
        fixture.set(|sync| sync.status = StatusCode::from_u16(status).unwrap());
        assert_eq!(fixture.ask("").await.status, answered, "{status}");
    }
}
