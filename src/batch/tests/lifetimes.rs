//! How long a response is good, by its content, and what a request may ask of it.

use super::*;

/// The `info` of each class, and how long it is good by default.
fn classes() -> Vec<(&'static str, Option<Value>, u32)> {
    let done = "2026-01-01";
    vec![
        ("finished", Some(finished()), 900),
        ("pending: not finished", Some(json!([{"status": {"statusId": 1}}])), 10),
        (
            "pending: finished is null",
            Some(json!([{"status": {"statusId": 1}, "finishedDateTime": null}])),
            10,
        ),
        (
            "pending: status -1",
            Some(json!([{"status": {"statusId": -1}, "finishedDateTime": done}])),
            10,
        ),
        (
            "pending: status is a bare -1",
            Some(json!([{"status": -1, "finishedDateTime": done}])),
            10,
        ),
        ("failed: no status", Some(json!([{"finishedDateTime": done}])), 10),
        ("failed: status is null", Some(json!([{"status": null, "finishedDateTime": done}])), 10),
        ("several: the shortest", Some(json!([finished()[0], {"status": {"statusId": -1}}])), 10),
        ("absent: no element", None, 30),
        ("absent: info is empty", Some(json!([])), 30),
        ("absent: info is null", Some(json!(null)), 30),
    ]
}

#[tokio::test(start_paused = true)]
async fn a_response_is_fresh_as_long_as_its_content() {
    for (class, info, life) in classes() {
        let fixture = Fixture::new();
        fixture.set(|sync| sync.info = info);
        let first = fixture.ask("").await;
        assert_eq!(first.from(), "fwd=miss", "{class}");
        assert_eq!(first.age, "0");
        assert_eq!(first.cache_control, format!("private, no-cache, max-age={life}"), "{class}");

        advance((life - 1) * SECOND).await;
        let held = fixture.ask("").await;
        assert_eq!(held.from(), "hit; ttl=1", "{class}");
        assert_eq!(held.age, (life - 1).to_string());
        assert_eq!(held.cache_control, first.cache_control, "{class}: the same end");
        assert_eq!(held.body, first.body);
        assert_eq!(fixture.calls(), 1);

        advance(SECOND).await;
        let past = fixture.ask("").await;
        let want = if class == "finished" { "hit; ttl=0" } else { "fwd=miss" };
        assert_eq!(past.from(), want, "{class}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_may_ask_for_more_or_less_than_what_is_fresh() {
    // Seconds since the response came, the request's directives, and whether it is asked anew.
    for (at, directives, asks) in [
        (100, "max-age=100", false),
        (101, "max-age=100", true),
        (101, "max-age=x", true),
        (100, "min-fresh=800", false),
        (101, "min-fresh=800", true),
        (100, "no-cache", true),
        (100, "no-store", true),
        (1000, "max-age=2000", true),
        (1000, "min-fresh=0", true),
        (1000, "max-stale=99", true),
        (1300, "", true),
        (1300, "max-stale=399", true),
        (1300, "max-stale=400", false),
        (9000, "max-stale", false),
        (9000, "max-stale, no-cache", true),
    ] {
        let fixture = Fixture::new();
        fixture.ask("").await;
        advance(at * SECOND).await;
        let response = fixture.ask(directives).await;
        assert_eq!(response.status, 200);
        assert_eq!(fixture.calls(), 1 + usize::from(asks), "{at} s, {directives:?}");
        assert_eq!(response.call(), fixture.calls() as u64);
    }
}

#[tokio::test(start_paused = true)]
async fn only_if_cached_serves_what_may_be_served_and_asks_for_nothing() {
    for (at, directives, status) in [
        (0, "only-if-cached", 200),
        (1000, "only-if-cached", 200),
        (1201, "only-if-cached", 504),
        (1201, "only-if-cached, max-stale", 200),
        (100, "only-if-cached, max-age=99", 504),
        (0, "only-if-cached, no-cache", 504),
    ] {
        let fixture = Fixture::new();
        fixture.ask("").await;
        advance(at * SECOND).await;
        assert_eq!(fixture.ask(directives).await.status, status, "{at} s, {directives:?}");
        sleep(SECOND).await;
        assert_eq!(fixture.calls(), 1, "{at} s, {directives:?}");
    }
}
