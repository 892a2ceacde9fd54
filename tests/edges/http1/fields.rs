//! Fields: which are malformed, which stay here, and which nobody can make disappear.

use super::{Is, Last, OPEN, Refused, Want, gateway, hold};
use crate::caller::exchange;

#[tokio::test]
async fn malformed_fields_are_refused() {
    let bad = Refused(400);
    hold(&[
        ("a tab in a value", &with("X: a\tb"), Is("GET /a | x: a\tb")),
        ("an empty value", &with("X:"), Is("GET /a | x: ")),
        ("no blank behind the colon", &with("X:y"), Is("GET /a | x: y")),
        ("blanks around a value", &with("X: \t y \t"), Is("GET /a | x: y")),
        ("a colon in a value", &with("X: a: b"), Is("GET /a | x: a: b")),
        ("every character of a name", &with("!#$%&'*+-.^`|~9: y"), {
            Is("GET /a | !#$%&'*+-.^`|~9: y")
        }),
        ("UTF-8 in a value", &with("X: \u{e9}"), Is("GET /a | x: \u{e9}")),
        ("a NUL in a value", &with("X: a\0b"), bad),
        ("a NUL at the end of one", &with("X: a\0"), bad),
        ("a bell in a value", &with("X: a\x07b"), bad),
        ("an escape in a value", &with("X: \x1b[2J"), bad),
        ("a DEL in a value", &with("X: a\x7fb"), bad),
        ("a vertical tab in a value", &with("X: a\x0bb"), bad),
        ("a form feed in a value", &with("X: a\x0cb"), bad),
        ("a bare CR in a value", &with("X: a\rb"), bad),
        ("a bare CR that would end a line", &with("X: a\rContent-Length: 5"), bad),
        ("a bare CR at the end", &with("X: a\r"), bad),
        ("a bare LF that ends a line without a colon", &with("X: a\nb"), bad),
        ("a fold", &with("X: a\r\n b"), bad),
        ("a fold with a tab", &with("X: a\r\n\tb"), bad),
        ("a fold of nothing", &with("X: a\r\n \r\nY: b"), bad),
        ("a fold in the first field", b"GET /a HTTP/1.1\r\n X: y\r\nHost: a\r\n\r\n", bad),
        ("a blank before the colon", &with("X : y"), bad),
        ("a tab before the colon", &with("X\t: y"), bad),
        ("a blank in a name", &with("X Y: z"), bad),
        ("no name", &with(": y"), bad),
        ("no colon", &with("X"), bad),
        ("a NUL in a name", &with("X\0: y"), bad),
        ("no ASCII in a name", &with("X\u{e9}: y"), bad),
        ("a DEL in a name", &with("X\x7f: y"), bad),
        ("a slash in a name", &with("X/Y: z"), bad),
        ("brackets around a name", &with("(X): y"), bad),
        ("a quote in a name", &with("X\": y"), bad),
        ("a comma in a name", &with("X,Y: z"), bad),
        ("a backslash in a name", &with("X\\Y: z"), bad),
    ])
    .await;
}

#[tokio::test]
async fn heads_are_bounded() {
    let fields = |count: usize| -> Vec<u8> {
        with(
            &(0..count)
                .map(|n| format!("X{n}: y"))
                .collect::<Vec<_>>()
                .join("\r\n"),
        )
    };
    let mut most: Vec<String> = (0..99).map(|n| format!("x{n}: y")).collect();
    most.sort();
    let most: &'static str = format!("GET /a | {}", most.join(" | ")).leak();
    let value: &'static str = "y".repeat(16 * 1024).leak();
    let large: &'static str = format!("GET /a | x: {value}").leak();
    hold(&[
        ("a hundred fields", &fields(99), Is(most)),
        ("one more", &fields(100), Refused(431)),
        ("ten thousand", &fields(10_000), Refused(431)),
        ("a large value", &with(&format!("X: {value}")), Is(large)),
        ("a value of 40 KiB", &with(&format!("X: {}", "y".repeat(40 * 1024))), Refused(431)),
        ("a value of 4 MiB", &with(&format!("X: {}", "y".repeat(4 << 20))), Refused(431)),
        ("a name of 40 KiB", &with(&format!("{}: y", "x".repeat(40 * 1024))), Refused(431)),
        (
            "40 KiB of the same field",
            &with(&vec!["X: y".repeat(100); 100].join("\r\n")),
            Refused(431),
        ),
    ])
    .await;
}

