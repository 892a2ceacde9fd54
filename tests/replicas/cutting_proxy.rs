//! A way to the server that can be cut.

use std::net::SocketAddr;

use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// Forwards connections until it is dropped.
pub(crate) struct CuttingProxy {
    pub(crate) address: SocketAddr,
    is_cut: watch::Sender<bool>,
}

impl CuttingProxy {
    pub(crate) async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (is_cut, seen) = watch::channel(false);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let mut seen = seen.clone();
                // The other end is gone.
                if seen.has_changed().is_err() {
                    return;
                }
                tokio::spawn(async move {
                    let forwarding = async {
                        let mut server = TcpStream::connect(server).await?;
                        copy_bidirectional(&mut client, &mut server).await
                    };
                    tokio::select! {
                        _ = seen.wait_for(|is_cut| *is_cut) => {}
                        _ = forwarding => {}
                    }
                });
            }
        });
        Self { address, is_cut }
    }

    /// Closes all connections and takes no more.
    pub(crate) fn cut(&self) {
        self.is_cut.send_replace(true);
    }

    /// Takes connections again.
    pub(crate) fn mend(&self) {
        self.is_cut.send_replace(false);
    }
}
