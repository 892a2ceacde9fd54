//! A caller that sends whatever bytes it likes.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::support::watch;

/// Longer than anything here takes, so that a test that hangs fails and says where.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// One connection to the gateway.
pub(crate) struct Caller {
    pub(crate) stream: TcpStream,
}

impl Caller {
    pub(crate) async fn connect(gateway: SocketAddr) -> Self {
        let stream = TcpStream::connect(gateway).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream }
    }

    /// Sends as much as the other end takes: it may have said all it has to say already.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        watch::sent(&bytes);
        let _ = timeout(PATIENCE, self.stream.write_all(bytes.as_ref()))
            .await
            .expect("the gateway takes no bytes");
    }

    /// Everything that comes until the gateway closes.
    pub(crate) async fn rest(&mut self) -> String {
        read_rest(&mut self.stream).await
    }

    /// What comes up to and with `end`.
    pub(crate) async fn read_to(&mut self, end: &str) -> String {
        let mut bytes = Vec::new();
        while !bytes.ends_with(end.as_bytes()) {
            let byte = timeout(PATIENCE, self.stream.read_u8()).await;
            let byte = byte.unwrap_or_else(|_| panic!("no more after {:?}", lossy(&bytes)));
            bytes.push(byte.unwrap_or_else(|_| panic!("closed after {:?}", lossy(&bytes))));
        }
        lossy(&bytes)
    }
}

/// Everything that comes until the gateway closes.
pub(crate) async fn read_rest(mut stream: impl AsyncRead + Unpin) -> String {
    let mut bytes = Vec::new();
    // A reset after the last byte is an end, too.
    let _ = timeout(PATIENCE, stream.read_to_end(&mut bytes))
        .await
        .unwrap_or_else(|_| panic!("still open after {:?}", lossy(&bytes)));
    lossy(&bytes)
}

/// Sends `bytes` over a new connection and reads until the gateway closes it.
pub(crate) async fn exchange(gateway: SocketAddr, bytes: impl AsRef<[u8]>) -> String {
    let mut caller = Caller::connect(gateway).await;
    caller.send(bytes).await;
    caller.rest().await
}

/// The statuses of the answers in `text`, in their order.
pub(crate) fn statuses(text: &str) -> Vec<u16> {
    let responses = text.match_indices("HTTP/1.");
    responses
        .filter_map(|(at, _)| text.get(at + 9..at + 12)?.parse().ok())
        .collect()
}

pub(crate) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
