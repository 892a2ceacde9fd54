//! More than anybody needs of something: refused or absorbed, never multiplied.

use std::time::Duration;

use super::{OPEN, gateway};
use crate::{
    frames::{
        ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, Frame, GOAWAY,
        HEADERS, PING, PRIORITIZED, PRIORITY, Peer, RST_STREAM, SETTINGS, WINDOW_UPDATE, block,
        frame, get, pseudo,
    },
    upstream::{Then, Upstream},
};

const REFUSED_STREAM: u32 = 7;
const CANCEL: [u8; 4] = [0, 0, 0, 8];

/// The numbers of the first streams that a client may open.
fn streams(count: u32) -> impl Iterator<Item = u32> {
    (0..count).map(|n| 2 * n + 1)
}

fn goaway(frames: &[Frame]) -> Option<u32> {
    frames.iter().rev().find_map(|frame| match frame.kind {
        GOAWAY => frame.error(),
        _ => None,
    })
}

fn resets(frames: &[Frame], error: u32) -> usize {
    let is_reset = |frame: &&Frame| frame.kind == RST_STREAM && frame.error() == Some(error);
    frames.iter().filter(is_reset).count()
}

#[tokio::test]
async fn rapid_resets_end_the_connection() {
    let (gateway, upstream) = gateway(OPEN).await;
    upstream.replies("", Then::Hang);
    let mut peer = Peer::connect(gateway.address).await;
    let flood: Vec<u8> = streams(10_000)
        .flat_map(|stream| [get(stream, "/a"), frame(RST_STREAM, 0, stream, &CANCEL)].concat())
        .collect();
    peer.send(&flood).await;
    assert_eq!(goaway(&peer.rest().await), Some(ENHANCE_YOUR_CALM));
    let seen = upstream.take_seen().len();
    assert!(seen <= 128, "{seen} of 10000 went upstream");
}

/// What is sent in one stream.
type Form<'a> = &'a dyn Fn(u32) -> Vec<u8>;

/// CVE-2025-8671: the errors are ours, but the other end makes us make them.
#[tokio::test]
async fn resets_that_we_are_made_to_send_end_the_connection() {
    let post = |stream: u32, fields: &[(&str, &str)]| {
        frame(HEADERS, END_HEADERS, stream, &block(&[&pseudo("POST", "/a"), fields].concat()))
    };
    let forms: [(&str, Form); 4] = [
        ("windows that overflow", &|stream| {
            let more = (u32::MAX >> 1).to_be_bytes();
            [post(stream, &[]), frame(WINDOW_UPDATE, 0, stream, &more)].concat()
        }),
        ("more data than its length", &|stream| {
            let length = [("content-length", "1")];
            [post(stream, &length), frame(DATA, 0, stream, b"xx")].concat()
        }),
        ("streams that depend on themselves", &|stream| {
            let fields = [&stream.to_be_bytes()[..], &[0], &block(&pseudo("GET", "/a"))].concat();
            frame(HEADERS, END_HEADERS | END_STREAM | PRIORITIZED, stream, &fields)
        }),
        ("malformed requests", &|stream| {
            let fields = block(&[&pseudo("GET", "/a")[..], &[("connection", "x")]].concat());
            frame(HEADERS, END_HEADERS | END_STREAM, stream, &fields)
        }),
    ];
    for (name, form) in forms {
        let (gateway, upstream) = gateway(OPEN).await;
        upstream.replies("", Then::Hang);
        let mut peer = Peer::connect(gateway.address).await;
        let flood: Vec<u8> = streams(5_000).flat_map(form).collect();
        peer.send(&flood).await;
        let frames = peer.rest().await;
        assert!(goaway(&frames).is_some(), "{name}");
        let seen = upstream.take_seen().len();
        assert!(seen <= 256, "{name}: {seen} of 5000 went upstream");
    }
}

#[tokio::test]
async fn a_head_without_end_ends_the_connection() {
    let (gateway, upstream) = gateway(OPEN).await;
    let begun = frame(HEADERS, END_STREAM, 1, &block(&pseudo("GET", "/a")));
    for (name, piece) in [
        ("nothing", Vec::new()),
        ("a small field", block(&[("x", "y")])),
        ("a large field", block(&[("x", &"y".repeat(16_000))])),
        ("half a field", [&[0, 0x7f, 0xff, 0xff, 0x7f], &b"x".repeat(16_000)[..]].concat()),
    ] {
        let mut peer = Peer::connect(gateway.address).await;
        peer.send(&begun).await;
        let mut is_open = true;
        for _ in 0..20_000 {
            is_open = peer.send(&frame(CONTINUATION, 0, 1, &piece)).await;
            if !is_open {
                break;
            }
        }
        assert!(goaway(&peer.rest().await).is_some() || !is_open, "{name}");
    }
    assert!(upstream.take_seen().is_empty());
}

