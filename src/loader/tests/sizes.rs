//! Calls that are too large for the upstream.

use super::*;

const LARGE: Sizes = Sizes { chunk: 200, ..MANY_AT_ONCE };

/// Fills calls of at most so many vehicles, and lets larger ones fail. Gives the sizes of calls,
/// when nobody asks any more.
async fn respond_up_to(mut calls: Calls, most: usize, status: u16) -> Vec<usize> {
    let mut sizes = Vec::new();
    while let Some(call) = calls.next_or_end().await {
        sizes.push(call.numbers.len());
        match call.numbers.len() > most {
            true => call.refuse(status).await,
            false => call.fill().await,
        }
    }
    sizes
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_too_large_is_made_in_parts_and_later_ones_are_smaller() {
    for status in [504, 413] {
        let (loader, calls) = loader(LARGE);
        let responding = tokio::spawn(respond_up_to(calls, 60, status));
        let found = ask(&loader, &(0..200).collect::<Vec<_>>()).end().await;
        assert!(found.iter().all(Result::is_ok));
        let found = ask(&loader, &(200..300).collect::<Vec<_>>()).end().await;
        assert!(found.iter().all(Result::is_ok));
        drop(loader);
        assert_eq!(responding.await.unwrap(), [200, 100, 100, 50, 50, 50, 50, 50, 50]);
    }
}

#[tokio::test(start_paused = true)]
async fn another_configuration_forgets_no_size() {
    let (before, calls) = loader(LARGE);
    let responding = tokio::spawn(respond_up_to(calls, 100, 413));
    let _ = ask(&before, &(0..200).collect::<Vec<_>>()).end().await;
    let after = reloaded(&before, Sizes { chunk: 150, ..LARGE });
    let _ = ask(&after, &(200..350).collect::<Vec<_>>()).end().await;
    drop((before, after));
    assert_eq!(responding.await.unwrap(), [200, 100, 100, 75, 75]);
}

#[tokio::test(start_paused = true)]
async fn others_accounts_and_few_vehicles_are_not_cut() {
    let (loader, calls) = loader(LARGE);
    let responding = tokio::spawn(respond_up_to(calls, 0, 413));
    let few: Vec<_> = (0..25).collect();
    assert_eq!(ask(&loader, &few).end().await, vec![Err(Some(413)); 25]);
    let _ = ask(&loader, &(100..200).collect::<Vec<_>>()).end().await;
    let _ = ask_as(&loader, &(100..200).collect::<Vec<_>>(), [2; 32], "")
        .end()
        .await;
    drop(loader);
    let sizes = responding.await.unwrap();
    assert_eq!(sizes, [25, 100, 50, 50, 25, 25, 25, 25, 100, 50, 50, 25, 25, 25, 25]);
}

#[tokio::test(start_paused = true)]
async fn a_dead_upstream_is_not_asked_for_ever() {
    let (loader, calls) = loader(Sizes { chunk: 500, ..MANY_AT_ONCE });
    let responding = tokio::spawn(respond_up_to(calls, 0, 504));
    let found = ask(&loader, &(0..500).collect::<Vec<_>>()).end().await;
    assert_eq!(found, vec![Err(Some(504)); 500]);
    drop(loader);
    let sizes = responding.await.unwrap();
    assert!(sizes.len() <= 25, "{sizes:?}");
}

#[tokio::test(start_paused = true)]
async fn parts_are_cut_through_requests_and_the_last_failure_is_each_ones_own() {
    let (loader, mut calls) = loader(Sizes { chunk: 200, ..ONE_AT_ONCE });
    let busy = ask(&loader, &[999]);
    let call = calls.next_for(&[999]).await;
    let first = ask(&loader, &(0..40).collect::<Vec<_>>());
    let second = ask(&loader, &(40..60).collect::<Vec<_>>());
    pass().await;
    call.fill().await;
    calls
        .next_for(&(0..60).collect::<Vec<_>>())
        .await
        .refuse(504)
        .await;
    calls
        .next_for(&(0..30).collect::<Vec<_>>())
        .await
        .fill()
        .await;
    calls
        .next_for(&(30..60).collect::<Vec<_>>())
        .await
        .refuse(500)
        .await;
    let (first, second) = (first.end().await, second.end().await);
    assert!(first[..30].iter().all(Result::is_ok));
    assert_eq!(first[30..], [Err(Some(500)); 10]);
    assert_eq!(second, [Err(Some(500)); 20]);
    busy.end().await;
}