#[tokio::test]
async fn what_is_about_this_connection_stays_here() {
    hold(&[
        ("keep-alive", &with("Connection: keep-alive\r\nKeep-Alive: timeout=5"), Is("GET /a")),
        ("the old name", &with("Proxy-Connection: keep-alive"), Is("GET /a")),
        ("the proxy's credential", &with("Proxy-Authorization: Basic eA=="), Is("GET /a")),
        ("codings of transfer", &with("TE: gzip, deflate;q=0.5"), Is("GET /a")),
        ("nominated", &with("Connection: X-Mine\r\nX-Mine: 1\r\nX-Kept: 2"), {
            Is("GET /a | x-kept: 2")
        }),
        ("nominated in another case", &with("Connection: x-MINE\r\nX-Mine: 1"), Is("GET /a")),
        ("nominated in a list", &with("Connection: a ,, X-Mine , b\r\nX-Mine: 1"), Is("GET /a")),
        (
            "nominated in lines",
            &with("Connection: a\r\nConnection: X-Mine\r\nX-Mine: 1"),
            Is("GET /a"),
        ),
        ("nominated before it comes", &with("X-Mine: 1\r\nConnection: X-Mine"), Is("GET /a")),
        ("nominated, and comes twice", &with("Connection: X-Mine\r\nX-Mine: 1\r\nX-Mine: 2"), {
            Is("GET /a")
        }),
        ("the nominations", &with("Connection: connection"), Is("GET /a")),
        ("no name", &with("Connection: (x), \"y\", \u{e9}\r\nX: 1"), Is("GET /a | x: 1")),
        ("to be closed", &with("Connection: close\r\nX: 1"), Last("GET /a | x: 1")),
        ("to be closed and kept", &with("Connection: close, keep-alive"), Last("GET /a")),
        ("to be kept and closed", &with("Connection: keep-alive\r\nConnection: close"), {
            Last("GET /a")
        }),
    ])
    .await;
}

#[tokio::test]
async fn connection_cannot_nominate_away_what_others_rely_on() {
    let kept = |nominated: &str, field: &str| {
        (with(&format!("Connection: {nominated}\r\n{field}")), Is(shown(field)))
    };
    let cases = [
        kept("Authorization", "authorization: Bearer x"),
        kept("close, authorization", "authorization: Bearer x").last(),
        kept("AUTHORIZATION", "authorization: Bearer x"),
        kept("Cookie", "cookie: a=b"),
        kept("X-API-Key", "x-api-key: k"),
        kept("Content-Type", "content-type: application/json"),
        kept("Content-Encoding", "content-encoding: gzip"),
        kept("traceparent", "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        (
            b"POST /a HTTP/1.1\r\nHost: a\r\nConnection: Content-Length\r\nContent-Length: 5\r\n\r\nhello"
                .to_vec(),
            Is("POST /a | content-length: 5 | hello"),
        ),
        (
            b"POST /a HTTP/1.1\r\nHost: a\r\nConnection: Transfer-Encoding\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
                .to_vec(),
            Is("POST /a | transfer-encoding: chunked | hello"),
        ),
    ];
    let cases: Vec<(&str, &[u8], Want)> = cases
        .iter()
        .map(|(bytes, want)| (std::str::from_utf8(bytes).unwrap(), bytes.as_slice(), *want))
        .collect();
    hold(&cases).await;
}

