//! `vingate sandbox`: the documented Sync API in memory, until a signal ends it.

use std::net::SocketAddr;

use super::{Outcome, print, stop_signal};
use crate::sandbox::Sandbox;

/// Serves on `listen`. Prints its address and requests to try.
pub(super) async fn run(listen: SocketAddr) -> Outcome {
    let stop = stop_signal()?;
    let sandbox = Sandbox::bind(listen)
        .await
        .map_err(|error| format!("cannot serve the sandbox on {listen}: {error}"))?;
    // Its counters are enough: nothing reads the calls that it would record.
    let sandbox = sandbox.with_recording(0).start();
    print(greeting(sandbox.local_addr()))?;
    stop.await;
    sandbox.stop().await;
    Ok(())
}

fn greeting(addr: SocketAddr) -> String {
    format!(
        "sandbox listening on http://{addr}\n\
         \n  curl -X GET http://{addr}/api/batch/scraping/ -H 'X-API-Key: trial' \
         -H 'Content-Type: application/json' \
         -d '{{\"vehicles\":[{{\"vin\":\"3VWFE21C04M000001\",\"plate\":\"MFF956M\"}}]}}'\n\
         \n  curl http://{addr}/sandbox/calls\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_its_address() {
        let addr = SocketAddr::from(([127, 0, 0, 1], 8081));
        assert_eq!(greeting(addr).matches("http://127.0.0.1:8081").count(), 3);
    }

    #[tokio::test]
    async fn fails_where_it_cannot_listen() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = taken.local_addr().unwrap();
        let error = run(addr).await.unwrap_err().to_string();
        assert!(error.contains(&format!("cannot serve the sandbox on {addr}")), "{error}");
    }
}
