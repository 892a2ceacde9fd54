//! What one replica has fetched, the others serve without a call.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Duration,
};

use futures_util::future::join_all;
use vingate::{
    sandbox::{Class, Faults, Only},
    vehicle::Vehicle,
};

use crate::{
    coherence::{patch, vehicles, version},
    redis_server::{RedisServer, Replicas},
    support::{Gateway, Response, eventually, spelled},
};

/// Long enough for a build that is not optimized, on a machine that has other things to do.
const PATIENT: &str = "timeout = \"30s\"";

/// The same, and trusts what it heard although it is at work for long.
pub(crate) const TRUSTING: &str = "timeout = \"30s\"\nlease = \"1m\"\nwrite_wait = \"0s\"";

/// Trusts what it heard while the server is frozen, so that only the waits count.
const IMPATIENT: &str = "timeout = \"500ms\"\nlease = \"1m\"\nwrite_wait = \"0s\"";

pub(crate) async fn batch(gateway: &Gateway, vehicles: &[Vehicle]) -> Response {
    let spelled: Vec<_> = vehicles.iter().map(spelled).collect();
    gateway.batch(&spelled).await.expect(200)
}

async fn looked_up(gateway: &Gateway, outcome: &str) -> f64 {
    let series = format!("vingate_shared_lookups_total{{outcome=\"{outcome}\"}}");
    gateway.metric(&series).await
}

async fn stored(gateway: &Gateway, count: usize) {
    let series = "vingate_shared_fills_total{outcome=\"stored\"}";
    gateway.until_metric(series, count as f64).await;
}

/// So many replicas that ask for values, the first of which holds these vehicles and has shared
/// them.
async fn replicas(count: usize, vehicles: usize, keys: &str) -> Option<(Replicas, Vec<Vehicle>)> {
    let replicas = Replicas::start(count, keys).await?;
    until_asking(&replicas).await;
    let vehicles = crate::coherence::vehicles(&replicas.all[0], vehicles);
    batch(&replicas.all[0], &vehicles).await;
    stored(&replicas.all[0], vehicles.len()).await;
    Some((replicas, vehicles))
}

pub(crate) async fn until_asking(replicas: &Replicas) {
    for gateway in &replicas.all {
        gateway
            .until_metric("vingate_shared_breaker_state", 0.0)
            .await;
    }
}

/// The names of all values.
fn names(redis: &RedisServer) -> Vec<Vec<u8>> {
    let mut names: Vec<Vec<u8>> = redis.ask(&["KEYS", "vg1:*"]);
    names.sort();
    names
}

#[tokio::test]
async fn what_one_has_fetched_the_other_serves_as_it_is() {
    let Some(replicas) = Replicas::start(2, TRUSTING).await else { return };
    let [a, b] = &replicas.all[..] else { unreachable!() };
    until_asking(&replicas).await;
    let classes = [Class::Finished, Class::Absent].into_iter();
    let some = classes.flat_map(|class| a.sandbox.vehicles(class).take(6000));
    let some: Vec<_> = some.collect();
    let all: Vec<_> = some.chunks(6000).collect();
    let mut first = Vec::new();
    for vehicles in &all {
        first.push(batch(a, vehicles).await);
    }
    stored(a, some.len()).await;
    let asked = replicas.sandbox().calls().len();
    for (vehicles, first) in all.iter().zip(first) {
        let again = batch(b, vehicles).await;
        assert_eq!(again.text(), first.text());
        assert_eq!(again.field("etag"), first.field("etag"));
        assert!(
            again.field("cache-status").contains("hit; ttl="),
            "{:?}",
            again.field("cache-status")
        );
        // Now they are held.
        batch(b, vehicles).await;
    }
    assert_eq!(replicas.sandbox().calls().len(), asked);
    assert_eq!(looked_up(b, "hit").await, some.len() as f64);
    let body = format!(
        "{{\"vin\":\"{}\",\"plate\":\"{}\"}}",
        some[0].vin.as_str(),
        some[0].plate.as_str()
    );
    for (gateway, from) in [(a, "call"), (b, "shared")] {
        let request = http::Request::post("/explain").header("content-type", "application/json");
        let explained = gateway
            .admin(request, body.clone())
            .await
            .expect(200)
            .json();
        assert_eq!(explained["accounts"][0]["from"], from);
    }
}

