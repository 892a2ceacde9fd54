//! The sandbox bound and served.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

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
    api::Api,
    testing::{ActiveFaults, Calls, Handle, Harness},
};

/// Bytes of calls that are recorded unless said otherwise.
const MAX_RECORDED: usize = 64 * 1024 * 1024;

/// A sandbox that is bound to its address and not yet running.
pub struct Sandbox {
    listener: TcpListener,
    local_addr: SocketAddr,
    harness: Harness,
}

impl Sandbox {
    /// Binds a sandbox; port 0 is any free port.
    ///
    /// # Errors
    ///
    /// The address cannot be bound.
    pub async fn bind(addr: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(addr).await?;
        let harness = Harness {
            api: Api::default(),
            calls: Calls::new(MAX_RECORDED),
            faults: ActiveFaults::none(),
        };
        Ok(Self { local_addr: listener.local_addr()?, listener, harness })
    }

    /// A running sandbox on any free port of loopback, for a test.
    ///
    /// # Errors
    ///
    /// There is no free port.
    pub async fn spawn() -> io::Result<Handle> {
        Ok(Self::bind(([127, 0, 0, 1], 0).into()).await?.start())
    }

    /// With room for so many bytes of recorded calls; 0: only the counters are kept.
    pub fn with_recording(mut self, max_bytes: usize) -> Self {
        self.harness.calls = Calls::new(max_bytes);
        self
    }

    /// Serves in a task that ends with the handle.
    pub fn start(self) -> Handle {
        let harness = Arc::new(self.harness);
        let task = tokio::spawn({
            let harness = Arc::clone(&harness);
            async move { match accept(self.listener, harness).await {} }
        });
        Handle::new(self.local_addr, harness, task)
    }
}

/// Serves every connection; they all end when this is dropped.
async fn accept(listener: TcpListener, harness: Arc<Harness>) -> Infallible {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    // A response goes out in few large writes; waiting for more only costs time.
                    let _ = stream.set_nodelay(true);
                    connections.spawn(connection(stream, Arc::clone(&harness)));
                }
                // Mostly a lack of file descriptors, which passes.
                Err(_) => time::sleep(Duration::from_millis(10)).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// Serves one connection, HTTP/1.1 or HTTP/2 by prior knowledge.
pub(super) async fn connection<S>(stream: S, harness: Arc<Harness>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| {
        let harness = Arc::clone(&harness);
        async move { harness.respond(request).await }
    });
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder.http1().timer(TokioTimer::new());
    builder.http2().timer(TokioTimer::new());
    // A client that hung up and a fault that closes the connection both end here.
    let _ = builder
        .serve_connection(TokioIo::new(stream), service)
        .await;
}