#[tokio::test]
async fn large_heads_are_refused() {
    let (gateway, upstream) = gateway(OPEN).await;
    let large = "y".repeat(4_000);
    // Each field is in the table once and costs a byte after that.
    let mut bomb = block(&pseudo("GET", "/a"));
    bomb.extend([0x40, 1, b'x', 0x7f, 0xa1, 0x1e]);
    bomb.extend(large.bytes());
    bomb.extend([0xbe; 10_000]);
    let many: Vec<String> = (0..2_000).map(|n| format!("x{n}")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|name| (name.as_str(), "y")).collect();
    for (name, fields) in [
        ("a bomb", bomb),
        ("large fields", block(&[&pseudo("GET", "/a"), &[("x", &*large); 9][..]].concat())),
        ("many fields", block(&[&pseudo("GET", "/a"), &many[..]].concat())),
        ("too many fields", block(&[&pseudo("GET", "/a"), &many[..101]].concat())),
        (
            "an ID besides as many as there may be",
            block(&[&pseudo("GET", "/a"), &many[..100], &[("x-request-id", "1")]].concat()),
        ),
    ] {
        let mut peer = Peer::connect(gateway.address).await;
        let mut pieces = fields.chunks(16_000).peekable();
        let mut kind = (HEADERS, END_STREAM);
        while let Some(piece) = pieces.next() {
            let end = if pieces.peek().is_none() { END_HEADERS } else { 0 };
            peer.send(&frame(kind.0, kind.1 | end, 1, piece)).await;
            kind = (CONTINUATION, 0);
        }
        let frames = peer.until(HEADERS, 1).await;
        let status = frames.iter().find_map(Frame::status);
        assert!(status == Some(431) || goaway(&frames).is_some(), "{name}: {status:?}");
    }
    assert!(upstream.take_seen().is_empty());
}

#[tokio::test]
async fn limits_are_told_and_enforced() {
    let server = "[server]\nmax_streams = 8\nmax_head = \"16KiB\"\n";
    let (gateway, upstream) = gateway(&format!("{OPEN}{server}")).await;
    upstream.replies("", Then::Hang);
    let mut peer = Peer::connect(gateway.address).await;
    let frames = peer.until(SETTINGS, 0).await;
    let told: Vec<(u16, u32)> = frames[0]
        .payload
        .chunks(6)
        .map(|setting| {
            let (name, value) = setting.split_at(2);
            (
                u16::from_be_bytes(name.try_into().unwrap()),
                u32::from_be_bytes(value.try_into().unwrap()),
            )
        })
        .collect();
    assert!(told.contains(&(3, 8)), "streams: {told:?}");
    assert!(told.contains(&(6, 16 * 1024)), "heads: {told:?}");

    let requests: Vec<u8> = streams(20).flat_map(|stream| get(stream, "/a")).collect();
    peer.send(&requests).await;
    peer.send(&frame(PING, 0, 0, b"12345678")).await;
    let frames = peer.until(PING, 0).await;
    assert_eq!(resets(&frames, REFUSED_STREAM), 12);
    let mut seen = 0;
    while seen < 8 {
        tokio::task::yield_now().await;
        seen += upstream.take_seen().len();
    }
    assert_eq!(seen, 8);
}

