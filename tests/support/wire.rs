//! A connection in the raw, for what a client library would not send.

use std::net::SocketAddr;

use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use super::{PATIENCE, watch};

/// A connection that speaks HTTP/1.1 as it is told to.
pub(crate) struct Wire {
    stream: TcpStream,
    read: BytesMut,
}

/// A response as it came off the wire.
#[derive(Debug)]
pub(crate) struct WireResponse {
    pub(crate) status: u16,
    /// Status line and headers, in lower case.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Wire {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self::over(stream)
    }

    /// The other end of a connection that was made elsewhere.
    pub(crate) fn over(stream: TcpStream) -> Self {
        Self { stream, read: BytesMut::new() }
    }

    /// Sends all of `bytes`, as far as the other end takes them.
    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        watch::sent(&bytes);
        // A request that fails early may find the connection closed; the response says why.
        let _ = timeout(PATIENCE, self.stream.write_all(bytes.as_ref()))
            .await
            .expect("the other end takes what is sent");
    }

    /// The next response, an interim one too, whole.
    pub(crate) async fn response(&mut self) -> WireResponse {
        let head = self.head().await;
        let status = head[9..12].parse().unwrap();
        let has_body = status >= 200 && status != 204 && status != 304;
        let body = match field(&head, "content-length") {
            Some(length) if has_body => self.take(length.parse().unwrap()).await,
            None if field(&head, "transfer-encoding").is_some() => self.chunks().await,
            _ => Vec::new(),
        };
        WireResponse { status, head, body }
    }

    /// The next head, in lower case.
    pub(crate) async fn head(&mut self) -> String {
        let length = loop {
            if let Some(at) = find(&self.read, b"\r\n\r\n") {
                break at + 4;
            }
            assert!(self.more().await, "closed before the end of a head: {:?}", self.read);
        };
        String::from_utf8(self.take(length).await)
            .unwrap()
            .to_lowercase()
    }

    /// Whether the other end closes now, without another byte.
    pub(crate) async fn is_closed(&mut self) -> bool {
        self.read.is_empty() && !self.more().await
    }

    /// All that comes until the other end closes.
    pub(crate) async fn rest(&mut self) -> Vec<u8> {
        while self.more().await {}
        self.read.split().to_vec()
    }

    async fn chunks(&mut self) -> Vec<u8> {
        let mut body = Vec::new();
        loop {
            let line = loop {
                if let Some(at) = find(&self.read, b"\r\n") {
                    break self.take(at + 2).await;
                }
                assert!(self.more().await, "closed before the end of a body");
            };
            let size = std::str::from_utf8(&line).unwrap().trim();
            let size = usize::from_str_radix(size, 16).unwrap();
            let chunk = self.take(size + 2).await;
            if size == 0 {
                return body;
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }

    /// The next `length` bytes.
    pub(crate) async fn take(&mut self, length: usize) -> Vec<u8> {
        while self.read.len() < length {
            assert!(self.more().await, "closed before the end of a response");
        }
        self.read.split_to(length).to_vec()
    }

    /// Reads; `false` if the other end has closed.
    async fn more(&mut self) -> bool {
        let read = timeout(PATIENCE, self.stream.read_buf(&mut self.read)).await;
        matches!(read.expect("nothing comes"), Ok(1..))
    }
}

impl WireResponse {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    /// Fails with the response if the status is another.
    #[track_caller]
    pub(crate) fn expect(self, status: u16) -> Self {
        let body = String::from_utf8_lossy(&self.body);
        assert_eq!(self.status, status, "{}{body}", self.head);
        self
    }
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.lines().filter_map(|line| line.split_once(':'));
    fields.find_map(|(found, value)| (found == name).then(|| value.trim()))
}

fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}
