//! The response of a write leaves when all others have read of it.

use std::time::Duration;

use vingate::sandbox::{Faults, Only};

use crate::{
    coherence::{is_held, patch, vehicles, version},
    redis_server::Replicas,
    support::{Gateway, eventually},
};

/// So long that a test fails in which a response waits for it.
const PATIENT: &str = "write_wait = \"1m\"";

async fn acknowledged(gateway: &Gateway) -> f64 {
    gateway
        .metric("vingate_shared_write_releases_total{outcome=\"acknowledged\"}")
        .await
}

#[tokio::test]
async fn writes_one_after_the_other_do_not_wait_for_a_lease_each() {
    let Some(replicas) = Replicas::start(3, PATIENT).await else { return };
    let [a, b, c] = &replicas.all[..] else { unreachable!() };
    let vehicle = vehicles(a, 1)[0];
    let hold = Duration::from_millis(50);
    replicas
        .sandbox()
        .set_faults(Faults { only: Only::All, hold, ..Faults::default() });
    for written in 2..12 {
        patch(a, &vehicle).await.expect(204);
        for reader in [b, c, a] {
            assert_eq!(version(reader, &vehicle).await, written);
        }
    }
    assert_eq!(acknowledged(a).await, 10.0);
}

#[tokio::test]
async fn who_is_gone_and_a_server_that_was_emptied_hold_up_a_write_for_a_lease_at_most() {
    let Some(mut replicas) = Replicas::start(3, PATIENT).await else { return };
    let vehicle = vehicles(&replicas.all[0], 1)[0];
    patch(&replicas.all[0], &vehicle).await.expect(204);
    replicas.all.pop().unwrap().stop().await;
    patch(&replicas.all[0], &vehicle).await.expect(204);
    for written in 4..7 {
        version(&replicas.all[0], &vehicle).await;
        eventually(async || is_held(&replicas.all[0], &vehicle).await).await;
        replicas.redis.ask::<()>(&["FLUSHALL"]);
        eventually(async || !is_held(&replicas.all[0], &vehicle).await).await;
        replicas.until_valid(1.0).await;
        patch(&replicas.all[0], &vehicle).await.expect(204);
        assert_eq!(version(&replicas.all[1], &vehicle).await, written);
    }
    assert_eq!(acknowledged(&replicas.all[0]).await, 5.0);
}
