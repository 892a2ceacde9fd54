//! The sandbox over real sockets, by a client that knows nothing of it.

mod batch;
mod client;
mod faults;
mod helpers;
mod record;
mod writes;

use self::client::Client;
use super::*;
use crate::vehicle::{Plate, Vehicle, Vin};

const VIN: &str = "3VWFE21C04M000001";
const PLATE: &str = "MFF956M";

/// A sandbox and a client with a credential.
async fn start() -> (Handle, Client) {
    let sandbox = Sandbox::spawn().await.unwrap();
    let client = Client::new(&sandbox).with("x-api-key", "trial");
    (sandbox, client)
}

fn vehicle(vin: &str, plate: &str) -> Vehicle {
    Vehicle { vin: Vin::parse(vin).unwrap(), plate: Plate::parse(plate).unwrap() }
}

/// The body of a batch call.
fn batch_body(vehicles: &[Vehicle]) -> String {
    let entries: Vec<_> = vehicles
        .iter()
        .map(|v| format!(r#"{{"vin":"{}","plate":"{}"}}"#, v.vin.as_str(), v.plate.as_str()))
        .collect();
    format!(r#"{{"vehicles":[{}]}}"#, entries.join(","))
}
