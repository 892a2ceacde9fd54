//! `vingate sandbox`: the documented Sync API in memory, until it is told to stop.

use std::{
    error::Error,
    io::{self, Write as _},
    net::SocketAddr,
    process::ExitCode,
};

use super::{fail, serve::runtime, stop_signal};
use crate::sandbox::Sandbox;

/// Serves on `listen` until SIGINT or SIGTERM. Prints its address and what to try.
pub fn run(listen: SocketAddr) -> ExitCode {
    match serve(listen) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&*error),
    }
}

fn serve(listen: SocketAddr) -> Result<(), Box<dyn Error>> {
    runtime(None)?.block_on(async {
        let stop = stop_signal()?;
        let sandbox = Sandbox::bind(listen)
            .await
            .map_err(|error| format!("cannot serve the sandbox on {listen}: {error}"))?;
        // A closed standard output is no reason not to serve.
        let _ = io::stdout().write_all(greeting(sandbox.local_addr()).as_bytes());
        // Nobody asks this process for its recorded calls: the counters do.
        sandbox.with_recording(0).run(stop).await;
        Ok(())
    })
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

    #[test]
    fn tells_its_address() {
        let addr = SocketAddr::from(([127, 0, 0, 1], 8081));
        assert_eq!(greeting(addr).matches("http://127.0.0.1:8081").count(), 3);
    }

    #[test]
    fn fails_where_it_cannot_listen() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(run(taken.local_addr().unwrap()), ExitCode::FAILURE);
    }
}