/// One way of flooding: frames, how often, and what is true afterwards.
#[tokio::test]
async fn frames_that_mean_nothing_cost_nothing() {
    let post = frame(HEADERS, END_HEADERS, 1, &block(&pseudo("POST", "/a")));
    for (name, begun, piece) in [
        ("PING", Vec::new(), frame(PING, 0, 0, &[0; 8])),
        ("an ACK of PING", Vec::new(), frame(PING, ACK, 0, &[0; 8])),
        ("SETTINGS", Vec::new(), frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0xff, 0xff])),
        ("empty SETTINGS", Vec::new(), frame(SETTINGS, 0, 0, b"")),
        ("PRIORITY", Vec::new(), frame(PRIORITY, 0, 3, &[0; 5])),
        ("an unknown kind", Vec::new(), frame(0xbe, 0, 0, &[0; 8])),
        ("WINDOW_UPDATE", Vec::new(), frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
        ("WINDOW_UPDATE of a stream", post.clone(), frame(WINDOW_UPDATE, 0, 1, &[0, 0, 0, 1])),
        ("empty DATA", post.clone(), frame(DATA, 0, 1, b"")),
        ("padded, empty DATA", post, frame(DATA, 8, 1, &[0])),
    ] {
        let (gateway, upstream) = gateway(OPEN).await;
        let peer = Peer::connect(gateway.address).await;
        let (mut read, mut write) = peer.stream.into_split();
        let flood = [begun, piece.repeat(20_000), get(9, "/probe")].concat();
        let sending = tokio::spawn(async move {
            let _ = tokio::io::AsyncWriteExt::write_all(&mut write, &flood).await;
            write
        });
        // Either the other end has enough of it, or it comes to the request behind.
        let mut received = 0;
        let mut frames = crate::frames::Reader::new(&mut read);
        let ended = loop {
            let Some(frame) = frames.next().await else { break "closed" };
            received += 1;
            match (frame.kind, frame.stream) {
                (GOAWAY, _) => break "refused",
                (HEADERS, 9) => break "absorbed",
                _ => {}
            }
        };
        assert!(received <= 20_100, "{name} {ended}: answered with {received} frames");
        let seen = upstream.take_seen().len();
        assert!(seen <= 1, "{name} {ended}: {seen} requests went upstream");
        assert!(ended != "absorbed" || seen == 1, "{name}");
        sending.abort();
        // Whatever became of it, others are served.
        let mut other = Peer::connect(gateway.address).await;
        other.send(&get(1, "/other")).await;
        let frames = other.until(HEADERS, 1).await;
        assert_eq!(frames.last().and_then(Frame::status), Some(200), "after {name}");
    }
}

/// What has to be answered is not answered for ever to somebody who does not listen.
#[tokio::test]
async fn a_flood_whose_answers_nobody_reads_ends() {
    for (name, piece) in [
        ("PING", frame(PING, 0, 0, &[0; 8])),
        ("SETTINGS", frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0xff, 0xff])),
    ] {
        let server = "[server]\nwrite_idle_timeout = \"200ms\"\n";
        let (gateway, _upstream) = gateway(&format!("{OPEN}{server}")).await;
        let mut peer = Peer::connect(gateway.address).await;
        let piece = piece.repeat(10_000);
        // 17 bytes each: more than a gigabyte of them would have to be kept otherwise.
        for _ in 0..7_000 {
            if !peer.send(&piece).await {
                break;
            }
        }
        assert!(!peer.send(&piece).await, "{name}: still open");
    }
}

/// 400 answers of a megabyte that nobody takes: the upstream is not read for them, and each ends
/// in its time.
#[tokio::test]
async fn answers_that_nobody_takes_end() {
    let server = "[server]\nwrite_idle_timeout = \"300ms\"\nmax_streams = 400\n";
    let (gateway, upstream) = gateway(&format!("{OPEN}{server}")).await;
    let body = "y".repeat(1 << 20);
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
    upstream.replies(head + &body, Then::Keep);
    // SETTINGS_INITIAL_WINDOW_SIZE
    let mut peer = Peer::with_settings(gateway.address, &[(4, 0)]).await;
    let requests: Vec<u8> = streams(400).flat_map(|stream| get(stream, "/a")).collect();
    peer.send(&requests).await;
    let (mut ended, mut data) = (0, 0);
    while ended < 400 {
        let Some(frame) = peer.next().await else { panic!("closed after {ended}") };
        match frame.kind {
            RST_STREAM => ended += 1,
            DATA => data += frame.payload.len(),
            GOAWAY => panic!("{:?}", frame.error()),
            _ => {}
        }
    }
    assert_eq!(data, 0);
    upstream.replies(crate::upstream::OK, Then::Keep);
    peer.send(&frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0xff, 0xff]))
        .await;
    peer.send(&get(1001, "/other")).await;
    let frames = peer.until(DATA, 1001).await;
    assert_eq!(frames.last().map(|frame| frame.payload.as_slice()), Some(&b"ok"[..]));
}

/// As [`rapid_resets_end_the_connection`], but each request is on its way before it is reset.
#[tokio::test]
async fn resets_of_requests_under_way_take_their_calls_with_them() {
    let upstream = Upstream::start().await;
    upstream.replies("", Then::Hang);
    let toml = format!("{OPEN}{}max_in_flight = 4\n", upstream.toml());
    let gateway = crate::support::Gateway::start(&toml).await;
    let mut peer = Peer::connect(gateway.address).await;
    for stream in streams(100) {
        peer.send(&get(stream, "/a")).await;
        while upstream.take_seen().is_empty() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        peer.send(&frame(RST_STREAM, 0, stream, &CANCEL)).await;
    }
    // All four places are free: what was reset holds none.
    upstream.replies(crate::upstream::OK, Then::Keep);
    peer.send(&get(999, "/other")).await;
    let frames = peer.until(HEADERS, 999).await;
    assert_eq!(frames.last().and_then(Frame::status), Some(200));
}
