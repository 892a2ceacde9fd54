//! Whom a refusal of the upstream reaches, and what is remembered of it.

use super::*;

const POISON: u32 = 3;

/// Several clients with a vehicle each wait for the one permit, one of them for the poisoned one.
async fn poisoned_call(loader: &Loader, calls: &mut Calls, numbers: &[u32]) -> Vec<Found> {
    let busy = ask(loader, &[999]);
    let call = calls.next_for(&[999]).await;
    let asking: Vec<_> = numbers
        .iter()
        .map(|&n| ask_by(loader, &[n], Some(n.into()), MINE, "no-cache"))
        .collect();
    pass().await;
    call.fill().await;
    busy.end().await;
    let mut found = Vec::new();
    for asking in asking {
        while !asking.0.is_finished() {
            if calls.are_some().await {
                respond(calls, &[POISON]).await;
            }
        }
        found.extend(asking.end().await);
    }
    found
}

#[tokio::test(start_paused = true)]
async fn a_vehicle_that_was_refused_is_refused_without_a_call_for_a_while() {
    let (loader, mut calls) = loader(ONE_AT_ONCE);
    let numbers: Vec<_> = (0..10).collect();
    let found = poisoned_call(&loader, &mut calls, &numbers).await;
    let refused = |found: &Found| *found == Err(Some(400));
    assert_eq!(found.iter().position(refused), Some(POISON as usize));
    assert_eq!(found.iter().filter(|found| found.is_ok()).count(), 9);
    assert_eq!(loader.0.metrics.isolations.get(), 1);

    let asking = ask(&loader, &[0, POISON]);
    assert_eq!(asking.end().await, [Ok(()), Err(Some(400))]);
    calls.are_none().await;
    let asking = ask_as(&loader, &[POISON], MINE, "no-cache");
    calls.next_for(&[POISON]).await.refuse(400).await;
    asking.end().await;
    let foreign = ask_as(&loader, &[POISON], [2; 32], "");
    calls.next_for(&[POISON]).await.fill().await;
    assert_eq!(foreign.end().await, [Ok(())]);
    tokio::time::advance(900 * SECOND).await;
    let asking = ask(&loader, &[POISON]);
    calls.next_for(&[POISON]).await.fill().await;
    assert_eq!(asking.end().await, [Ok(())]);
}

#[tokio::test(start_paused = true)]
async fn the_client_at_fault_travels_alone_for_a_minute() {
    let (loader, mut calls) = loader(ONE_AT_ONCE);
    poisoned_call(&loader, &mut calls, &[1, 2, POISON]).await;
    for (shares, n) in [(false, 997), (true, 998)] {
        let busy = ask(&loader, &[n]);
        let call = calls.next_for(&[n]).await;
        let asking = [(21, POISON), (22, 7), (23, POISON), (24, 8)]
            .map(|(n, client)| ask_by(&loader, &[n], Some(client.into()), MINE, "no-cache"));
        pass().await;
        call.fill().await;
        busy.end().await;
        let mut made = Vec::<Vec<u32>>::new();
        while made.concat().len() < 4 {
            let call = calls.next().await;
            made.push(call.numbers.clone());
            call.fill().await;
        }
        for asking in asking {
            asking.end().await;
        }
        match shares {
            false => assert_eq!(made, [vec![21], vec![22, 24], vec![23]]),
            true => assert_eq!(made, [[21, 22, 23, 24]]),
        }
        tokio::time::advance(60 * SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn where_too_much_would_have_to_be_found_out_all_travel_alone() {
    let (loader, mut calls) = loader(ONE_AT_ONCE);
    // Ten in a call, and all of them refused: five of two, and each by itself.
    for round in 0..2 {
        let busy = ask(&loader, &[998 - round]);
        let call = calls.next().await;
        let numbers = 10 * round..10 * round + 10;
        let asking: Vec<_> = numbers.clone().map(|n| ask(&loader, &[n])).collect();
        pass().await;
        call.fill().await;
        busy.end().await;
        let mut made = 0;
        for asking in asking {
            while !asking.0.is_finished() {
                if calls.are_some().await {
                    calls.next().await.refuse(400).await;
                    made += 1;
                }
            }
            assert_eq!(asking.end().await, [Err(Some(400))], "{round} {made}");
        }
        assert_eq!(made, 1 + 5 + 10);
    }
    let busy = ask(&loader, &[996]);
    let call = calls.next_for(&[996]).await;
    let asking: Vec<_> = (30..40).map(|n| ask(&loader, &[n])).collect();
    pass().await;
    call.fill().await;
    busy.end().await;
    calls.next().await.refuse(400).await;
    for asking in asking {
        assert_eq!(asking.end().await, [Err(None)], "it is looked up again");
    }
    let asking = [ask(&loader, &[30]), ask(&loader, &[31])];
    calls.next_for(&[30]).await.fill().await;
    calls.next_for(&[31]).await.fill().await;
    for asking in asking {
        assert_eq!(asking.end().await, [Ok(())]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_reaches_only_the_request_at_fault() {
    for (requests, poison, most_calls) in [
        (2, vec![1], 2),
        (10, vec![3], 10),
        (10, vec![0, 9], 14),
        (64, vec![1, 30, 60], 24),
        (500, vec![321], 24),
        (500, vec![100, 400], 24),
    ] {
        let sizes = Sizes { chunk: 500, ..ONE_AT_ONCE };
        let (loader, mut calls) = loader(sizes);
        let _busy = ask(&loader, &[999_999]);
        let busy = calls.next().await;
        let asking: Vec<_> = (0..requests).map(|n| ask(&loader, &[n])).collect();
        // More wait than may for a permit; those that are refused are not in the way.
        pass().await;
        busy.fill().await;
        assert!(respond(&mut calls, &poison).await > 1);
        let at_fault: Vec<_> = poison.iter().map(|&number| number as usize).collect();
        let done = Arc::new(PlainMutex::new(0));
        let responded = Arc::clone(&done);
        let responding = tokio::spawn(async move {
            loop {
                respond(&mut calls, &poison).await;
                *responded.lock() += 1;
            }
        });
        let mut refused = Vec::new();
        for (n, request) in asking.into_iter().enumerate() {
            match request.end().await[0] {
                Ok(()) => {}
                Err(status) => refused.push((n, status)),
            }
        }
        responding.abort();
        let (refused, crowded): (Vec<_>, Vec<_>) = refused
            .into_iter()
            .partition(|(_, status)| status.is_some());
        assert!(requests < 100 || crowded.len() > 400, "{}", crowded.len());
        for (n, status) in refused {
            assert!(status == Some(400) && at_fault.contains(&n), "{n} of {requests}: {status:?}");
        }
        assert!(*done.lock() <= most_calls, "{} calls", done.lock());
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_the_upstream_reaches_all_whose_vehicles_the_call_carried() {
    let (loader, mut calls) = loader(ONE_AT_ONCE);
    let _first = ask(&loader, &[1]);
    let call = calls.next_for(&[1]).await;
    let waiting = [ask(&loader, &[2]), ask(&loader, &[3])];
    pass().await;
    call.fill().await;
    calls.next_for(&[2, 3]).await.refuse(503).await;
    for request in waiting {
        assert_eq!(request.end().await, [Err(Some(503))]);
    }
    calls.are_none().await;
}
