//! What all replicas may do together, each does a part of.

use std::time::Duration;

use futures_util::future::join_all;
use vingate::sandbox::{Faults, Only};

use crate::{
    coherence::vehicles,
    redis_server::{RedisServer, Replicas, gateways, shared},
    support::{eventually, spelled},
};

#[tokio::test]
async fn calls_at_once_and_rates_are_those_of_all_together() {
    const LIMITS: &str = "[upstream]\nmax_in_flight = 15\nadaptive = false\n[batch]\nchunk = 1\ngather_from = 0\n\
                          [limit.rate]\nrequests_per_second = 1\nburst = 30";
    let Some(redis) = RedisServer::start(&[]).await else { return };
    let toml = shared(&format!("redis://{}", redis.address), LIMITS);
    let mut replicas = Replicas { redis, all: gateways(3, &toml).await, _turn: None };
    let count = async |replicas: &Replicas, count| {
        for gateway in &replicas.all {
            gateway.until_metric("vingate_shared_replicas", count).await;
        }
    };
    count(&replicas, 3.0).await;
    replicas.sandbox().set_faults(Faults {
        only: Only::Batch,
        hold: Duration::from_millis(300),
        ..Faults::default()
    });
    let vehicles = vehicles(&replicas.all[0], 60);
    let asking = replicas
        .all
        .iter()
        .zip(vehicles.chunks(20))
        .flat_map(|(gateway, vehicles)| {
            let ask = async |vehicle| gateway.batch(&[spelled(vehicle)]).await.status.as_u16();
            vehicles.iter().map(ask).collect::<Vec<_>>()
        });
    let statuses = join_all(asking).await;
    let admitted = statuses.iter().filter(|status| **status == 200).count();
    assert!((30..36).contains(&admitted), "{admitted} of a burst of 30 for all");
    assert!(statuses.iter().all(|status| [200, 429].contains(status)), "{statuses:?}");
    let peak = replicas.sandbox().counters().peak;
    assert!((6..=15).contains(&peak), "{peak} calls at once");

    // What the one had the others take, and what is lost is no reason to take more.
    replicas.all.pop().unwrap().stop().await;
    count(&replicas, 2.0).await;
    assert_eq!(replicas.all[0].metric("vingate_upstream_limit").await, 8.0);
    replicas.redis.kill();
    eventually(async || replicas.all[0].metric("vingate_shared_valid").await == 0.0).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    count(&replicas, 2.0).await;
}
