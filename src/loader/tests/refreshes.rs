//! Refreshes that travel with other calls of their account.

use super::*;

const LANE: Sizes = Sizes { refresh_wait: Duration::from_secs(5), ..MANY_AT_ONCE };

/// Fills these and lets their time pass, so that the next who asks refreshes them.
async fn stale(loader: &Loader, calls: &mut Calls, numbers: &[u32]) {
    for numbers in numbers.chunks(10) {
        let asking = ask(loader, numbers);
        calls.next_for(numbers).await.fill().await;
        asking.end().await;
    }
    tokio::time::advance(901 * SECOND).await;
}

#[tokio::test(start_paused = true)]
async fn a_refresh_waits_for_a_call_of_its_account() {
    let (loader, mut calls) = loader(LANE);
    stale(&loader, &mut calls, &[1, 2]).await;
    for n in [1, 2] {
        assert_eq!(ask(&loader, &[n]).end().await, [Ok(())], "what is held is served at once");
    }
    let foreign = ask_as(&loader, &[8], [2; 32], "");
    calls.next_for(&[8]).await.fill().await;
    let private = ask_as(&loader, &[9], MINE, "no-store");
    calls.next_for(&[9]).await.fill().await;
    tokio::time::advance(4 * SECOND).await;
    calls.are_none().await;
    let asking = ask(&loader, &[3]);
    calls.next_for(&[3, 1, 2]).await.fill().await;
    assert_eq!(asking.end().await, [Ok(())]);
    tokio::time::advance(900 * SECOND).await;
    calls.are_none().await;
    drop((foreign, private));
}

#[tokio::test(start_paused = true)]
async fn refreshes_without_company_go_when_their_time_is_over() {
    let (loader, mut calls) = loader(LANE);
    stale(&loader, &mut calls, &[1, 2]).await;
    let began_at = Instant::now();
    ask(&loader, &[1]).end().await;
    tokio::time::advance(3 * SECOND).await;
    ask(&loader, &[2]).end().await;
    calls.next_for(&[1, 2]).await.fill().await;
    assert_eq!(began_at.elapsed(), 5 * SECOND, "for as long as the first may wait");
    assert_eq!(ask(&loader, &[1, 2]).end().await, [Ok(()), Ok(())]);
    calls.are_none().await;
}

#[tokio::test(start_paused = true)]
async fn refreshes_that_fill_a_call_go_at_once_and_others_take_what_room_there_is() {
    let (loader, mut calls) = loader(LANE);
    stale(&loader, &mut calls, &(0..14).collect::<Vec<_>>()).await;
    let began_at = Instant::now();
    let early: Vec<_> = (0..6).collect();
    ask(&loader, &early).end().await;
    let mut missed: Vec<_> = (20..27).collect();
    let asking = ask(&loader, &missed);
    // What somebody waits for is not cut for them.
    missed.extend([0, 1, 2]);
    calls.next_for(&missed).await.fill().await;
    assert!(asking.end().await.iter().all(Result::is_ok));
    ask(&loader, &(6..14).collect::<Vec<_>>()).end().await;
    // Eleven are more than one call takes.
    calls.next_for(&[3, 4, 5, 6, 7, 8]).await.fill().await;
    assert_eq!(began_at.elapsed(), Duration::ZERO);
    calls.next_for(&[9, 10, 11, 12, 13]).await.fill().await;
    assert_eq!(began_at.elapsed(), 5 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_fails_fails_for_nobody() {
    let (loader, mut calls) = loader(LANE);
    stale(&loader, &mut calls, &[1]).await;
    let asking = ask(&loader, &[1, 2]);
    pass().await;
    calls.next_for(&[2, 1]).await.refuse(503).await;
    assert_eq!(asking.end().await, [Ok(()), Err(Some(503))]);
    let asking = ask(&loader, &[1, 3]);
    calls.next_for(&[3, 1]).await.fill().await;
    assert_eq!(asking.end().await, [Ok(()), Ok(())]);
}

#[tokio::test(start_paused = true)]
async fn a_refresh_that_is_refused_is_cut_from_the_others() {
    let (loader, mut calls) = loader(LANE);
    stale(&loader, &mut calls, &(0..9).collect::<Vec<_>>()).await;
    ask(&loader, &(0..9).collect::<Vec<_>>()).end().await;
    tokio::time::advance(5 * SECOND).await;
    // All, five of two, and those two by themselves.
    for _ in 0..8 {
        respond(&mut calls, &[4]).await;
    }
    calls.are_none().await;
    // The others are fresh; that one is served as it was, and not asked for again at once.
    ask(&loader, &(0..9).collect::<Vec<_>>()).end().await;
    tokio::time::advance(5 * SECOND).await;
    calls.are_none().await;
}
