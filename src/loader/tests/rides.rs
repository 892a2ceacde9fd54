//! Vehicles that travel in the free room of calls.

use super::*;

/// Calls of 200, so that a hundred vehicles leave room.
const RIDING: Sizes = Sizes {
    chunk: 200,
    ride: Duration::from_secs(60),
    refresh_wait: Duration::from_secs(5),
    ..MANY_AT_ONCE
};

/// Fetches these, and serves them once.
async fn serve(loader: &Loader, calls: &mut Calls, numbers: &[u32]) {
    for times in 0..2 {
        let asking = ask(loader, numbers);
        if times == 0 {
            calls.next_for(numbers).await.fill().await;
        }
        assert!(asking.end().await.iter().all(Result::is_ok));
    }
}

fn many(first: u32) -> Vec<u32> {
    (first..first + 100).collect()
}

/// The next call has these first, and then so many in any order.
async fn next_with_riders(calls: &mut Calls, first: &[u32], riders: &[u32]) -> Call {
    let call = calls.next().await;
    let (own, others) = call.numbers.split_at(first.len());
    assert_eq!(own, first);
    let mut others = others.to_vec();
    others.sort_unstable();
    assert_eq!(others, riders);
    call
}

#[tokio::test(start_paused = true)]
async fn what_expires_soon_and_was_served_rides_on_large_calls_and_on_those_nobody_waits_for() {
    let (loader, mut calls) = loader(RIDING);
    serve(&loader, &mut calls, &[1, 2]).await;
    let unread = ask(&loader, &[3]);
    calls.next_for(&[3]).await.fill().await;
    unread.end().await;
    tokio::time::advance(100 * SECOND).await;
    serve(&loader, &mut calls, &[9]).await;

    tokio::time::advance(735 * SECOND).await;
    // A minute and more is left to all of them.
    let asking = ask(&loader, &many(1000));
    next_with_riders(&mut calls, &many(1000), &[])
        .await
        .fill()
        .await;
    asking.end().await;
    tokio::time::advance(10 * SECOND).await;
    let asking = ask(&loader, &[50]);
    next_with_riders(&mut calls, &[50], &[]).await.fill().await;
    asking.end().await;
    let foreign = ask_as(&loader, &many(2000), [2; 32], "");
    next_with_riders(&mut calls, &many(2000), &[])
        .await
        .fill()
        .await;
    foreign.end().await;
    let private = ask_as(&loader, &many(2000), MINE, "no-store");
    next_with_riders(&mut calls, &many(2000), &[])
        .await
        .fill()
        .await;
    private.end().await;

    let asking = ask(&loader, &many(3000));
    let call = next_with_riders(&mut calls, &many(3000), &[1, 2]).await;
    // They are under way, and are not asked for again; the old ones are served meanwhile.
    let other = ask(&loader, &many(4000));
    next_with_riders(&mut calls, &many(4000), &[])
        .await
        .fill()
        .await;
    assert_eq!(ask(&loader, &[1, 2]).end().await, [Ok(()), Ok(())]);
    call.fill().await;
    asking.end().await;
    other.end().await;

    // The third was never served: it is refreshed when somebody asks for it, after its time.
    tokio::time::advance(140 * SECOND).await;
    assert_eq!(ask(&loader, &[1, 2, 3]).end().await, [Ok(()), Ok(()), Ok(())]);
    next_with_riders(&mut calls, &[3], &[9]).await.fill().await;
    calls.are_none().await;
}

#[tokio::test(start_paused = true)]
async fn a_rider_that_a_write_touches_or_that_fails_is_stored_by_nobody() {
    let (loader, mut calls) = loader(RIDING);
    serve(&loader, &mut calls, &[1, 2]).await;
    tokio::time::advance(850 * SECOND).await;
    let asking = ask(&loader, &many(1000));
    let call = next_with_riders(&mut calls, &many(1000), &[1, 2]).await;
    let scope = InvalidationScope { vins: vec![vehicle(2).vin], ..<_>::default() };
    loader
        .cache()
        .invalidate(scope, Cause::OtherWrite, None)
        .await;
    call.refuse(503).await;
    assert!(asking.end().await.iter().all(Result::is_err));
    let asking = ask(&loader, &[1, 2]);
    next_with_riders(&mut calls, &[2], &[]).await.fill().await;
    assert_eq!(asking.end().await, [Ok(()), Ok(())]);
}

#[tokio::test(start_paused = true)]
async fn riders_that_nobody_asks_for_become_few() {
    let (loader, mut calls) = loader(RIDING);
    let riders = many(0);
    serve(&loader, &mut calls, &riders).await;
    tokio::time::advance(850 * SECOND).await;
    let mut first = 1000;
    let mut rode = Vec::new();
    for round in 0..4 {
        // Served only before the first ride.
        let asking = ask(&loader, &many(first));
        let call = calls.next().await;
        rode.push(call.numbers.len() - 100);
        call.fill().await;
        asking.end().await;
        first += 100;
        tokio::time::advance(916 * SECOND).await;
        if round == 1 {
            serve(&loader, &mut calls, &riders).await;
            tokio::time::advance(850 * SECOND).await;
        }
    }
    let ends = [true, false].map(|was_served| loader.0.metrics.riders_ended(was_served));
    assert_eq!((rode, ends), (vec![100, 0, 32, 0], [0, 132]));
}

#[tokio::test(start_paused = true)]
async fn without_rides_calls_have_what_was_asked_for() {
    let (loader, mut calls) = loader(Sizes { ride: Duration::ZERO, ..RIDING });
    serve(&loader, &mut calls, &[1, 2]).await;
    tokio::time::advance(850 * SECOND).await;
    let asking = ask(&loader, &many(1000));
    calls.next_for(&many(1000)).await.fill().await;
    asking.end().await;
}
