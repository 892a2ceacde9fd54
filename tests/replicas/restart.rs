//! What one replica held, over a restart, while the others go on writing.

use std::{fs, path::PathBuf, time::Duration};

use http::Request;
use serde_json::{Value, json};
use tokio::time::sleep;
use vingate::{sandbox::Sandbox, vehicle::Vehicle};

use crate::{
    coherence::{patch, vehicles, version},
    redis_server::{RedisServer, SHARED_SECRET, gateways, shared},
    support::{Gateway, JSON, eventually},
};

/// A folder for one file, which is removed with its owner.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A gateway that keeps what it holds over a restart, in front of the sandbox of another.
async fn start(toml: &str, other: &Gateway, folder: &Folder) -> Gateway {
    let (upstream, file) = (other.sandbox.url(), folder.0.join("snapshot"));
    let toml = format!(
        "{toml}\n[upstream]\nurl = \"{upstream}\"\n\
         [cache.snapshot]\nfile = {file:?}\nsecret = {{ env = \"{SHARED_SECRET}\" }}\n"
    );
    // Nobody calls its own sandbox.
    Gateway::in_front_of(Sandbox::spawn().await.unwrap(), &toml).await
}

/// What is known of a vehicle.
async fn explained(gateway: &Gateway, vehicle: &Vehicle) -> Value {
    let request = Request::post("/explain").header("content-type", JSON);
    let body = json!({"vin": vehicle.vin.as_str(), "plate": vehicle.plate.as_str()});
    let explained = gateway.admin(request, body.to_string()).await.expect(200);
    explained.json()["accounts"][0].clone()
}

/// Where what is held of a vehicle came from.
async fn source(gateway: &Gateway, vehicle: &Vehicle) -> Value {
    explained(gateway, vehicle).await["from"].clone()
}

/// What dropped a vehicle last.
async fn cause(gateway: &Gateway, vehicle: &Vehicle) -> Value {
    explained(gateway, vehicle).await["last_invalidation"]["cause"].clone()
}

/// Removes what replicas have for one another, so that only a snapshot can bring something back.
fn forget_values(redis: &RedisServer) {
    let names: Vec<Vec<u8>> = redis.ask(&["KEYS", "vg1:*"]);
    for name in names {
        let _: i64 = redis.ask_bytes(&[b"DEL", &name]);
    }
}

#[tokio::test]
async fn a_snapshot_comes_back_but_for_what_others_wrote_meanwhile() {
    let Some(mut redis) = RedisServer::start(&[]).await else { return };
    let name = format!("vingate-restart-{}", redis.address.port());
    let folder = Folder(std::env::temp_dir().join(name));
    fs::create_dir_all(&folder.0).unwrap();
    let toml = shared(&format!("redis://{}", redis.address), "");
    let all = gateways(1, &toml).await;
    let b = &all[0];
    let a = start(&toml, b, &folder).await;
    for gateway in [&a, b] {
        gateway.until_metric("vingate_shared_valid", 1.0).await;
    }
    let three = vehicles(b, 3);
    for vehicle in &three {
        assert_eq!(version(&a, vehicle).await, 1);
    }
    a.stop().await;
    patch(b, &three[0]).await.expect(204);
    forget_values(&redis);

    let a = start(&toml, b, &folder).await;
    eventually(async || source(&a, &three[2]).await == "snapshot").await;
    assert_eq!(source(&a, &three[1]).await, "snapshot");
    assert_eq!(source(&a, &three[0]).await, Value::Null);
    assert_eq!(cause(&a, &three[0]).await, "lost", "nobody has just written it");
    assert_eq!(cause(&a, &three[1]).await, Value::Null);
    let calls = b.sandbox.calls().len();
    assert_eq!(version(&a, &three[1]).await, 1);
    assert_eq!(b.sandbox.calls().len(), calls, "it is held");
    assert_eq!(version(&a, &three[0]).await, 2);
    // What was brought back is dropped as all else is.
    patch(b, &three[1]).await.expect(204);
    assert_eq!(version(&a, &three[1]).await, 2);
    assert_eq!(cause(&a, &three[1]).await, "replica");
    a.stop().await;

    // Nobody knows what was written to a log that is lost.
    redis.restart().await;
    let a = start(&toml, b, &folder).await;
    a.until_metric("vingate_shared_valid", 1.0).await;
    sleep(Duration::from_millis(300)).await;
    assert!(!folder.0.join("snapshot").exists());
    for vehicle in &three {
        assert_eq!(source(&a, vehicle).await, Value::Null);
    }
}
