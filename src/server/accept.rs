//! The listener.

use std::{
    io,
    net::SocketAddr,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use futures_util::FutureExt as _;
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    select,
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep},
};
use tracing::warn;

use super::{
    Config, Metrics, Service, connection::Protocols, connections::Connections, metrics::Reason,
};
use crate::peer::Peer;

/// Connections that the kernel keeps for us until they are accepted.
const BACKLOG: u32 = 4096;

/// A pause after a failure to accept, so that whatever is short can recover.
const PAUSE: Duration = Duration::from_millis(100);

/// Listens on `address`. Port 0 is any free one.
pub fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4()?,
        SocketAddr::V6(_) => TcpSocket::new_v6()?,
    };
    // Connections of the last run that the kernel still remembers must not prevent a start.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Serves the connections of `listener` until `drain` is ready and what was in flight then has
/// ended.
///
/// From `drain` on, connections are accepted for `drain_delay` more, so that load balancers have
/// time to see that we are not ready, and a response is the last of its connection. Then the
/// listener closes, kept connections are told to close, and after `drain_timeout` what is left is
/// cut.
pub async fn serve<S: Service>(
    listener: TcpListener,
    config: Config,
    service: S,
    metrics: Metrics,
    drain: impl Future<Output = ()>,
) {
    let config = config.bounded();
    let connections = Arc::new(Connections::new(config.max_connections));
    let (tls, _renewal) = config.tls.as_ref().map(|tls| tls.begin(&metrics)).unzip();
    let acceptor = Acceptor {
        protocols: Arc::new(Protocols::new(&config, tls, metrics.clone())),
        connections: Arc::clone(&connections),
        service,
        metrics,
    };
    let stop = pin!(async {
        drain.await;
        connections.end_soon();
        sleep(config.drain_delay).await;
    });
    acceptor.run(listener, stop).await;
    connections.drain(config.drain_timeout).await;
}

struct Acceptor<S> {
    protocols: Arc<Protocols>,
    connections: Arc<Connections>,
    service: S,
    metrics: Metrics,
}

impl<S: Service> Acceptor<S> {
    /// Accepts connections until `stop` is ready, and then those that the kernel has accepted
    /// already: their clients believe that they are connected.
    async fn run(&self, listener: TcpListener, mut stop: Pin<&mut impl Future<Output = ()>>) {
        let mut failing = false;
        loop {
            let accepted = select! {
                biased;
                () = stop.as_mut() => break,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, address)) => {
                    failing = false;
                    let permit = select! {
                        biased;
                        permit = self.connections.permit() => permit,
                        () = stop.as_mut() => break,
                    };
                    self.spawn(stream, address, permit);
                }
                // The connection was gone before it was accepted.
                Err(error) if is_of_the_connection(&error) => {}
                Err(error) => {
                    self.metrics.note(Reason::Accept);
                    if !std::mem::replace(&mut failing, true) {
                        warn!(%error, "connection not accepted");
                    }
                    // Mostly out of descriptors: then other connections have to give theirs back.
                    self.connections.make_room(Instant::now());
                    sleep(PAUSE).await;
                }
            }
        }
        while let Some(Ok((stream, address))) = listener.accept().now_or_never()
            && let Some(permit) = self.connections.try_permit()
        {
            self.spawn(stream, address, permit);
        }
    }

    fn spawn(&self, stream: TcpStream, address: SocketAddr, permit: OwnedSemaphorePermit) {
        // Responses are written whole: waiting for more to send only delays them. A socket that
        // refuses is closed already, as its first read will tell.
        let _ = stream.set_nodelay(true);
        let entry = self.connections.enter();
        let protocols = Arc::clone(&self.protocols);
        let service = self.service.clone();
        tokio::spawn(async move {
            let peer = Peer::new(address, protocols.are_secure());
            protocols
                .serve(stream, peer, service, Arc::clone(&entry.state), permit)
                .await;
        });
    }
}

fn is_of_the_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
