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

/// What came of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filled {
    /// Vehicles that the gateway held.
    pub(super) held: u64,
    /// Those that it asked Sync for.
    pub(super) fetched: u64,
    /// Those that were served stale because Sync failed: the next request asks Sync again.
    pub(super) stale: u64,
    /// The status of Sync's response then, if there was one.
    pub(super) sync: Option<String>,
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
) -> Result<Filled, Failure> {
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
            () = stop.cancelled() => return sent.map(|_| Filled::default()),
        }
    }
}

/// Reads the response to its end: only then is all of it held.
async fn read(response: Response<Incoming>) -> Result<Filled, Failure> {
    let filled = filled(response.headers());
    let mut body = response.into_body();
    let early = || Failure::Unreachable("the response of the gateway ended early".to_owned());
    while let Some(frame) = timeout(IDLE, body.frame()).await.map_err(|_| early())? {
        frame.map_err(|_| early())?;
    }
    Ok(filled)
}

/// What `Cache-Status` says: `vingate; hit; detail="hit=2 stale=0 joined=0 miss=0 absent=0"`, or
/// `vingate; fwd=stale; fwd-status=500; detail=…` when Sync failed. What is stale is held otherwise:
/// it is refreshed behind the response.
fn filled(headers: &HeaderMap) -> Filled {
    let status = headers
        .get("cache-status")
        .and_then(|status| status.to_str().ok());
    let (said, detail) = status
        .and_then(|status| status.split_once("; detail="))
        .unwrap_or_default();
    let sync_failed = said.contains("fwd=stale");
    let sync = said.split_once("fwd-status=");
    let mut filled =
        Filled { sync: sync.map(|(_, status)| status.to_owned()), ..Filled::default() };
    for (name, number) in detail
        .trim_matches('"')
        .split(' ')
        .filter_map(|it| it.split_once('='))
    {
        let number: u64 = number.parse().unwrap_or_default();
        match name {
            "miss" | "joined" => filled.fetched += number,
            "stale" if sync_failed => filled.stale += number,
            _ => filled.held += number,
        }
    }
    filled
}

impl Filled {
    /// What failed of the lines of so many vehicles, and why: nobody says of which lines.
    pub(super) fn failure(&self, vehicles: usize) -> Option<String> {
        let why = match &self.sync {
            Some(status) => format!("Sync responded {status}"),
            None => "Sync did not respond".to_owned(),
        };
        let Self { stale, .. } = self;
        (*stale > 0).then(|| format!(": {stale} of {vehicles} still stale, because {why}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_the_gateway_says() {
        for (said, held, fetched, stale, sync) in [
            ("fwd=partial; detail=\"hit=3 stale=1 joined=2 miss=5 absent=4\"", 8, 7, 0, None),
            ("hit; ttl=-3; detail=\"hit=0 stale=2 joined=0 miss=0 absent=0\"", 2, 0, 0, None),
            (
                "fwd=stale; fwd-status=500; detail=\"hit=3 stale=1 joined=2 miss=5 absent=4\"",
                7,
                7,
                1,
                Some("500"),
            ),
            ("fwd=stale; detail=\"hit=0 stale=2 joined=0 miss=0 absent=0\"", 0, 0, 2, None),
        ] {
            let value = format!("vingate; {said}").parse().unwrap();
            let headers = HeaderMap::from_iter([("cache-status".parse().unwrap(), value)]);
            let expected = Filled { held, fetched, stale, sync: sync.map(str::to_owned) };
            assert_eq!(filled(&headers), expected, "{said}");
        }
        assert_eq!(filled(&HeaderMap::new()), Filled::default());
    }
}
