//! What becomes of requests and of coherence when the server fails: nothing, and what can be.

use http::Request;
use redis::Value;

use crate::{
    coherence::{is_held, patch, vehicles, version},
    redis_server::{RedisServer, Replicas, gateways, shared},
    support::{Gateway, eventually},
};

const LOG: &str = "{vg1:vingate}:log";

/// Nothing that is held is served by who does not hear of writes.
const DOUBTING: &str = "when_lost = \"0s\"";

/// A write through the one is read through the other.
async fn assert_coherent(replicas: &Replicas) {
    let [a, b] = &replicas.all[..] else { unreachable!() };
    let [vehicle] = vehicles(a, 1)[..] else { unreachable!() };
    let before = version(b, &vehicle).await;
    patch(a, &vehicle).await.expect(204);
    assert_eq!(version(b, &vehicle).await, before + 1);
}

#[tokio::test]
async fn a_server_that_is_not_there_is_not_needed() {
    let Some(mut redis) = RedisServer::start(&[]).await else { return };
    redis.kill();
    let toml = shared(&format!("redis://{}", redis.address), DOUBTING);
    let all = gateways(2, &toml).await;
    let [a, b] = &all[..] else { unreachable!() };
    let [vehicle] = vehicles(a, 1)[..] else { unreachable!() };
    assert_eq!(version(b, &vehicle).await, 1);
    patch(a, &vehicle).await.expect(204);
    assert_eq!(version(b, &vehicle).await, 2, "what is held is not trusted");
    assert_eq!(a.metric("vingate_shared_unannounced_writes_total").await, 1.0);
    assert_eq!(a.metric("vingate_shared_valid").await, 0.0);

    redis.restart().await;
    let replicas = Replicas { redis, all, _turn: None };
    replicas.until_valid(1.0).await;
    assert_coherent(&replicas).await;
}

#[tokio::test]
async fn a_server_that_freezes_holds_up_nothing_but_trust() {
    let Some(replicas) = Replicas::start(2, DOUBTING).await else { return };
    let [a, b] = &replicas.all[..] else { unreachable!() };
    let [vehicle] = vehicles(a, 1)[..] else { unreachable!() };
    assert_eq!(version(b, &vehicle).await, 1);
    replicas.redis.freeze();
    patch(a, &vehicle).await.expect(204);
    assert_eq!(version(b, &vehicle).await, 2);
    replicas.until_valid(0.0).await;
    assert_eq!(ready(a).await, "lost");
    replicas.redis.thaw();
    replicas.until_valid(1.0).await;
    eventually(async || ready(a).await == "heard").await;
    assert_coherent(&replicas).await;
}

#[tokio::test]
async fn a_server_that_begins_anew_is_believed_and_what_was_held_is_not() {
    let Some(mut replicas) = Replicas::start(2, "").await else { return };
    let vehicle = vehicles(&replicas.all[0], 1)[0];
    for is_emptied_only in [true, false] {
        version(&replicas.all[1], &vehicle).await;
        eventually(async || is_held(&replicas.all[1], &vehicle).await).await;
        match is_emptied_only {
            true => replicas.redis.ask(&["FLUSHALL"]),
            false => replicas.redis.restart().await,
        }
        eventually(async || !is_held(&replicas.all[1], &vehicle).await).await;
        replicas.until_valid(1.0).await;
        assert_coherent(&replicas).await;
    }
}

#[tokio::test]
async fn what_cannot_be_told_is_told_later() {
    let Some(mut replicas) = Replicas::start(2, "").await else { return };
    let vehicle = vehicles(&replicas.all[0], 1)[0];
    version(&replicas.all[1], &vehicle).await;
    replicas.redis.kill();
    patch(&replicas.all[0], &vehicle).await.expect(204);
    replicas.redis.restart().await;
    replicas.until_valid(1.0).await;
    eventually(async || {
        let length: i64 = replicas.redis.ask(&["XLEN", LOG]);
        length >= 2
    })
    .await;
    assert_coherent(&replicas).await;
}

#[tokio::test]
async fn what_nobody_can_read_may_mean_anything() {
    let Some(replicas) = Replicas::start(2, "").await else { return };
    let [a, b] = &replicas.all[..] else { unreachable!() };
    let [vehicle] = vehicles(a, 1)[..] else { unreachable!() };
    for entry in [["v", "forged"], ["w", "x"], ["v", ""]] {
        version(b, &vehicle).await;
        eventually(async || is_held(b, &vehicle).await).await;
        let _: String = replicas.redis.ask(&["XADD", LOG, "*", entry[0], entry[1]]);
        eventually(async || !is_held(b, &vehicle).await).await;
    }
    // One that was moved from another log, and one that is repeated.
    let log: Value = replicas.redis.ask(&["XRANGE", LOG, "-", "+", "COUNT", "1"]);
    assert!(matches!(log, Value::Array(_)));
    assert_eq!(b.metric("vingate_shared_valid").await, 1.0);
    assert_coherent(&replicas).await;
}

#[tokio::test]
async fn a_full_server_or_one_that_refuses_is_not_needed() {
    let Some(replicas) = Replicas::start(2, "").await else { return };
    let [a, b] = &replicas.all[..] else { unreachable!() };
    let [vehicle] = vehicles(a, 1)[..] else { unreachable!() };
    version(b, &vehicle).await;
    let _: String = replicas.redis.ask(&["CONFIG", "SET", "maxmemory", "1"]);
    patch(a, &vehicle).await.expect(204);
    assert_eq!(unannounced(a).await, 1.0);
    let _: String = replicas.redis.ask(&["CONFIG", "SET", "maxmemory", "0"]);
    eventually(async || version(b, &vehicle).await == 2).await;
    assert_coherent(&replicas).await;
}

/// What a gateway that is ready says of the shared tier.
async fn ready(gateway: &Gateway) -> String {
    let detail = gateway
        .admin(Request::get("/readyz"), "")
        .await
        .expect(200)
        .json();
    assert_eq!(detail["ready"], true);
    detail["shared"].as_str().unwrap().to_owned()
}

async fn unannounced(gateway: &Gateway) -> f64 {
    gateway
        .metric("vingate_shared_unannounced_writes_total")
        .await
}

#[tokio::test]
async fn needs_no_more_rights_than_are_documented() {
    const RIGHTS: &str =
        "+xadd +xrange +info +mget +set +del +pexpire +hset +hgetall +hdel ~{vg1:* ~vg1:*";
    assert!(include_str!("../../deploy/replicas.md").contains(RIGHTS));
    let Some(redis) = RedisServer::start(&[]).await else { return };
    let rights: Vec<_> = RIGHTS.split(' ').collect();
    let user = [&["ACL", "SETUSER", "vingate", "on", ">REDIS_PASSWORD"], &rights[..]].concat();
    let _: String = redis.ask(&user);
    let login = "user = \"vingate\"\npassword = { env = \"REDIS_PASSWORD\" }\n";
    let Some(replicas) = Replicas::sharing(redis, 2, login).await else { unreachable!() };
    assert_coherent(&replicas).await;

    // Whoever has another password is on their own, and serves all the same.
    let wrong = login.replace("REDIS_PASSWORD", "ANOTHER_PASSWORD");
    let toml = shared(&format!("redis://{}", replicas.redis.address), &wrong);
    let all = gateways(1, &toml).await;
    assert_eq!(version(&all[0], &vehicles(&all[0], 1)[0]).await, 1);
    assert_eq!(all[0].metric("vingate_shared_valid").await, 0.0);
}
