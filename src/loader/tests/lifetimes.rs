//! Vehicles that are good for no time at all.

use super::*;

const SIZES: Sizes =
    Sizes { gather_from: 2, refresh_wait: SECOND, ride: Duration::from_secs(60), ..MANY_AT_ONCE };

fn lifetimes(finished: Duration) -> vehicle_cache::Lifetimes {
    vehicle_cache::Lifetimes {
        ttl: Ttl { finished, pending: SECOND, failed: SECOND, absent: SECOND, jitter: 0.1 },
        stale: StaleWindows { while_revalidate: 300 * SECOND, if_error: 3600 * SECOND },
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_never_fresh_is_asked_for_each_time_and_shared_by_who_waits_for_it() {
    let (loader, mut calls) = by_hand(SIZES, lifetimes(Duration::ZERO));
    for _ in 0..3 {
        let first = ask(&loader, &[1, 2]);
        let call = calls.next_for(&[1, 2]).await;
        let joining = [ask(&loader, &[1]), ask(&loader, &[2, 1])];
        calls.are_none().await;
        call.fill().await;
        for asking in joining.into_iter().chain([first]) {
            assert!(asking.end().await.iter().all(Result::is_ok));
        }
    }
    tokio::time::advance(10 * SECOND).await;
    calls.are_none().await;
    // Nothing is held that could stand in.
    let asking = ask(&loader, &[1]);
    calls.next_for(&[1]).await.refuse(503).await;
    assert_eq!(asking.end().await, [Err(Some(503))]);
}

#[tokio::test(start_paused = true)]
async fn what_is_never_fresh_any_more_takes_the_place_of_what_was() {
    let (loader, mut calls) = by_hand(SIZES, lifetimes(10 * SECOND));
    let asking = ask(&loader, &[1]);
    calls.next_for(&[1]).await.fill().await;
    asking.end().await;
    loader.cache().set_lifetimes(lifetimes(Duration::ZERO));
    tokio::time::advance(20 * SECOND).await;
    assert_eq!(ask(&loader, &[1]).end().await, [Ok(())], "it is stale, and refreshed");
    calls.next_for(&[1]).await.fill().await;
    let asking = ask(&loader, &[1]);
    calls.next_for(&[1]).await.fill().await;
    assert_eq!(asking.end().await, [Ok(())]);
}
