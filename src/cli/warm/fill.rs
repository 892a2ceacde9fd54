//! One batch, asked for until the gateway holds it.

use std::time::Duration;

use http::{HeaderMap, Method, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde_json::json;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::vehicle_list::Listed;
use crate::{
    cli::remote::{Failure, Remote},
    route::BATCH_PATH,
    vehicle::Vehicle,
};

/// Vehicles of batches, by where the gateway had them from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// The gateway held them.
    pub(super) held: u64,
    /// It asked Sync.
    pub(super) fetched: u64,
}

/// How often a gateway is asked that says to come later.
const TRIES: u32 = 10;

/// How long a response may make no progress.
const IDLE: Duration = Duration::from_secs(60);

/// Asks for `vehicles`, later if the gateway says so, unless `stop` comes first.
pub(super) async fn fill(
    remote: &Remote,
    vehicles: &[Listed],
    stop: &CancellationToken,
) -> Result<Counts, Failure> {
    let entry = |Listed { vehicle: Vehicle { vin, plate }, .. }: &Listed| json!({ "vin": vin.as_str(), "plate": plate.as_str() });
    let body = json!({ "vehicles": vehicles.iter().map(entry).collect::<Vec<_>>() }).to_string();
    let mut tries = 1;
    loop {
        let sent = remote.send(Method::QUERY, BATCH_PATH, body.clone()).await;
        let after = match &sent {
            Err(Failure::Refused { retry_after: Some(after), .. }) if tries < TRIES => *after,
            _ => return read(sent?).await,
        };
        tokio::select! {
            () = sleep(after) => tries += 1,
            () = stop.cancelled() => return sent.map(|_| Counts::default()),
        }
    }
}

/// Reads the response to its end: only then is all of it held.
async fn read(response: Response<Incoming>) -> Result<Counts, Failure> {
    let counts = counts(response.headers());
    let mut body = response.into_body();
    let early = || Failure::Unreachable("the response of the gateway ended early".to_owned());
    while let Some(frame) = timeout(IDLE, body.frame()).await.map_err(|_| early())? {
        frame.map_err(|_| early())?;
    }
    Ok(counts)
}

/// What `Cache-Status` says: `vingate; hit; detail="hit=2 stale=0 joined=0 miss=0 absent=0"`.
fn counts(headers: &HeaderMap) -> Counts {
    let status = headers
        .get("cache-status")
        .and_then(|status| status.to_str().ok());
    let detail = status.and_then(|status| status.split('"').nth(1));
    let mut counts = Counts::default();
    for (name, number) in detail
        .unwrap_or_default()
        .split(' ')
        .filter_map(|it| it.split_once('='))
    {
        let number: u64 = number.parse().unwrap_or_default();
        match name {
            "miss" | "joined" => counts.fetched += number,
            _ => counts.held += number,
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_the_gateway_says() {
        let said = "vingate; fwd=partial; detail=\"hit=3 stale=1 joined=2 miss=5 absent=4\"";
        let headers =
            HeaderMap::from_iter([("cache-status".parse().unwrap(), said.parse().unwrap())]);
        assert_eq!(counts(&headers), Counts { held: 8, fetched: 7 });
        assert_eq!(counts(&HeaderMap::new()), Counts::default());
    }
}
