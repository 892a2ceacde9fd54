//! Small look-ups that share calls.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

/// Small are look-ups of one vehicle or two.
const GATHERING: Sizes = Sizes { gather_from: 2, ..MANY_AT_ONCE };

const LEAST: Duration = Duration::from_millis(25);

/// Two calls under way, so that others gather.
async fn busy(loader: &Loader, calls: &mut Calls) -> [Call; 2] {
    let _one = ask(loader, &[101]);
    let one = calls.next_for(&[101]).await;
    let _other = ask(loader, &[102]);
    [one, calls.next_for(&[102]).await]
}

#[tokio::test(start_paused = true)]
async fn small_look_ups_leave_at_once_and_gather_while_two_are_under_way() {
    let (loader, mut calls) = loader(GATHERING);
    let began_at = Instant::now();
    let _busy = busy(&loader, &mut calls).await;
    assert_eq!(began_at.elapsed(), Duration::ZERO, "who is alone waits for nobody");
    let first = ask(&loader, &[1, 2]);
    calls.are_none().await;
    tokio::time::advance(Duration::from_millis(12)).await;
    let later = [ask(&loader, &[3]), ask_as(&loader, &[4], MINE, "no-cache")];
    calls.are_none().await;
    let call = calls.next_for(&[1, 2, 3, 4]).await;
    assert_eq!(began_at.elapsed(), LEAST, "for as long as the first may wait");
    call.fill().await;
    for asking in later.into_iter().chain([first]) {
        assert!(asking.end().await.iter().all(Result::is_ok));
    }
}

#[tokio::test(start_paused = true)]
async fn a_gathering_goes_when_a_call_returns_when_it_is_full_and_with_a_larger_one() {
    let (loader, mut calls) = loader(GATHERING);
    let began_at = Instant::now();
    let [one, _other] = busy(&loader, &mut calls).await;
    let returned = [ask(&loader, &[1]), ask(&loader, &[2])];
    calls.are_none().await;
    one.fill().await;
    let _returned = calls.next_for(&[1, 2]).await;

    let full: Vec<_> = (10..15)
        .map(|n| ask(&loader, &[2 * n, 2 * n + 1]))
        .collect();
    let _full = calls
        .next_for(&[20, 21, 22, 23, 24, 25, 26, 27, 28, 29])
        .await;

    let along = ask(&loader, &[3]);
    calls.are_none().await;
    let larger = ask(&loader, &[4, 5, 6]);
    let _along = calls.next_for(&[4, 5, 6, 3]).await;
    assert_eq!(began_at.elapsed(), Duration::ZERO);
    let counted = |trigger: Trigger| loader.0.metrics.gathered[trigger].get();
    let counts = Trigger::ALL.map(counted);
    assert_eq!(counts, [2, 1, 1, 0, 1], "{:?}", Trigger::ALL);
    drop((returned, full, along, larger));
}

#[tokio::test(start_paused = true)]
async fn another_configuration_loses_nobody_and_gathers_who_came_before_with_who_comes_after() {
    let (loader, mut calls) = loader(GATHERING);
    let [one, _other] = busy(&loader, &mut calls).await;
    let before = ask(&loader, &[1]);
    calls.are_none().await;
    let loader = reloaded(&loader, Sizes { max_parallel: 2, ..GATHERING });
    let after = ask(&loader, &[2]);
    calls.are_none().await;
    one.fill().await;
    calls.next_for(&[1, 2]).await.fill().await;
    for asking in [before, after] {
        assert_eq!(asking.end().await, [Ok(())]);
    }
}

#[tokio::test(start_paused = true)]
async fn the_wait_is_a_quarter_of_a_call_and_the_next_waits_when_the_first_leaves() {
    let (loader, mut calls) = loader(GATHERING);
    for n in 0..3 {
        let asking = ask(&loader, &[n]);
        let call = calls.next_for(&[n]).await;
        tokio::time::advance(Duration::from_millis(200)).await;
        call.fill().await;
        asking.end().await;
    }
    let _busy = busy(&loader, &mut calls).await;
    let first = ask(&loader, &[11]);
    calls.are_none().await;
    tokio::time::advance(Duration::from_millis(20)).await;
    let _second = ask(&loader, &[12]);
    calls.are_none().await;
    first.0.abort();
    let began_at = Instant::now();
    let _call = calls.next_for(&[12]).await;
    assert_eq!(began_at.elapsed(), Duration::from_millis(50));
}

/// One call under way, and eight more that one client wants with credentials of its own.
async fn greedy(loader: &Loader, calls: &mut Calls) -> (Call, Vec<Asking>) {
    let asking: Vec<_> = (0..9)
        .map(|n| ask_by(loader, &[n], Some(1), [100 + n as u8; 32], ""))
        .collect();
    (calls.next_for(&[0]).await, asking)
}

#[tokio::test(start_paused = true)]
async fn whoever_is_alone_takes_a_turn_of_its_own() {
    let (loader, mut calls) = loader(Sizes { max_in_flight: 1, ..GATHERING });
    let (call, _greedy) = greedy(&loader, &mut calls).await;
    let _other = ask_by(&loader, &[50], Some(2), MINE, "");
    pass().await;
    call.fill().await;
    // Both have a turn, and who came first has the first one.
    calls.next_for(&[1]).await.fill().await;
    let _call = calls.next_for(&[50]).await;
}

