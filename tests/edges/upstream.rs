//! An upstream that notes every byte and answers whatever bytes it is told to.

use std::{net::SocketAddr, sync::Arc};

use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::caller::lossy;

/// Listens until it is dropped.
pub(crate) struct Upstream {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

/// A request as it came, and the connection that it came over.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) connection: usize,
    pub(crate) line: String,
    /// Names in lower case, in the order they came in.
    pub(crate) fields: Vec<(String, String)>,
    /// Without its framing.
    pub(crate) body: String,
}

/// What is answered to a request.
#[derive(Clone, Debug)]
struct Reply {
    bytes: Vec<u8>,
    then: Then,
    /// As soon as the head of the request is there.
    early: bool,
}

/// What becomes of the connection after an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// The next request is waited for.
    Keep,
    Close,
    Reset,
    /// It stays open, and nothing is done with it.
    Hang,
}

struct Shared {
    address: SocketAddr,
    seen: Mutex<Vec<Seen>>,
    reply: Mutex<Reply>,
}

/// Fields that the gateway sets itself; a test of their own looks at them.
const OWN: [&str; 7] = [
    "host",
    "via",
    "forwarded",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-request-id",
];

/// What is answered as long as nothing else is said.
pub(crate) const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// Before the first line of what broke off: an upstream does nothing with it.
const TORN: &str = "torn: ";

impl Upstream {
    /// Answers `200` and `ok`, until told otherwise.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let reply = Mutex::new(Reply::ok());
        let shared = Arc::new(Shared { address, seen: Mutex::default(), reply });
        let task = tokio::spawn({
            let shared = Arc::clone(&shared);
            async move {
                for connection in 0.. {
                    let (stream, _) = listener.accept().await.unwrap();
                    tokio::spawn(serve(Arc::clone(&shared), connection, stream));
                }
            }
        });
        Self { address, shared, task }
    }

    /// The `[upstream]` table of a gateway in front of it, for more keys to follow. However it
    /// behaves, each request is one call.
    pub(crate) fn toml(&self) -> String {
        format!(
            "[upstream]\nurl = \"http://{}\"\nretry.max_attempts = 1\n\
             breaker.min_requests = 100000\n",
            self.address
        )
    }

    /// From now on, `bytes` are the answer.
    pub(crate) fn replies(&self, bytes: impl AsRef<[u8]>, then: Then) {
        self.reply(bytes, then, false);
    }

    /// The same, whatever body may still come.
    pub(crate) fn replies_early(&self, bytes: impl AsRef<[u8]>, then: Then) {
        self.reply(bytes, then, true);
    }

    fn reply(&self, bytes: impl AsRef<[u8]>, then: Then, early: bool) {
        *self.shared.reply.lock() = Reply { bytes: bytes.as_ref().to_vec(), then, early };
    }

    /// The whole requests that came since this was last asked.
    pub(crate) fn take_seen(&self) -> Vec<Seen> {
        let mut seen = std::mem::take(&mut *self.shared.seen.lock());
        seen.retain(|seen| !seen.line.starts_with(TORN));
        seen
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Reply {
    fn ok() -> Self {
        Self { bytes: OK.to_vec(), then: Then::Keep, early: false }
    }
}

impl Seen {
    /// The values of a field.
    pub(crate) fn field(&self, name: &str) -> Vec<&str> {
        let fields = self.fields.iter().filter(|(found, _)| found == name);
        fields.map(|(_, value)| value.as_str()).collect()
    }
}

/// The request on one line: its first line without the version, the fields in order of their
/// names but for those that the gateway sets, and the body, all with ` | ` between.
impl std::fmt::Display for Seen {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut parts = vec![self.line.clone()];
        let fields = self.fields.iter();
        let mut fields: Vec<_> = fields
            .filter(|(name, _)| !OWN.contains(&name.as_str()))
            .map(|(name, value)| format!("{name}: {value}"))
            .collect();
        fields.sort();
        parts.extend(fields);
        if !self.body.is_empty() {
            parts.push(self.body.clone());
        }
        f.write_str(&parts.join(" | "))
    }
}

