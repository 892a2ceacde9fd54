use super::*;
use crate::upstream::Error::Incomplete;

#[tokio::test]
async fn streams_both_ways_at_once() {
    let (upstream, mut calls) = by_hand();
    let (forward, _) = forward(upstream);
    let (up, body) = sent_by_hand();
    let mut exchange = Box::pin(forward.oneshot(request(Method::QUERY, "/", body)));
    assert!(exchange.as_mut().now_or_never().is_none());

    let (mut call, response) = calls.recv().await.unwrap();
    up.send(data("ping")).unwrap();
    assert_eq!(
        call.body_mut()
            .frame()
            .await
            .unwrap()
            .unwrap()
            .into_data()
            .unwrap(),
        "ping"
    );

    let (down, body) = sent_by_hand();
    response.send(Ok(Response::new(body))).unwrap();
    let mut response = exchange.await.unwrap();
    down.send(data("pong")).unwrap();
    assert_eq!(
        response
            .body_mut()
            .frame()
            .await
            .unwrap()
            .unwrap()
            .into_data()
            .unwrap(),
        "pong"
    );

    up.send(data("more")).unwrap();
    assert_eq!(
        call.body_mut()
            .frame()
            .await
            .unwrap()
            .unwrap()
            .into_data()
            .unwrap(),
        "more"
    );
    drop((up, down));
    assert!(call.body_mut().frame().await.is_none());
    assert!(response.body_mut().frame().await.is_none());
}

#[tokio::test]
async fn passes_announced_trailers_both_ways() {
    let sum = || {
        HeaderMap::from_iter(
            [("x-sum", 1), ("x-other", 2)]
                .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from(value))),
        )
    };
    let (upstream, mut calls) = by_hand();
    let (forward, _) = forward(upstream);
    let mut request =
        request(Method::POST, "/", streamed(vec![data("x"), Ok(Frame::trailers(sum()))]));
    request
        .headers_mut()
        .insert(TRAILER, HeaderValue::from_static("X-Sum, Authorization"));
    let exchange = tokio::spawn(forward.oneshot(request));

    let (call, response) = calls.recv().await.unwrap();
    assert_eq!(call.headers()[TRAILER], "x-sum");
    let trailers = call
        .into_body()
        .collect()
        .await
        .unwrap()
        .trailers()
        .cloned()
        .unwrap();
    assert_eq!(trailers.keys().collect::<Vec<_>>(), ["x-sum"]);

    let responded = Response::new(streamed(vec![data("x"), Ok(Frame::trailers(sum()))]));
    response.send(Ok(responded)).unwrap();
    let response = exchange
        .await
        .unwrap()
        .unwrap()
        .into_body()
        .collect()
        .await
        .unwrap();
    assert!(response.trailers().is_none(), "they were not announced");
}

#[tokio::test(start_paused = true)]
async fn cuts_a_response_that_falls_silent_and_never_ends_it() {
    let (upstream, mut calls) = by_hand();
    let (forward, _) = forward(upstream);
    let exchange = tokio::spawn(forward.oneshot(request(Method::GET, "/", Body::empty())));
    let (_, response) = calls.recv().await.unwrap();
    let (down, body) = sent_by_hand();
    response.send(Ok(Response::new(body))).unwrap();
    let mut body = exchange.await.unwrap().unwrap().into_body();
    down.send(data("x")).unwrap();
    assert!(matches!(body.frame().await, Some(Ok(_))));
    advance(100 * SECOND).await;
    down.send(data("y")).unwrap();
    assert!(matches!(body.frame().await, Some(Ok(_))), "the client was slow, not the upstream");
    assert!(matches!(body.frame().await, Some(Err(_))));
}

#[tokio::test]
async fn shows_the_client_a_response_of_its_own() {
    let (upstream, _) = responding(|| {
        let mut response = ok();
        *response.version_mut() = Version::HTTP_10;
        *response.status_mut() = StatusCode::FOUND;
        let headers = response.headers_mut();
        headers.insert(CONNECTION, HeaderValue::from_static("close, x-hop"));
        headers.insert("x-hop", HeaderValue::from_static("1"));
        headers.insert(LOCATION, HeaderValue::from_static("https://sync.example/a#b"));
        headers.insert("set-cookie", HeaderValue::from_static("c=1"));
        response
    });
    let (forward, dropped) = forward(upstream);
    let response = forward
        .oneshot(request(Method::GET, "/", Body::empty()))
        .await
        .unwrap();
    assert_eq!(response.status(), StatusCode::FOUND);
    assert_eq!(response.version(), Version::HTTP_11);
    assert_eq!(
        sorted(response.headers()),
        [("location", "/a#b"), ("set-cookie", "c=1"), ("via", "1.0 vingate")]
    );
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "fine");
    assert!(dropped.lock().is_empty(), "a read drops nothing");
}

