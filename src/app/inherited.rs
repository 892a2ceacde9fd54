//! Sockets that the service manager has bound before, and keeps open over a restart
//! (`sd_listen_fds(3)`).

use std::{io, net, net::SocketAddr};

use listenfd::ListenFd;
use tokio::net::TcpListener;

use super::Error;
use crate::server;

/// Listeners that were passed to this process.
#[derive(Debug, Default)]
pub struct Inherited(Vec<net::TcpListener>);

impl Inherited {
    /// Takes them from the environment of the process, which has to have one thread.
    ///
    /// # Errors
    ///
    /// What was passed is no TCP listener.
    pub fn take() -> io::Result<Self> {
        let mut passed = ListenFd::from_env();
        let listeners = (0..passed.len()).map(|nth| passed.take_tcp_listener(nth));
        let listeners: io::Result<Vec<_>> = listeners.collect();
        Ok(Self(listeners?.into_iter().flatten().collect()))
    }

    /// The listener for `address`: the one that was passed, else a new one.
    pub(super) fn listen(&mut self, address: SocketAddr) -> Result<TcpListener, Error> {
        let failed = |error| format!("cannot listen on {address}: {error}");
        for nth in 0..self.0.len() {
            if is_for(address, self.0[nth].local_addr()?) {
                let listener = self.0.swap_remove(nth);
                listener.set_nonblocking(true)?;
                return Ok(TcpListener::from_std(listener).map_err(failed)?);
            }
        }
        Ok(server::bind(address).map_err(failed)?)
    }

    /// Checks that each was for a listener: requests to another would wait for ever.
    pub(super) fn finish(self) -> Result<(), Error> {
        let Some(left) = self.0.first() else { return Ok(()) };
        let address = left.local_addr()?;
        Err(format!("a socket for {address} was passed, which is no listener of the configuration")
            .into())
    }
}

/// Whether a socket at `bound` serves those who go to `wanted`.
fn is_for(wanted: SocketAddr, bound: SocketAddr) -> bool {
    let (ip, bound_ip) = (wanted.ip().to_canonical(), bound.ip().to_canonical());
    let is_everywhere = ip.is_unspecified() && bound_ip.is_unspecified();
    wanted.port() == bound.port() && (is_everywhere || ip == bound_ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_for_its_own_address() {
        for (wanted, bound, fits) in [
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("0.0.0.0:80", "[::]:80", true),
            ("[::]:80", "0.0.0.0:80", true),
            ("0.0.0.0:80", "127.0.0.1:80", false),
            ("127.0.0.1:80", "0.0.0.0:80", false),
            ("127.0.0.1:80", "127.0.0.1:81", false),
        ] {
            assert_eq!(
                is_for(wanted.parse().unwrap(), bound.parse().unwrap()),
                fits,
                "{wanted} {bound}"
            );
        }
    }

    #[tokio::test]
    async fn a_socket_that_nobody_wants_is_an_error() {
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut inherited = Inherited(vec![listener]);
        let other = inherited.listen("127.0.0.1:0".parse().unwrap()).unwrap();
        assert_ne!(other.local_addr().unwrap(), address);
        let error = inherited.finish().unwrap_err().to_string();
        assert!(error.contains(&address.to_string()), "{error}");
    }
}
