use proptest::prelude::*;

use super::*;
use crate::{
    forward::vehicle_refs::tests::{mentions, plate_of, vin_of, written},
    vehicle::{Plate, Vehicle, Vin},
    vehicle_cache::tests::{cache, fill, partition, seen},
};

#[tokio::test]
async fn drops_what_a_write_changed_before_its_response_leaves() {
    let (upstream, _) = responding(ok);
    let (forward, dropped) = forward(upstream);
    let body = Body::full(r#"{"plate":"A1"}"#);
    forward
        .oneshot(request(Method::POST, "/", body))
        .await
        .unwrap();
    assert_eq!(dropped.lock()[0].0.plates.len(), 1);
    assert_eq!(dropped.lock()[0].2, None);
}

#[tokio::test]
async fn runs_a_write_to_its_end_whoever_hangs_up() {
    let (upstream, mut calls) = by_hand();
    let (forward, dropped) = forward(upstream);
    let exchange = forward
        .clone()
        .oneshot(request(Method::DELETE, "/x", Body::empty()));
    let mut exchange = Box::pin(exchange);
    assert!(exchange.as_mut().now_or_never().is_none());
    drop(exchange);
    assert_eq!(dropped.lock()[0].2, Some(20 * SECOND), "given up: nobody knows");

    let (_, response) = calls.recv().await.unwrap();
    response
        .send(Ok(ok()))
        .expect("somebody waits for the response");
    forward.shared.tasks.close();
    forward.shared.tasks.wait().await;
    assert_eq!(dropped.lock().len(), 2);
    assert_eq!(dropped.lock()[1].2, None, "done");
}

#[tokio::test]
async fn stops_a_read_when_its_client_hangs_up() {
    let (upstream, mut calls) = by_hand();
    let (forward, _) = forward(upstream);
    let mut exchange = Box::pin(forward.oneshot(request(Method::GET, "/x", Body::empty())));
    assert!(exchange.as_mut().now_or_never().is_none());
    drop(exchange);
    assert!(calls.recv().await.unwrap().1.is_closed());
}

#[tokio::test]
async fn leaves_the_cache_alone_when_no_connection_could_be_made() {
    let upstream = Fake::new(|_| async { Err(upstream::Error::Connect("no route".into())) });
    let (forward, dropped) = forward(upstream.upstream());
    let refused = forward
        .oneshot(request(Method::PUT, "/", Body::full("{}")))
        .await
        .unwrap_err();
    assert!(matches!(refused, Error::Upstream(upstream::Error::Connect(_))));
    assert!(dropped.lock().is_empty());
}

#[tokio::test]
async fn a_write_that_waits_for_a_permit_goes_with_its_client() {
    let (fake, mut calls) = fake_by_hand();
    let (upstream, _) =
        fake.upstream_with(&upstream::Config { max_in_flight: 1, ..upstream::tests::config() });
    let other = Reservation::of(Kind::Buffered);
    let held = upstream.reserve(other).await.unwrap();
    let (forward, dropped) = forward(upstream);
    let write = || {
        Box::pin(
            forward
                .clone()
                .oneshot(request(Method::DELETE, "/x", Body::empty())),
        )
    };
    let mut exchange = write();
    assert!(exchange.as_mut().now_or_never().is_none());
    drop(exchange);
    drop(held);
    assert!(calls.try_recv().is_err() && dropped.lock().is_empty(), "nothing was sent");

    // One that has its permit runs to its end.
    let mut exchange = write();
    assert!(exchange.as_mut().now_or_never().is_none());
    let (_, response) = calls.recv().await.unwrap();
    drop(exchange);
    assert_eq!(dropped.lock().len(), 1);
    response.send(Ok(ok())).expect("somebody waits");
    forward.shared.tasks.close();
    forward.shared.tasks.wait().await;
    assert_eq!(dropped.lock()[1].2, None, "done");
}

#[tokio::test]
async fn a_call_goes_at_its_clients_pace_unless_its_request_is_buffered() {
    let get = Method::GET;
    for (method, body, waits) in [
        (&get, Body::empty(), false),
        (&get, streamed(vec![data("chunked")]), false),
        (&Method::PUT, Body::full("{}"), false),
        (&Method::PUT, streamed(vec![data("{}")]), true),
        (&Method::POST, streamed(vec![]), true),
    ] {
        let (fake, mut calls) = fake_by_hand();
        let config = upstream::Config { max_in_flight: 2, ..upstream::tests::config() };
        let (upstream, _) = fake.upstream_with(&config);
        // The half that streaming calls may have.
        let streaming = Reservation::of(Kind::Streaming);
        let _held = upstream.reserve(streaming).await.unwrap();
        let (forward, _) = forward(upstream);
        let mut exchange = Box::pin(forward.oneshot(request(method.clone(), "/x", body)));
        assert!(exchange.as_mut().now_or_never().is_none());
        tokio::task::yield_now().await;
        assert_eq!(calls.try_recv().is_err(), waits, "{method}");
    }
}

proptest! {
    /// In the path, the query, at any depth of the body, in other spellings; filled with a
    /// credential of somebody else.
    #[test]
    fn no_vehicle_that_a_write_names_stays_cached(mentions in mentions()) {
        let (path, query, body) = written(&mentions);
        let vehicle = |number| Vehicle {
            vin: Vin::parse(&vin_of(number)).unwrap(),
            plate: Plate::parse(&plate_of(number)).unwrap(),
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let cache = cache();
            let named: Vec<_> = mentions.iter().map(|&(number, ..)| vehicle(number)).collect();
            let other = (0..).find(|other| mentions.iter().all(|(number, ..)| number % 100_000 != *other));
            let other = vehicle(other.unwrap());
            for &vehicle in named.iter().chain([&other]) {
                fill(&cache, vehicle, "held");
            }
            let epoch = || cache.0.epoch(partition(0));
            let before = epoch();
            let (upstream, _) = responding(ok);
            let config = Config { max_body: 1 << 20, ..config() };
            let shared = shared(config, Arc::new(cache.clone()));
            let forward = Forward { upstream, shared };
            let write = request(Method::PUT, &format!("{path}?{query}"), Body::full(body.clone()));
            forward.oneshot(write).await.unwrap();
            for vehicle in named {
                prop_assert_eq!(seen(&cache, vehicle), None, "{}?{} {}", path, query, body);
            }
            // The writer's partition is dropped now and then, and one in thousands shares its counter.
            if epoch() == before {
                prop_assert_eq!(seen(&cache, other), Some("held".to_owned()));
            }
            Ok(())
        })?;
    }
}