#[tokio::test]
async fn whoever_wants_something_newer_gets_it() {
    let directives =
        [("no-store", true), ("max-age=0", true), ("no-cache", true), ("max-age=60", false)];
    let Some((replicas, vehicles)) = replicas(2, directives.len(), TRUSTING).await else { return };
    for (vehicle, (directive, is_asked)) in vehicles.iter().zip(directives) {
        let before = replicas.sandbox().calls().len();
        let fields = [("cache-control", directive)];
        replicas.all[1]
            .batch_with(&[spelled(vehicle)], &fields)
            .await
            .expect(200);
        assert_eq!(replicas.sandbox().calls().len() > before, is_asked, "{directive}");
    }
}

#[tokio::test]
async fn whoever_wants_no_call_gets_what_another_has_fetched() {
    let Some((replicas, vehicles)) = replicas(2, 2, TRUSTING).await else { return };
    let [a, b] = &replicas.all[..] else { unreachable!() };
    let unknown = crate::coherence::vehicles(a, 3)[2];
    let asked = replicas.sandbox().calls().len();
    let fields = [("cache-control", "only-if-cached")];
    let ask = async |vehicles: &[Vehicle]| {
        let spelled: Vec<_> = vehicles.iter().map(spelled).collect();
        b.batch_with(&spelled, &fields).await
    };
    let found = ask(&vehicles).await.expect(200);
    assert_eq!(found.text(), a.response_for(&vehicles, "SYNC_ALL"));
    ask(&[vehicles[0], unknown]).await.expect(504);
    assert_eq!(replicas.sandbox().calls().len(), asked);
    // And what nobody had is not kept from anybody.
    batch(b, &[unknown]).await;
}

#[tokio::test]
async fn nobody_finds_what_was_before_a_write_whose_response_they_saw() {
    // Enough for all of them at once.
    let keys = format!("{PATIENT}\n[upstream]\nmax_in_flight = 2000\nadaptive = false");
    let Some(replicas) = Replicas::start(2, &keys).await else { return };
    let [a, b] = &replicas.all[..] else { unreachable!() };
    until_asking(&replicas).await;
    replicas.sandbox().set_faults(Faults {
        only: Only::Batch,
        hold: Duration::from_millis(20),
        jitter: Duration::from_millis(60),
        ..Faults::default()
    });
    // Each is written again and again, while both read it and share what they have read.
    let histories = vehicles(a, 100).into_iter().map(|vehicle| async move {
        for written in 2..22 {
            let (writer, reader) = if written % 2 == 0 { (a, b) } else { (b, a) };
            let reads = join_all([version(reader, &vehicle), version(writer, &vehicle)]);
            let (response, _) = tokio::join!(patch(writer, &vehicle), reads);
            response.expect(204);
            // One after the other, so that the second may find what the first has fetched.
            let found = version(reader, &vehicle).await;
            let own = version(writer, &vehicle).await;
            if [found, own] != [written; 2] {
                // Nothing is promised of writes that Redis was told of too late, which a busy
                // machine does. They are counted.
                let unannounced = "vingate_shared_unannounced_writes_total";
                let late = a.metric(unannounced).await + b.metric(unannounced).await;
                assert!(late > 0.0, "{found} and {own} after {written}");
            }
        }
    });
    join_all(histories).await;
    assert!(looked_up(a, "hit").await + looked_up(b, "hit").await > 0.0);
    assert!(looked_up(a, "rejected").await + looked_up(b, "rejected").await > 0.0);
}

#[tokio::test]
async fn a_server_that_freezes_is_waited_for_a_few_times_and_then_not_asked() {
    let Some((replicas, vehicles)) = replicas(2, 10, IMPATIENT).await else { return };
    let [a, b] = &replicas.all[..] else { unreachable!() };
    batch(b, &vehicles[..1]).await;
    replicas.redis.freeze();
    // What is held is served, and what is not is asked for.
    for vehicle in &vehicles {
        batch(b, std::slice::from_ref(vehicle)).await;
    }
    assert_eq!(b.metric("vingate_shared_breaker_state").await, 1.0);
    let waited = b.metric("vingate_shared_seconds_count").await;
    assert!(waited <= 4.0, "{waited} waits");
    assert_eq!(looked_up(b, "late").await + looked_up(b, "skipped").await, 9.0);
    replicas.redis.thaw();
    until_asking(&replicas).await;
    replicas.until_valid(1.0).await;
    let more: Vec<_> = crate::coherence::vehicles(a, 20).split_off(10);
    batch(a, &more).await;
    stored(a, 20).await;
    let asked = replicas.sandbox().calls().len();
    batch(b, &more).await;
    assert_eq!(replicas.sandbox().calls().len(), asked);
}