async fn serve(shared: Arc<Shared>, connection: usize, mut stream: TcpStream) {
    let mut buffer = Vec::new();
    while let Some(seen) = read(&shared, connection, &mut stream, &mut buffer).await {
        shared.seen.lock().push(seen);
        let reply = shared.reply.lock().clone();
        let _ = stream.write_all(&reply.bytes).await;
        match reply.then {
            Then::Keep => {}
            Then::Close => return,
            Then::Reset => {
                let _ = socket2::SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO));
                return;
            }
            Then::Hang => std::future::pending().await,
        }
    }
}

/// The next request. What is none is shown as it came, for a test to fail on.
async fn read(
    shared: &Shared,
    connection: usize,
    stream: &mut TcpStream,
    buffer: &mut Vec<u8>,
) -> Option<Seen> {
    let end = loop {
        if let Some(at) = find(buffer, b"\r\n\r\n") {
            break at + 4;
        }
        if stream.read_buf(buffer).await.unwrap_or(0) == 0 {
            if !buffer.is_empty() {
                let line = format!("{TORN}{}", lossy(buffer));
                let seen = Seen { connection, line, fields: Vec::new(), body: String::new() };
                shared.seen.lock().push(seen);
            }
            return None;
        }
    };
    let head: Vec<u8> = buffer.drain(..end).collect();
    let head = lossy(&head[..end - 4]);
    let (line, fields) = head.split_once("\r\n").unwrap_or((&head, ""));
    let line = line
        .strip_suffix(" HTTP/1.1")
        .expect("one version")
        .to_owned();
    let fields: Vec<_> = fields
        .split("\r\n")
        .filter_map(|field| field.split_once(": "))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect();
    let mut seen = Seen { connection, line, fields, body: String::new() };
    assert_eq!(seen.field("host"), [shared.address.to_string()], "the one upstream");
    if shared.reply.lock().early {
        return Some(seen);
    }
    let body = match (&seen.field("content-length")[..], &seen.field("transfer-encoding")[..]) {
        ([], []) => Some(Vec::new()),
        ([length], []) => {
            let length = length.parse().unwrap();
            let filled = fill(stream, buffer, length).await;
            filled.map(|()| buffer.drain(..length).collect())
        }
        ([], ["chunked"]) => read_chunks(stream, buffer).await,
        _ => panic!("ambiguous framing: {seen}"),
    };
    match body {
        Some(body) => {
            seen.body = lossy(&body);
            Some(seen)
        }
        None => {
            seen.line.insert_str(0, TORN);
            shared.seen.lock().push(seen);
            None
        }
    }
}

/// The content of chunks, and the trailers behind it in brackets.
async fn read_chunks(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Vec<u8>> {
    let mut content = Vec::new();
    loop {
        let line = read_line(stream, buffer).await?;
        let length = usize::from_str_radix(&line, 16).expect("a length without extensions");
        if length == 0 {
            break;
        }
        fill(stream, buffer, length + 2).await?;
        content.extend(buffer.drain(..length));
        assert_eq!(buffer.drain(..2).as_slice(), b"\r\n");
    }
    loop {
        let trailer = read_line(stream, buffer).await?;
        if trailer.is_empty() {
            return Some(content);
        }
        content.extend_from_slice(format!("[{trailer}]").as_bytes());
    }
}

async fn read_line(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<String> {
    loop {
        if let Some(at) = find(buffer, b"\r\n") {
            let line: Vec<u8> = buffer.drain(..at + 2).collect();
            return Some(lossy(&line[..at]));
        }
        fill(stream, buffer, buffer.len() + 1).await?;
    }
}

async fn fill(stream: &mut TcpStream, buffer: &mut Vec<u8>, length: usize) -> Option<()> {
    while buffer.len() < length {
        if stream.read_buf(buffer).await.unwrap_or(0) == 0 {
            return None;
        }
    }
    Some(())
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
