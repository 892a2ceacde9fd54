//! Frames, streams and the connection (RFC 9113 sections 3 to 6).

use super::{Goaway, Is, Nothing, Reset, hold};
use crate::frames::{
    ACK, COMPRESSION_ERROR, CONTINUATION, DATA, END_HEADERS, END_STREAM, FLOW_CONTROL_ERROR,
    FRAME_SIZE_ERROR, GOAWAY, HEADERS, PADDED, PING, PRIORITIZED, PRIORITY, PROTOCOL_ERROR,
    PUSH_PROMISE, RST_STREAM, SETTINGS, STREAM_CLOSED, WINDOW_UPDATE, block, frame, get, pseudo,
};

const UNKNOWN: u8 = 0xbe;

fn request() -> Vec<u8> {
    block(&pseudo("GET", "/a"))
}

/// The head of a `POST` whose body is to come.
fn open() -> Vec<u8> {
    frame(HEADERS, END_HEADERS, 1, &block(&pseudo("POST", "/a")))
}

fn setting(name: u16, value: u32) -> Vec<u8> {
    let payload = [&name.to_be_bytes()[..], &value.to_be_bytes()[..]].concat();
    frame(SETTINGS, 0, 0, &payload)
}

fn window(stream: u32, more: u32) -> Vec<u8> {
    frame(WINDOW_UPDATE, 0, stream, &more.to_be_bytes())
}

#[tokio::test]
async fn frames_have_their_sizes_and_places() {
    let (protocol, size) = (Goaway(PROTOCOL_ERROR), Goaway(FRAME_SIZE_ERROR));
    hold(vec![
        ("an unknown kind", frame(UNKNOWN, 0xff, 0, b"hello"), Nothing),
        ("an unknown kind in a stream", frame(UNKNOWN, 0xff, 1, b"hello"), Nothing),
        ("unknown flags", frame(PING, 0xfe, 0, &[0; 8]), Nothing),
        (
            "the reserved bit",
            frame(HEADERS, END_HEADERS | END_STREAM, 1 | 1 << 31, &request()),
            Is("GET /a"),
        ),
        ("DATA too large", [open(), frame(DATA, 0, 1, &[0; 16_385])].concat(), size.clone()),
        ("HEADERS too large", frame(HEADERS, END_HEADERS, 1, &[0; 16_385]), size.clone()),
        ("an unknown kind too large", frame(UNKNOWN, 0, 0, &[0; 16_385]), size.clone()),
        ("DATA on the connection", frame(DATA, 0, 0, b"x"), protocol.clone()),
        ("HEADERS on the connection", frame(HEADERS, END_HEADERS, 0, &request()), {
            protocol.clone()
        }),
        ("PRIORITY on the connection", frame(PRIORITY, 0, 0, &[0; 5]), protocol.clone()),
        ("RST_STREAM on the connection", frame(RST_STREAM, 0, 0, &[0; 4]), protocol.clone()),
        ("CONTINUATION on the connection", frame(CONTINUATION, END_HEADERS, 0, b""), {
            protocol.clone()
        }),
        ("SETTINGS in a stream", frame(SETTINGS, 0, 1, b""), protocol.clone()),
        ("PING in a stream", frame(PING, 0, 1, &[0; 8]), protocol.clone()),
        ("GOAWAY in a stream", frame(GOAWAY, 0, 1, &[0; 8]), protocol.clone()),
        ("PUSH_PROMISE", [open(), frame(PUSH_PROMISE, END_HEADERS, 1, &[0, 0, 0, 2])].concat(), {
            protocol.clone()
        }),
        ("SETTINGS of 5 bytes", frame(SETTINGS, 0, 0, &[0; 5]), size.clone()),
        ("an ACK of SETTINGS with some", frame(SETTINGS, ACK, 0, &[0; 6]), size.clone()),
        ("PING of 6 bytes", frame(PING, 0, 0, &[0; 6]), size.clone()),
        ("PING of 9 bytes", frame(PING, 0, 0, &[0; 9]), size.clone()),
        ("RST_STREAM of 3 bytes", [open(), frame(RST_STREAM, 0, 1, &[0; 3])].concat(), {
            size.clone()
        }),
        ("WINDOW_UPDATE of 3 bytes", frame(WINDOW_UPDATE, 0, 0, &[0; 3]), size.clone()),
        ("PRIORITY of 4 bytes", frame(PRIORITY, 0, 1, &[0; 4]), size.clone()),
        ("GOAWAY of 4 bytes", frame(GOAWAY, 0, 0, &[0; 4]), size.clone()),
        ("HEADERS of 0 bytes", frame(HEADERS, END_HEADERS | END_STREAM, 1, b""), {
            Reset(PROTOCOL_ERROR)
        }),
        (
            "padding",
            {
                let padded = [&[3], &request()[..], &[0; 3]].concat();
                frame(HEADERS, PADDED | END_HEADERS | END_STREAM, 1, &padded)
            },
            Is("GET /a"),
        ),
        (
            "more padding than HEADERS",
            { frame(HEADERS, PADDED | END_HEADERS, 1, &[&[200], &request()[..]].concat()) },
            protocol.clone(),
        ),
        (
            "more padding than DATA",
            { [open(), frame(DATA, PADDED, 1, &[9, b'x', 0])].concat() },
            protocol,
        ),
    ])
    .await;
}