#[tokio::test(start_paused = true)]
async fn a_call_that_another_joins_waits_no_more_for_the_turn_of_the_first() {
    let (loader, mut calls) = loader(Sizes { max_in_flight: 1, ..GATHERING });
    let (call, _greedy) = greedy(&loader, &mut calls).await;
    let _last = ask_by(&loader, &[49], Some(1), MINE, "");
    calls.are_none().await;
    let _other = ask_by(&loader, &[50], Some(2), MINE, "");
    pass().await;
    call.fill().await;
    // Both have a turn, and who came first has the first one.
    calls.next_for(&[1]).await.fill().await;
    let _call = calls.next_for(&[49, 50]).await;
}

#[tokio::test(start_paused = true)]
async fn where_everything_is_off_a_look_up_is_a_call() {
    let (loader, mut calls) = loader(MANY_AT_ONCE);
    let mut asking = Vec::new();
    for n in 0..50 {
        asking.push(ask(&loader, &[n]));
        pass().await;
    }
    for n in 0..50 {
        let call = calls.next_for(&[n]).await;
        let vehicle = format!(r#"{{"vin":"3VWFE21C04M{n:06}","plate":"ABC123"}}"#);
        assert_eq!(call.text, format!(r#"{{"vehicles":[{vehicle}]}}"#));
        assert_eq!(call.request_id, Some(n.to_string()));
        call.fill().await;
    }
    calls.are_none().await;
    for asking in asking {
        assert_eq!(asking.end().await, [Ok(())]);
    }
    // Refreshes go at once.
    tokio::time::advance(901 * SECOND).await;
    for n in 0..3 {
        ask(&loader, &[n]).end().await;
        calls.next_for(&[n]).await.fill().await;
    }
    calls.are_none().await;
}

#[tokio::test(start_paused = true)]
async fn private_and_large_requests_wait_for_nobody() {
    let (loader, mut calls) = loader(GATHERING);
    let _busy = busy(&loader, &mut calls).await;
    let began_at = Instant::now();
    let _private = ask_as(&loader, &[1], MINE, "no-store");
    let _call = calls.next_for(&[1]).await;
    let _large = ask(&loader, &[2, 3, 4]);
    let _other = calls.next_for(&[2, 3, 4]).await;
    let _foreign = ask_as(&loader, &[5], [2; 32], "");
    let _its_own = calls.next_for(&[5]).await;
    assert_eq!(began_at.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn no_permit_for_a_gathering_is_none_for_all_of_it() {
    let (loader, mut calls) = loader(Sizes { max_in_flight: 2, ..GATHERING });
    let _busy = busy(&loader, &mut calls).await;
    let asking = [ask(&loader, &[1]), ask(&loader, &[2]), ask(&loader, &[3])];
    // As many as may wait for the two permits.
    let _waiting: Vec<_> = (200..232)
        .map(|n| ask_as(&loader, &[n], MINE, "no-store"))
        .collect();
    for asking in asking {
        assert_eq!(asking.end().await, [Err(None)]);
    }
    calls.are_none().await;
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(8))]

    /// Each vehicle is asked for with one credential only.
    #[test]
    fn two_credentials_are_never_in_one_call(
        arrivals in prop::collection::vec((0..4u8, 1..=3u32, 0..8u64), 2_000),
    ) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build();
        runtime.unwrap().block_on(arrive(arrivals));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 0, ..ProptestConfig::with_cases(1) })]

    /// The same for a hundred thousand.
    #[test]
    #[ignore = "takes a minute without optimization"]
    fn two_credentials_are_never_in_one_of_many_calls(
        arrivals in prop::collection::vec((0..4u8, 1..=3u32, 0..8u64), 100_000),
    ) {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build();
        runtime.unwrap().block_on(arrive(arrivals));
    }
}

/// Lets requests come in: with which credential, for how many vehicles, how many milliseconds later.
async fn arrive(arrivals: Vec<(u8, u32, u64)>) {
    let (loader, mut calls) = loader(GATHERING);
    let responding = tokio::spawn(async move {
        let mut made = Vec::new();
        while let Some(call) = calls.next_or_end().await {
            made.push((call.credential.clone(), call.numbers.clone()));
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(40)).await;
                call.fill().await;
            });
        }
        made
    });
    let arrived = arrivals.len();
    let (mut asking, mut credentials, mut next) = (Vec::new(), HashMap::new(), 0);
    for (credential, count, pause) in arrivals {
        let numbers: Vec<_> = (next..next + count).collect();
        next += count;
        credentials.extend(numbers.iter().map(|&n| (n, credential)));
        asking.push(ask_as(&loader, &numbers, [credential; 32], ""));
        tokio::time::sleep(Duration::from_millis(pause / 6)).await;
    }
    for asking in asking {
        assert!(asking.end().await.iter().all(Result::is_ok));
    }
    drop(loader);
    let made = responding.await.unwrap();
    let mut asked = 0;
    for (credential, numbers) in &made {
        asked += numbers.len();
        assert!(
            numbers
                .iter()
                .all(|n| credentials[n].to_string() == *credential)
        );
    }
    assert_eq!(asked, next as usize, "each once");
    assert!(4 * made.len() < 3 * arrived, "{} calls", made.len());
}
