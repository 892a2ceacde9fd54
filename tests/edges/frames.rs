//! HTTP/2 by hand: frames that no library would send, and the few that come back.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::{caller::PATIENCE, support::watch};

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const PRIORITY: u8 = 2;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

/// Of `DATA` and `HEADERS`: nothing more comes in this stream.
pub(crate) const END_STREAM: u8 = 1;
/// Of `SETTINGS` and `PING`.
pub(crate) const ACK: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const PADDED: u8 = 8;
pub(crate) const PRIORITIZED: u8 = 0x20;

pub(crate) const PROTOCOL_ERROR: u32 = 1;
pub(crate) const FLOW_CONTROL_ERROR: u32 = 3;
pub(crate) const STREAM_CLOSED: u32 = 5;
pub(crate) const FRAME_SIZE_ERROR: u32 = 6;
pub(crate) const COMPRESSION_ERROR: u32 = 9;
pub(crate) const ENHANCE_YOUR_CALM: u32 = 11;

/// A frame that came.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// The other end of a connection to the gateway.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
}

/// What comes from the gateway, frame by frame.
pub(crate) struct Reader<R>(R);

/// The bytes of a frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = length[1..].to_vec();
    bytes.extend([kind, flags]);
    bytes.extend(stream.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Fields without compression and without the table (RFC 7541 section 6.2.2).
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (name, value) in fields {
        watch::sent(format!("{name}:{value}"));
        bytes.push(0);
        push_text(&mut bytes, name.as_bytes());
        push_text(&mut bytes, value.as_bytes());
    }
    bytes
}

/// A text with its length in front (RFC 7541 sections 5.1 and 5.2).
fn push_text(bytes: &mut Vec<u8>, text: &[u8]) {
    let mut length = text.len();
    if length < 127 {
        bytes.push(u8::try_from(length).unwrap());
    } else {
        bytes.push(127);
        length -= 127;
        while length >= 128 {
            bytes.push(u8::try_from(length % 128).unwrap() | 0x80);
            length /= 128;
        }
        bytes.push(u8::try_from(length).unwrap());
    }
    bytes.extend(text);
}

/// What every request has.
pub(crate) fn pseudo<'a>(method: &'a str, path: &'a str) -> Vec<(&'a str, &'a str)> {
    vec![(":method", method), (":scheme", "http"), (":authority", "a"), (":path", path)]
}

/// A whole request without a body.
pub(crate) fn get(stream: u32, path: &str) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &block(&pseudo("GET", path)))
}

impl Peer {
    /// After the preface and empty settings.
    pub(crate) async fn connect(gateway: SocketAddr) -> Self {
        Self::with_settings(gateway, &[]).await
    }

    /// After the preface and these settings.
    pub(crate) async fn with_settings(gateway: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let stream = TcpStream::connect(gateway).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let mut payload = Vec::new();
        for (name, value) in settings {
            payload.extend(name.to_be_bytes());
            payload.extend(value.to_be_bytes());
        }
        let mut peer = Self { stream };
        peer.send(&[PREFACE, &frame(SETTINGS, 0, 0, &payload)].concat())
            .await;
        peer
    }

    /// Sends as much as the other end takes: it may have closed. False if it has.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> bool {
        watch::sent(bytes);
        timeout(PATIENCE, self.stream.write_all(bytes))
            .await
            .expect("the gateway takes no bytes")
            .is_ok()
    }

    /// The next frame, none if the gateway has closed.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        Reader::new(&mut self.stream).next().await
    }

    /// What comes until the gateway closes.
    pub(crate) async fn rest(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.next().await {
            frames.push(frame);
        }
        frames
    }

    /// What comes up to the first frame of this kind in this stream, or until the gateway closes.
    pub(crate) async fn until(&mut self, kind: u8, stream: u32) -> Vec<Frame> {
        let mut frames = Vec::new();
        while let Some(frame) = self.next().await {
            let found = frame.kind == kind && frame.stream == stream;
            frames.push(frame);
            if found {
                break;
            }
        }
        frames
    }
}

impl<R: AsyncRead + Unpin> Reader<R> {
    pub(crate) fn new(stream: R) -> Self {
        Self(stream)
    }

    /// The next frame, none if the gateway has closed.
    pub(crate) async fn next(&mut self) -> Option<Frame> {
        timeout(PATIENCE, self.read())
            .await
            .expect("still open, and silent")
    }

    async fn read(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.0.read_exact(&mut head).await.ok()?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).await.ok()?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some(Frame { kind: head[3], stream, payload })
    }
}

impl Frame {
    /// The error of a `RST_STREAM` or `GOAWAY`.
    pub(crate) fn error(&self) -> Option<u32> {
        let at = match self.kind {
            RST_STREAM => 0,
            GOAWAY => 4,
            _ => return None,
        };
        Some(u32::from_be_bytes(self.payload.get(at..at + 4)?.try_into().unwrap()))
    }

    /// The status of a `HEADERS` (RFC 7541 appendices A and B): its first field.
    pub(crate) fn status(&self) -> Option<u16> {
        const INDEXED: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
        // The codes of the digits, five or six bits each.
        const DIGITS: [(u32, u32); 10] = [
            (0x0, 5),
            (0x1, 5),
            (0x2, 5),
            (0x19, 6),
            (0x1a, 6),
            (0x1b, 6),
            (0x1c, 6),
            (0x1d, 6),
            (0x1e, 6),
            (0x1f, 6),
        ];
        if self.kind != HEADERS {
            return None;
        }
        let first = *self.payload.first()?;
        if let Some(status) = first
            .checked_sub(0x88)
            .and_then(|n| INDEXED.get(usize::from(n)))
        {
            return Some(*status);
        }
        (100..600_u16).find(|status| {
            let digits = [status / 100, status / 10 % 10, status % 10].map(usize::from);
            let (mut bits, mut length) = (0, 0);
            for digit in digits {
                let (code, size) = DIGITS[digit];
                (bits, length) = (bits << size | code, length + size);
            }
            let padding = (8 - length % 8) % 8;
            let bits = (bits << padding | ((1 << padding) - 1)).to_be_bytes();
            let coded = &bits[4 - ((length + padding) / 8) as usize..];
            // A literal, with or without an index for its name, its value in this code.
            self.payload.get(2..2 + coded.len()) == Some(coded)
                && self.payload.get(1) == Some(&(0x80 | u8::try_from(coded.len()).unwrap()))
        })
    }
}