#[tokio::test]
async fn settings_and_windows_have_their_bounds() {
    let (protocol, flow) = (Goaway(PROTOCOL_ERROR), Goaway(FLOW_CONTROL_ERROR));
    hold(vec![
        ("an unknown setting", setting(0xbeef, 1), Nothing),
        ("to push", setting(2, 2), protocol.clone()),
        ("a window of 2^31", setting(4, 1 << 31), flow.clone()),
        ("frames of 16383 bytes", setting(5, 16_383), protocol.clone()),
        ("frames of 2^24 bytes", setting(5, 1 << 24), protocol.clone()),
        ("a table of 4 GiB", [setting(1, u32::MAX), get(1, "/a")].concat(), Is("GET /a")),
        ("heads of 0 bytes", [setting(6, 0), get(1, "/a")].concat(), Is("GET /a")),
        ("no more for the connection", window(0, 0), protocol.clone()),
        ("no more for a stream", [open(), window(1, 0)].concat(), Reset(PROTOCOL_ERROR)),
        ("too much for the connection", window(0, (1 << 31) - 1), flow.clone()),
        ("too much for a stream", [open(), window(1, (1 << 31) - 1)].concat(), {
            Reset(FLOW_CONTROL_ERROR)
        }),
        (
            "too much by a setting",
            { [open(), window(1, (1 << 31) - 65_536), setting(4, 65_536)].concat() },
            flow,
        ),
    ])
    .await;
}