#[tokio::test]
async fn whoever_looks_at_the_server_learns_nothing_of_vehicles() {
    let Some(replicas) = Replicas::start(2, PATIENT).await else { return };
    let [a, b] = &replicas.all[..] else { unreachable!() };
    until_asking(&replicas).await;
    let mut monitor = TcpStream::connect(replicas.redis.address).unwrap();
    monitor.write_all(b"MONITOR\r\n").unwrap();
    let vehicles = vehicles(a, 20);
    batch(a, &vehicles).await;
    stored(a, vehicles.len()).await;
    batch(b, &vehicles).await;
    patch(a, &vehicles[0]).await.expect(204);
    monitor
        .set_read_timeout(Some(Duration::from_millis(300)))
        .unwrap();
    let mut seen = Vec::new();
    let _ = monitor.read_to_end(&mut seen);
    assert!(
        seen.windows(4).any(|window| window == b"MGET") && seen.windows(3).any(|it| it == b"SET")
    );
    for name in names(&replicas.redis) {
        let dump: Vec<u8> = replicas.redis.ask_bytes(&[b"DUMP", &name]);
        seen.extend([name, dump].concat());
    }
    assert!(seen.len() > 20 * 1000);
    for vehicle in &vehicles {
        for text in [
            vehicle.vin.as_str(),
            vehicle.plate.as_str(),
            "vehicleData",
            "finishedDateTime",
            "SYNC_ALL",
        ] {
            let is_there = seen
                .windows(text.len())
                .any(|window| window == text.as_bytes());
            assert!(!is_there, "{text}");
        }
    }
}

#[tokio::test]
async fn what_no_replica_has_put_there_is_not_served() {
    const HUGE: &str = "104857600";
    let Some((replicas, vehicles)) = replicas(2, 12, PATIENT).await else { return };
    let [a, b] = &replicas.all[..] else { unreachable!() };
    let redis = &replicas.redis;
    let names = names(redis);
    let value = |name: &[u8]| -> Vec<u8> { redis.ask_bytes(&[b"GET", name]) };
    let before: Vec<_> = names.iter().map(|name| value(name)).collect();
    let set = |name: &[u8], bytes: &[u8]| {
        let _: String = redis.ask_bytes(&[b"SET", name, bytes]);
    };
    let read_all = async || {
        for vehicle in &vehicles {
            let response = batch(b, std::slice::from_ref(vehicle)).await;
            assert_eq!(response.text(), a.response_for([vehicle], "SYNC_ALL"), "what Sync has now");
        }
    };
    // Moved to one another, torn, made up, changed.
    for (nth, name) in names.iter().enumerate() {
        let mut bytes = before[nth].clone();
        match nth % 4 {
            0 => bytes = before[(nth + 1) % names.len()].clone(),
            1 => bytes.truncate(bytes.len() / 2),
            2 => bytes = b"{\"vin\":\"forged\"}".to_vec(),
            _ => *bytes.last_mut().unwrap() ^= 1,
        }
        set(name, &bytes);
    }
    read_all().await;
    assert_eq!(looked_up(b, "hit").await, 0.0);
    assert_eq!(looked_up(b, "unreadable").await, 12.0);

    // Put back after writes.
    for vehicle in &vehicles {
        patch(a, vehicle).await.expect(204);
    }
    names
        .iter()
        .zip(&before)
        .for_each(|(name, bytes)| set(name, bytes));
    read_all().await;
    assert_eq!(looked_up(b, "hit").await, 0.0);

    // Longer than anything that is asked for.
    b.purge().await;
    for name in &names {
        let _: i64 = redis.ask_bytes(&[b"SETRANGE", name, HUGE.as_bytes(), b"x"]);
    }
    read_all().await;
    assert_eq!(looked_up(b, "hit").await, 0.0);
    let _: i64 = redis.ask_bytes(
        &[&[&b"DEL"[..]], &names.iter().map(|name| &name[..]).collect::<Vec<_>>()[..]].concat(),
    );
    eventually(async || b.metric("vingate_shared_breaker_state").await == 0.0).await;
}