#[tokio::test]
async fn drops_what_a_credential_filled_that_the_upstream_refuses() {
    let partition = InvalidationScope {
        partition: Some(Partition::new(&MINE)),
        ..InvalidationScope::default()
    };
    let unauthorized = (partition, Cause::Unauthorized, None);
    for (status, is_account, challenge, proxy_status, drops) in [
        (401, false, Some("Basic"), None, true),
        (403, false, Some("Basic"), None, true),
        (401, true, None, Some("vingate; received-status=401"), false),
        (403, true, Some("Basic"), None, false),
        (404, false, Some("Basic"), None, false),
    ] {
        let (upstream, mut calls) = by_hand();
        let (forward, dropped) = forward(upstream);
        let mut request = request(Method::GET, "/", Body::empty());
        request
            .extensions_mut()
            .insert(Credential { digest: Some(MINE), is_account });
        let exchange = tokio::spawn(forward.oneshot(request));
        let response = Response::builder()
            .status(status)
            .header(WWW_AUTHENTICATE, "Basic");
        let response = response.body(Body::empty()).unwrap();
        calls.recv().await.unwrap().1.send(Ok(response)).unwrap();
        let response = exchange.await.unwrap().unwrap();
        let field = |name| {
            response
                .headers()
                .get(name)
                .map(|value| value.to_str().unwrap())
        };
        assert_eq!(field("www-authenticate"), challenge, "{status}");
        assert_eq!(field("proxy-status"), proxy_status, "{status}");
        let want = if drops { vec![unauthorized.clone()] } else { vec![] };
        assert_eq!(*dropped.lock(), want, "{status}");
    }
    let (upstream, mut calls) = by_hand();
    let (forward, dropped) = forward(upstream);
    let mut request = request(Method::GET, "/", Body::empty());
    let own = Credential { digest: Some(MINE), is_account: false };
    request.extensions_mut().insert(own);
    let exchange = tokio::spawn(forward.oneshot(request));
    let mut response = Response::new(streamed(vec![Err("torn".into())]));
    *response.status_mut() = StatusCode::UNAUTHORIZED;
    calls.recv().await.unwrap().1.send(Ok(response)).unwrap();
    exchange.await.unwrap().unwrap_err();
    assert_eq!(*dropped.lock(), [unauthorized], "a refusal that breaks off is one, too");
}

#[tokio::test]
async fn refuses_a_switch_of_protocols_that_was_not_requested() {
    let (upstream, _) = responding(|| {
        let response = Response::builder()
            .status(101)
            .header("upgrade", "websocket");
        response
            .header("connection", "upgrade")
            .body(Body::empty())
            .unwrap()
    });
    let (forward, _) = forward(upstream);
    let refused = forward
        .oneshot(request(Method::GET, "/", Body::empty()))
        .await
        .unwrap_err();
    assert!(matches!(refused, Error::UnaskedUpgrade));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_breaks_before_its_first_frame_is_no_response() {
    let torn = || Err(BodyError::from("malformed chunk"));
    for (frames, is_refused) in [
        (vec![torn()], true),
        (vec![data("x"), torn()], false),
        (vec![data("x")], false),
        (vec![], false),
    ] {
        let (upstream, mut calls) = by_hand();
        let (forward, _) = forward(upstream);
        let exchange = tokio::spawn(forward.oneshot(request(Method::GET, "/", Body::empty())));
        let response = Response::new(streamed(frames));
        calls.recv().await.unwrap().1.send(Ok(response)).unwrap();
        let refused = matches!(exchange.await.unwrap(), Err(Error::Upstream(Incomplete(..))));
        assert_eq!(refused, is_refused);
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_does_not_wait_long_for_a_body_that_begins_later() {
    let (upstream, mut calls) = by_hand();
    let (forward, _) = forward(upstream);
    let exchange = tokio::spawn(forward.oneshot(request(Method::GET, "/", Body::empty())));
    let (_, response) = calls.recv().await.unwrap();
    let (down, body) = sent_by_hand();
    let began_at = tokio::time::Instant::now();
    response.send(Ok(Response::new(body))).unwrap();
    let response = exchange.await.unwrap().unwrap();
    assert!(began_at.elapsed() < SECOND / 10, "the clock is the test's");
    down.send(data("x")).unwrap();
    drop(down);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "x");
}

#[tokio::test]
async fn a_frame_that_is_read_ahead_is_passed_on_and_counts_in_the_length() {
    let (upstream, _) = responding(|| Response::new(Body::full("fine")));
    let (forward, _) = forward(upstream);
    let response = forward
        .oneshot(request(Method::GET, "/", Body::empty()))
        .await
        .unwrap();
    assert_eq!(response.body().size_hint().exact(), Some(4));
    assert!(!response.body().is_end_stream());
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "fine");
}