#[tokio::test]
async fn blocks_of_fields_come_in_one_piece_and_decode() {
    let (protocol, compression) = (Goaway(PROTOCOL_ERROR), Goaway(COMPRESSION_ERROR));
    let block = request();
    let (first, second) = block.split_at(10);
    let begun = frame(HEADERS, END_STREAM, 1, first);
    let rest = frame(CONTINUATION, END_HEADERS, 1, second);
    let whole = |bytes: &[u8]| frame(HEADERS, END_HEADERS | END_STREAM, 1, bytes);
    hold(vec![
        ("two pieces", [begun.clone(), rest.clone()].concat(), Is("GET /a")),
        (
            "three, one empty",
            { [begun.clone(), frame(CONTINUATION, 0, 1, b""), rest.clone()].concat() },
            Is("GET /a"),
        ),
        ("DATA between", [begun.clone(), frame(DATA, 0, 1, b"x"), rest.clone()].concat(), {
            protocol.clone()
        }),
        (
            "PRIORITY between",
            { [begun.clone(), frame(PRIORITY, 0, 1, &[0; 5]), rest.clone()].concat() },
            protocol.clone(),
        ),
        ("PING between", [begun.clone(), frame(PING, 0, 0, &[0; 8]), rest.clone()].concat(), {
            protocol.clone()
        }),
        (
            "an unknown kind between",
            { [begun.clone(), frame(UNKNOWN, 0, 0, b""), rest.clone()].concat() },
            protocol.clone(),
        ),
        (
            "a piece of another stream",
            { [begun.clone(), frame(CONTINUATION, END_HEADERS, 3, second)].concat() },
            protocol.clone(),
        ),
        ("HEADERS between", [begun, get(3, "/b")].concat(), protocol.clone()),
        ("a piece of nothing", rest.clone(), protocol.clone()),
        ("a piece too many", [get(1, "/a"), rest].concat(), protocol),
        ("a field that breaks off", whole(&[&block[..], &[0, 5, b'x']].concat()), {
            compression.clone()
        }),
        ("an index of nothing", whole(&[0x80]), compression.clone()),
        ("an index beyond the table", whole(&[0xff, 0xff, 0xff, 0x7f]), compression.clone()),
        ("a length without end", whole(&[0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]), {
            compression.clone()
        }),
        ("a code that is none", whole(&[0x00, 0x84, 0xff, 0xff, 0xff, 0xff]), compression.clone()),
        ("a table too large", whole(&[&[0x3f, 0xe2, 0x1f], &block[..]].concat()), {
            compression.clone()
        }),
        ("a table size behind a field", whole(&[&block[..], &[0x20]].concat()), compression),
    ])
    .await;
}

#[tokio::test]
async fn streams_live_once() {
    let protocol = Goaway(PROTOCOL_ERROR);
    let closed = Reset(STREAM_CLOSED);
    let reset = frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]);
    hold(vec![
        ("DATA in none", frame(DATA, 0, 1, b"x"), protocol.clone()),
        ("RST_STREAM of none", reset.clone(), protocol.clone()),
        ("WINDOW_UPDATE of none", window(1, 1), protocol.clone()),
        ("PRIORITY of none", frame(PRIORITY, 0, 1, &[0, 0, 0, 3, 1]), Nothing),
        ("an even one", get(2, "/a"), protocol.clone()),
        ("an older one", [get(5, "/b"), get(3, "/a")].concat(), protocol.clone()),
        ("the same twice", [get(1, "/a"), get(1, "/b")].concat(), protocol.clone()),
        ("DATA behind the end", [get(1, "/a"), frame(DATA, 0, 1, b"x")].concat(), closed.clone()),
        (
            "trailers behind the end",
            {
                let trailers = block(&[("x", "y")]);
                [get(1, "/a"), frame(HEADERS, END_HEADERS | END_STREAM, 1, &trailers)].concat()
            },
            closed.clone(),
        ),
        (
            "trailers that are not the end",
            { [open(), frame(HEADERS, END_HEADERS, 1, &block(&[("x", "y")]))].concat() },
            Reset(PROTOCOL_ERROR),
        ),
        (
            "DATA behind a reset",
            { [open(), reset.clone(), frame(DATA, END_STREAM, 1, b"x")].concat() },
            closed.clone(),
        ),
        ("a reset twice", [open(), reset.clone(), reset.clone()].concat(), Nothing),
        ("WINDOW_UPDATE behind a reset", [open(), reset, window(1, 1)].concat(), Nothing),
        (
            "one that depends on itself",
            {
                let block = [&[0, 0, 0, 1, 0], &request()[..]].concat();
                frame(HEADERS, END_HEADERS | END_STREAM | PRIORITIZED, 1, &block)
            },
            Reset(PROTOCOL_ERROR),
        ),
    ])
    .await;
}