#[tokio::test]
async fn connection_cannot_nominate_away_what_the_gateway_adds() {
    let (gateway, upstream) = gateway(OPEN).await;
    let nominated = "Host, Via, Forwarded, X-Forwarded-For, X-Forwarded-Proto, X-Forwarded-Host, \
                     X-Request-Id, close";
    let request = format!("Connection: {nominated}\r\nVia: 1.0 other\r\nX-Request-Id: mine");
    exchange(gateway.address, with(&request)).await;
    let seen = upstream.take_seen().remove(0);
    assert_eq!(seen.field("via"), ["1.0 other", "1.1 vingate"]);
    assert_eq!(seen.field("x-request-id"), ["mine"]);
    assert_eq!(seen.field("x-forwarded-for"), ["127.0.0.1"]);
    assert_eq!(seen.field("x-forwarded-proto"), ["http"]);
    assert_eq!(seen.field("x-forwarded-host"), ["a"]);
    assert_eq!(seen.field("forwarded"), ["for=127.0.0.1;host=\"a\";proto=http"]);
    assert_eq!(seen.field("connection"), [""; 0]);
}

#[tokio::test]
async fn names_that_others_read_as_another_field_or_target_are_dropped() {
    let dropped = [
        "X_Forwarded_For: 192.0.2.1",
        "X-Forwarded_For: 192.0.2.1",
        "X_Forwarded-Host: evil",
        "Content_Length: 5",
        "Host_: evil",
        "_: x",
        "X-Original-URL: /admin",
        "X-Rewrite-URL: /admin",
        "X-HTTP-Method-Override: DELETE",
        "X-HTTP-Method: DELETE",
        "X-Method-Override: DELETE",
        "X-Forwarded-Prefix: /admin",
        "X-Forwarded-Port: 1",
        "X-Forwarded-Server: evil",
        "X-Real-IP: 192.0.2.1",
    ];
    let cases = dropped.map(|field| (field, with(field), Is("GET /a")));
    let cases: Vec<(&str, &[u8], Want)> = cases
        .iter()
        .map(|(name, bytes, want)| (*name, bytes.as_slice(), *want))
        .collect();
    hold(&cases).await;
}

#[tokio::test]
async fn no_upgrade_but_a_websockets_goes_upstream() {
    let upgrade = |fields: &str| with(&format!("Connection: Upgrade, HTTP2-Settings\r\n{fields}"));
    hold(&[
        ("h2c", &upgrade("Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"), {
            Is("GET /a")
        }),
        ("h2c without nominations", &with("Upgrade: h2c"), Is("GET /a")),
        ("TLS", &upgrade("Upgrade: TLS/1.0"), Is("GET /a")),
        ("two", &upgrade("Upgrade: h2c, TLS/1.0"), Is("GET /a")),
        ("a WebSocket that is not nominated", &with("Upgrade: websocket"), Is("GET /a")),
        (
            "a WebSocket in HTTP/1.0",
            b"GET /a HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
            Last("GET /a"),
        ),
        (
            "a WebSocket on a POST",
            b"POST /a HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\nhello",
            Is("POST /a | content-length: 5 | hello"),
        ),
        (
            "a WebSocket with a body",
            b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nContent-Length: 5\r\n\r\nhello",
            Is("GET /a | content-length: 5 | hello"),
        ),
        (
            "a WebSocket that the upstream does not agree to",
            &upgrade("Upgrade: websocket\r\nSec-WebSocket-Key: x"),
            Is("GET /a | connection: upgrade | sec-websocket-key: x | upgrade: websocket"),
        ),
    ])
    .await;
}

/// A `GET` with these fields.
fn with(fields: &str) -> Vec<u8> {
    format!("GET /a HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n").into_bytes()
}

/// What the upstream sees of a `GET` with this field.
fn shown(field: &str) -> &'static str {
    format!("GET /a | {field}").leak()
}

trait Ending {
    fn last(self) -> Self;
}

impl Ending for (Vec<u8>, Want) {
    /// The same, but the connection ends with it.
    fn last(self) -> Self {
        match self {
            (bytes, Is(request)) => (bytes, Last(request)),
            other => other,
        }
    }
}