/// Is told of a write before it is sent.
struct Announcing(Dropped, Arc<Mutex<Vec<Option<InvalidationScope>>>>);

impl Invalidate for Announcing {
    fn announce(
        &self,
        scope: &dyn Fn() -> Option<InvalidationScope>,
    ) -> Option<BoxFuture<'static, Arc<dyn Invalidate>>> {
        self.1.lock().push(scope());
        let told = Arc::new(Recording(Arc::clone(&self.0)));
        Some(Box::pin(async { told as Arc<dyn Invalidate> }))
    }

    fn invalidate_for(
        &self,
        _: InvalidationScope,
        _: Reason,
        _: Option<Duration>,
    ) -> BoxFuture<'static, ()> {
        panic!("who was announced to is told")
    }
}

#[tokio::test]
async fn says_before_a_write_is_sent_what_it_will_change_if_that_is_known() {
    let vehicle = r#"{"plate":"A1"}"#;
    for (method, body, is_known) in [
        (Method::DELETE, Body::empty(), true),
        (Method::POST, Body::full(vehicle), true),
        (Method::POST, streamed(vec![data(vehicle)]), false),
    ] {
        let (upstream, mut calls) = by_hand();
        let (dropped, announced) = (Dropped::default(), Arc::default());
        let cache = Arc::new(Announcing(Arc::clone(&dropped), Arc::clone(&announced)));
        let forward = Forward { upstream, shared: shared(config(), cache) };
        let uri = "/3VWFE21C04M000001";
        let mut exchange = Box::pin(forward.oneshot(request(method, uri, body)));
        assert!(exchange.as_mut().now_or_never().is_none());
        let scope = announced.lock()[0].clone();
        assert_eq!(scope.is_some(), is_known);
        let (request, response) = calls.recv().await.unwrap();
        request.into_body().collect().await.unwrap();
        response.send(Ok(ok())).expect("somebody waits");
        exchange.await.unwrap();
        assert!(!is_known || scope.as_ref() == Some(&dropped.lock()[0].0));
        assert_eq!((dropped.lock().len(), announced.lock().len()), (1, 1));
    }
}
