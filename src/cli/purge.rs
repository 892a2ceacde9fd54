//! `vingate purge`: entries dropped from the cache of a running gateway.

use clap::Args;
use http::Method;
use serde_json::{Map, json};

use super::{Outcome, counted, print, remote::Remote};
use crate::vehicle::{Plate, Vin};

/// Which entries of a cache.
#[derive(Args)]
#[group(required = true, multiple = true)]
pub(super) struct Filter {
    /// Those of the vehicle with this VIN.
    #[arg(long, value_name = "V", value_parser = Vin::parse)]
    vin: Option<Vin>,
    /// Those with this plate.
    #[arg(long, value_name = "P", value_parser = Plate::parse)]
    plate: Option<Plate>,
    /// Those of this account.
    #[arg(long, value_name = "A")]
    account: Option<String>,
    /// All of them.
    #[arg(long, conflicts_with_all = ["vin", "plate", "account"])]
    all: bool,
}

/// Drops what matches `filter`, and says how many vehicles that were.
pub(super) async fn run(remote: &Remote, filter: &Filter) -> Outcome {
    let members = [
        ("account", filter.account.as_deref()),
        ("vin", filter.vin.as_ref().map(|vin| vin.as_str())),
        ("plate", filter.plate.as_ref().map(|plate| plate.as_str())),
    ];
    let members = members
        .into_iter()
        .filter_map(|(name, value)| Some((name.into(), value?.into())));
    let members: Map<_, _> = members.collect();
    let response = remote
        .json(Method::POST, "/cache/purge", json!(members).to_string())
        .await?;
    let purged = response["purged"].as_u64();
    let purged = purged.ok_or("the gateway does not say how many vehicles it purged")?;
    print(format_args!("{} purged", counted(purged, "vehicle")))
}
