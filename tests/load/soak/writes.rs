//! Writes, of which nobody may see less once they are answered.

use std::sync::Arc;

use http::Request;
use serde_json::json;
use tokio::time::{Duration, sleep, timeout};

use super::{
    client::Client,
    world::{Count, World},
};
use crate::support::JSON;

/// How long a write may take that nobody waits for.
const LANDS_WITHIN: Duration = Duration::from_secs(5);

impl Client {
    /// Writes a vehicle that the upstream shows with its version, under its VIN or as a whole.
    pub(super) async fn write(&mut self, is_put: bool) {
        let (mut nth, mut vehicle) = self.vehicle();
        while !World::is_named(nth) {
            (nth, vehicle) = self.vehicle();
        }
        let typed = self.dice.typed(vehicle);
        let world = Arc::clone(&self.world);
        let Some(alone) = world.write(nth) else {
            return;
        };
        let before = world.version(&vehicle);
        let (request, body) = if is_put {
            let info = json!({ "vin": typed.vin, "plate": typed.plate, "ownerName": "somebody" });
            (Request::put("/api/upsert-vehicle-info"), json!({ "vehicleInfo": info }))
        } else {
            let target = format!("/api/v2/vehicles/{}/status", vehicle.vin.as_str().to_lowercase());
            (Request::patch(target), json!({ "vehicleStatusId": 4 }))
        };
        let request = request.header("content-type", JSON);
        world.count(Count::Writes, 1);
        let Some(response) = self.send(request, body.to_string().into(), 12).await else {
            // It may be on its way, and no other write must be taken for it.
            tokio::spawn(async move {
                let landed = async {
                    while world.version(&vehicle) == before {
                        sleep(Duration::from_millis(2)).await;
                    }
                };
                let _ = timeout(LANDS_WITHIN, landed).await;
                drop(alone);
            });
            return;
        };
        match response.status.as_u16() {
            200 | 204 => {}
            500.. if world.version(&vehicle) > before => self.failed(&response),
            500.. => return self.failed(&response),
            _ => panic!("{response:?}"),
        }
        world.written(vehicle.vin, is_put.then_some(vehicle.plate));
    }
}
