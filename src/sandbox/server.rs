//! The sandbox's listener.

use std::{convert::Infallible, future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpListener,
    task::JoinSet,
    time,
};

use super::{
    calls::Calls, faults::ActiveFault, fleet::Fleet, handle::Handle, serve::Shared, store::Store,
};

/// Bytes of calls that are recorded unless said otherwise.
const MAX_RECORDED: usize = 64 * 1024 * 1024;

/// A sandbox that is bound to its address and not yet running.
pub struct Sandbox {
    listener: TcpListener,
    local_addr: SocketAddr,
    shared: Shared,
}

// === impl Sandbox ===

impl Sandbox {
    /// Binds a sandbox; port 0 is any free port.
    ///
    /// # Errors
    ///
    /// The address cannot be bound.
    pub async fn bind(addr: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let shared = Shared {
            fleet: Fleet::default(),
            store: Store::default(),
            calls: Calls::new(MAX_RECORDED),
            faults: ActiveFault::none(),
        };
        Ok(Self { local_addr: listener.local_addr()?, listener, shared })
    }

    /// A running sandbox on any free port of loopback, for a test.
    ///
    /// # Errors
    ///
    /// There is no free port.
    pub async fn spawn() -> io::Result<Handle> {
        Ok(Self::bind(([127, 0, 0, 1], 0).into()).await?.start())
    }

    /// With another fleet; the default is that of seed 7.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.shared.fleet = Fleet { seed };
        self
    }

    /// With room for so many bytes of recorded calls; 0: only the counters are kept.
    pub fn with_recording(mut self, max_bytes: usize) -> Self {
        self.shared.calls = Calls::new(max_bytes);
        self
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Serves until `shutdown` is ready, then drops every connection as it is.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let shared = Arc::new(self.shared);
        tokio::select! {
            never = accept(self.listener, shared) => match never {},
            () = shutdown => {}
        }
    }

    /// Serves in a task that ends with the handle.
    pub fn start(self) -> Handle {
        let shared = Arc::new(self.shared);
        let task = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move { match accept(self.listener, shared).await {} }
        });
        Handle::new(self.local_addr, shared, task)
    }
}

/// Serves every connection; they all end when this is dropped.
async fn accept(listener: TcpListener, shared: Arc<Shared>) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    // An answer goes out in few large writes; waiting for more only costs time.
                    let _ = stream.set_nodelay(true);
                    connections.spawn(connection(stream, Arc::clone(&shared)));
                }
                // Mostly a lack of file descriptors, which passes.
                Err(_) => time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves one connection, HTTP/1.1 or HTTP/2 by prior knowledge.
pub(super) async fn connection<S>(stream: S, shared: Arc<Shared>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { shared.serve(request).await }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new());
    builder.http2().timer(TokioTimer::new());
    // A peer that hung up and a fault that closes the connection both end here.
    let _ = builder
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
