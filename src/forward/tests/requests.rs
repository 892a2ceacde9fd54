use super::*;

#[tokio::test]
async fn sends_the_clients_request_with_a_head_of_its_own() {
    let (upstream, seen) = responding(ok);
    let (forward, _) = forward(upstream);
    let mut request = request(Method::GET, "http://user@gate:8080/a%2fb?c=%20+", Body::empty());
    *request.version_mut() = Version::HTTP_2;
    let headers = request.headers_mut();
    headers.insert("x-forwarded-for", HeaderValue::from_static("1.1.1.1"));
    headers.insert("x-request-id", HeaderValue::from_static("r1"));
    headers.insert("te", HeaderValue::from_static("gzip, Trailers"));
    forward.oneshot(request).await.unwrap();

    let request = seen.lock().pop().unwrap();
    assert_eq!(request.uri(), "/a%2fb?c=%20+");
    assert_eq!(request.version(), Version::HTTP_11);
    assert_eq!(
        sorted(request.headers()),
        [
            ("connection", "te"),
            ("forwarded", "for=203.0.113.9;host=\"gate:8080\";proto=http"),
            ("te", "trailers"),
            ("via", "2 vingate"),
            ("x-forwarded-for", "203.0.113.9"),
            ("x-forwarded-host", "gate:8080"),
            ("x-forwarded-proto", "http"),
            ("x-request-id", "r1"),
        ]
    );
}

#[tokio::test]
async fn believes_a_trusted_proxy() {
    let (upstream, seen) = responding(ok);
    let (forward, _) = forward(upstream);
    let mut request = request(Method::GET, "/", Body::empty());
    request
        .headers_mut()
        .insert("x-forwarded-for", HeaderValue::from_static("1.1.1.1"));
    let peer = Peer::new("192.0.2.1:5".parse().unwrap(), true);
    RequestContext::of_mut(request.extensions_mut()).peer =
        Some(Peer { is_trusted_proxy: true, ..peer });
    forward.oneshot(request).await.unwrap();
    assert_eq!(seen.lock()[0].headers()["x-forwarded-for"], "1.1.1.1, 192.0.2.1");
}

#[tokio::test]
async fn says_that_there_is_no_content_where_some_is_expected() {
    let (upstream, seen) = responding(ok);
    let (forward, _) = forward(upstream);
    for (method, body, length) in [
        (Method::POST, Body::empty(), Some("0")),
        (Method::PUT, Body::empty(), Some("0")),
        (Method::PATCH, Body::empty(), Some("0")),
        (Method::DELETE, Body::empty(), None),
        (Method::GET, Body::empty(), None),
        (Method::POST, streamed(vec![data("1")]), None),
    ] {
        let case = format!("{method} {body:?}");
        forward
            .clone()
            .oneshot(request(method, "/", body))
            .await
            .unwrap();
        let sent = seen.lock().pop().unwrap();
        let found = sent.headers().get(CONTENT_LENGTH);
        assert_eq!(found.map(|length| length.as_bytes()), length.map(str::as_bytes), "{case}");
    }
}

#[tokio::test]
async fn sends_a_get_body_of_unknown_length_in_one_piece() {
    let (upstream, seen) = responding(ok);
    let (forward, _) = forward(upstream);
    let mut exchange = request(Method::GET, "/", streamed(vec![data("12"), data("34")]));
    exchange
        .headers_mut()
        .insert(TRAILER, HeaderValue::from_static("x-sum"));
    exchange
        .headers_mut()
        .insert(CONTENT_LENGTH, HeaderValue::from_static("9"));
    forward.clone().oneshot(exchange).await.unwrap();
    assert_eq!(seen.lock()[0].body(), "1234");
    assert!(!seen.lock()[0].headers().contains_key(TRAILER), "none can follow");
    assert!(!seen.lock()[0].headers().contains_key(CONTENT_LENGTH), "it was a lie");

    let body = streamed(vec![Ok(Frame::data(vec![b'x'; 65].into()))]);
    let refused = forward
        .oneshot(request(Method::HEAD, "/", body))
        .await
        .unwrap_err();
    assert!(matches!(refused, Error::Body(Failure::TooLarge { limit: 64 })));
    assert_eq!(seen.lock().len(), 1, "nothing was sent");
}

#[tokio::test]
async fn blames_the_client_for_an_incomplete_body_whatever_the_response() {
    let (upstream, mut calls) = by_hand();
    let (forward, _) = forward(upstream);
    for has_response in [true, false] {
        let body = streamed(vec![data("x"), Err("bad chunk".into())]);
        let exchange = tokio::spawn(forward.clone().oneshot(request(Method::QUERY, "/", body)));
        let (call, response) = calls.recv().await.unwrap();
        assert!(call.into_body().collect().await.is_err(), "it never looks whole");
        let responded = if has_response { Ok(ok()) } else { Err(upstream::Error::Timeout) };
        response.send(responded).unwrap();
        let refused = exchange.await.unwrap().unwrap_err();
        assert!(matches!(refused, Error::Body(Failure::Incomplete(_))));
    }
}

#[tokio::test(start_paused = true)]
async fn ends_a_silent_body_of_a_client() {
    let (upstream, _) = responding(ok);
    let (forward, dropped) = forward(upstream);
    let (up, body) = sent_by_hand();
    up.send(data("x")).unwrap();
    let refused = forward
        .oneshot(request(Method::POST, "/", body))
        .await
        .unwrap_err();
    assert!(matches!(refused, Error::Body(Failure::Idle)));
    assert_eq!(dropped.lock()[0].2, Some(20 * SECOND), "nobody knows what was done");
}

#[test]
fn a_call_is_reserved_for_as_many_vehicles_as_the_request_asks_for() {
    let nothing = Arc::new(Recording(Dropped::default()));
    let context = context(nothing, None, None);
    let mut request = Request::new(Body::empty());
    assert_eq!(reservation(&request, &context).vehicles, 0);
    RequestContext::of_mut(request.extensions_mut()).vehicles = 300;
    assert_eq!(reservation(&request, &context).vehicles, 300);
}
