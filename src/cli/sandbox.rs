//! `vingate sandbox`: the documented Sync API in memory, until it is told to stop.

use std::{
    io::{self, Write as _},
    net::SocketAddr,
    process::ExitCode,
};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::sandbox::Sandbox;

/// Serves on `listen` until SIGINT or SIGTERM. Prints its address and what to try.
pub async fn run(listen: SocketAddr) -> ExitCode {
    let (mut interrupt, mut terminate, sandbox) = match bind(listen).await {
        Ok(bound) => bound,
        Err(error) => {
            eprintln!("vingate: cannot serve the sandbox on {listen}: {error}");
            return ExitCode::FAILURE;
        }
    };
    // A closed standard output is no reason not to serve.
    let _ = io::stdout().write_all(greeting(sandbox.local_addr()).as_bytes());
    // Nobody asks this process for its recorded calls: the counters do.
    let sandbox = sandbox.with_recording(0);
    sandbox
        .run(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        })
        .await;
    ExitCode::SUCCESS
}

/// Signals come first: once the address is printed, a signal must end the process in order.
async fn bind(listen: SocketAddr) -> io::Result<(Signal, Signal, Sandbox)> {
    let interrupt = signal(SignalKind::interrupt())?;
    let terminate = signal(SignalKind::terminate())?;
    Ok((interrupt, terminate, Sandbox::bind(listen).await?))
}

fn greeting(addr: SocketAddr) -> String {
    format!(
        "sandbox listening on http://{addr}\n\
         \n  curl -X GET http://{addr}/api/batch/scraping/ -H 'X-API-Key: trial' \
         -H 'Content-Type: application/json' \
         -d '{{\"vehicles\":[{{\"vin\":\"3VWFE21C04M000001\",\"plate\":\"MFF956M\"}}]}}'\n\
         \n  curl http://{addr}/sandbox/calls\n\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn tells_the_address_that_was_bound() {
        let (_, _, sandbox) = bind(([127, 0, 0, 1], 0).into()).await.unwrap();
        let addr = sandbox.local_addr();
        assert_ne!(addr.port(), 0);
        assert_eq!(greeting(addr).matches(&format!("http://{addr}")).count(), 3);
    }

    #[tokio::test]
    async fn fails_where_it_cannot_listen() {
        let taken = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        assert_eq!(run(taken.local_addr().unwrap()).await, ExitCode::FAILURE);
    }
}
