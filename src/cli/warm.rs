//! `vingate warm`: a running gateway asked for all vehicles of a CSV, politely.

mod fill;
mod progress;
mod vehicle_list;

use std::{fs::File, io, path::Path, time::Duration};

use futures_util::{StreamExt as _, stream};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use self::{
    fill::fill,
    vehicle_list::{Listed, VehicleList},
};
use super::{Outcome, counted, print, remote::Remote, report, stop_signal};

/// How a gateway is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Vehicles of a request.
    pub(super) batch: usize,
    /// Requests at once.
    pub(super) parallel: usize,
    /// Vehicles a second at most; `None`: as fast as the gateway responds.
    pub(super) rate: Option<u32>,
}

/// What came of all batches.
#[derive(Debug, Default)]
struct Total {
    held: u64,
    fetched: u64,
    /// Vehicles whose batch failed, or that were served stale because Sync did.
    failed: u64,
    /// Vehicles that were not asked for.
    skipped: usize,
}

/// Asks for the vehicles of the CSV at `path`; `-` is standard input. What fails is named on
/// standard error; a summary is printed.
pub(super) async fn run(remote: &Remote, path: &Path, pace: Pace) -> Outcome {
    let list = read(path)?;
    for (line, reason) in &list.left_out {
        report(format_args!("line {line} {reason}"));
    }
    let stop = CancellationToken::new();
    let (signal, stopping) = (stop_signal()?, stop.clone());
    tokio::spawn(async move {
        signal.await;
        stopping.cancel();
    });
    let started_at = Instant::now();
    let total = fill_all(remote, &list.vehicles, pace, &stop).await;
    print(summary(&list, &total, started_at.elapsed()))?;
    match list.left_out.is_empty() && total.failed == 0 && total.skipped == 0 {
        true => Ok(()),
        false => Err("not all vehicles were fetched or held".into()),
    }
}

fn read(path: &Path) -> Outcome<VehicleList> {
    let read = match path.as_os_str() == "-" {
        true => VehicleList::read(io::stdin().lock()),
        false => File::open(path).and_then(VehicleList::read),
    };
    read.map_err(|error| format!("cannot read {}: {error}", path.display()).into())
}

async fn fill_all(
    remote: &Remote,
    vehicles: &[Listed],
    pace: Pace,
    stop: &CancellationToken,
) -> Total {
    let bar = progress::bar(vehicles.len());
    let mut next_at = Instant::now();
    let batches = stream::iter(vehicles.chunks(pace.batch)).then(|batch| {
        let at = next_at.max(Instant::now());
        let gap = pace
            .rate
            .map_or(0.0, |rate| batch.len() as f64 / f64::from(rate));
        next_at = at + Duration::from_secs_f64(gap);
        async move {
            sleep_until(at).await;
            batch
        }
    });
    let filled = batches
        .take_until(stop.cancelled())
        .map(|batch| async move { (batch, fill(remote, batch, stop).await) })
        .buffer_unordered(pace.parallel);
    let mut filled = std::pin::pin!(filled);
    let (mut total, mut asked) = (Total::default(), 0);
    while let Some((batch, outcome)) = filled.next().await {
        let vehicles = batch.len();
        asked += vehicles;
        bar.inc(vehicles as u64);
        let tell = |what: String| bar.suspend(|| report(lines(batch) + &what));
        match outcome {
            Ok(filled) => {
                total.held += filled.held;
                total.fetched += filled.fetched;
                total.failed += filled.stale;
                filled.failure(vehicles).into_iter().for_each(tell);
            }
            Err(failure) => {
                total.failed += vehicles as u64;
                tell(format!(" failed: {failure}"));
                if failure.is_lasting() {
                    stop.cancel();
                }
            }
        }
    }
    bar.finish_and_clear();
    Total { skipped: vehicles.len() - asked, ..total }
}

/// Where these vehicles stand, and nothing of what is between them.
fn lines(batch: &[Listed]) -> String {
    let follows = |one: &Listed, other: &Listed| other.line == one.line + 1;
    let runs: Vec<_> = batch
        .chunk_by(follows)
        .map(|run| match run {
            [first, .., last] => format!("{} to {}", first.line, last.line),
            [one] => one.line.to_string(),
            [] => String::new(),
        })
        .collect();
    let lines = if batch.len() == 1 { "line" } else { "lines" };
    format!("{lines} {}", runs.join(", "))
}

fn summary(list: &VehicleList, total: &Total, elapsed: Duration) -> String {
    let Total { held, fetched, failed, skipped } = total;
    let (vehicles, seconds) = (list.vehicles.len(), elapsed.as_secs_f64());
    let mut summary = format!(
        "{} in {seconds:.1} s: {fetched} fetched, {held} held before, {failed} failed",
        counted(vehicles as u64, "vehicle"),
    );
    if *skipped > 0 {
        summary += &format!(", {skipped} not asked for");
    }
    if !list.left_out.is_empty() {
        summary += &format!("; {} left out", counted(list.left_out.len() as u64, "line"));
    }
    summary
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_lines_of_a_batch() {
        let list = "vin,plate\n3VWFE21C04M000001,A1\nx\n3VWFE21C04M000002,A2\n\n\
                    3VWFE21C04M000003,A3\n3VWFE21C04M000004,A4\n3VWFE21C04M000005,A5\n";
        let list = VehicleList::read(list.as_bytes()).unwrap().vehicles;
        assert_eq!(lines(&list), "lines 2, 4, 6 to 8");
        assert_eq!(lines(&list[2..]), "lines 6 to 8");
        assert_eq!(lines(&list[1..2]), "line 4");
    }
}
