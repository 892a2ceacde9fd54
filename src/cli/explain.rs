//! `vingate explain`: why a running gateway serves a vehicle as it does.

use clap::Args;
use http::Method;
use serde_json::json;

use super::{Outcome, print, remote::Remote};
use crate::vehicle::{Plate, Vin};

/// A vehicle, as accounts see it.
#[derive(Args)]
pub(super) struct Subject {
    /// The VIN.
    #[arg(long, value_name = "V", value_parser = Vin::parse)]
    vin: Vin,
    /// The plate.
    #[arg(long, value_name = "P", value_parser = Plate::parse)]
    plate: Plate,
    /// One account; all of them if it is left out.
    #[arg(long, value_name = "A")]
    account: Option<String>,
}

/// Prints a line for each account.
pub(super) async fn run(remote: &Remote, Subject { vin, plate, account }: &Subject) -> Outcome {
    let mut asked = json!({ "vin": vin.as_str(), "plate": plate.as_str() });
    if let Some(account) = account {
        asked["account"] = account.as_str().into();
    }
    let response = remote
        .json(Method::POST, "/explain", asked.to_string())
        .await?;
    let accounts = response["accounts"].as_array();
    let accounts = accounts.ok_or("the gateway does not explain")?;
    if accounts.is_empty() {
        return Err(
            "no account is configured: each client's credential has a cache of its own".into()
        );
    }
    let lines = accounts.iter().map(|account| {
        let text = |name: &str| account[name].as_str().unwrap_or_default();
        format!("{}: {}", text("account"), text("words"))
    });
    print(lines.collect::<Vec<_>>().join("\n"))
}
