//! The first line, but for its target.

use super::{Is, Last, Refused, Want, hold};

#[tokio::test]
async fn any_method_passes_but_those_that_are_for_proxies() {
    let longest: &'static str = format!("{} /a", "M".repeat(32)).leak();
    hold(&[
        ("OPTIONS", b"OPTIONS /a HTTP/1.1\r\nHost: a\r\n\r\n", Is("OPTIONS /a")),
        ("unknown", b"BREW /a HTTP/1.1\r\nHost: a\r\n\r\n", Is("BREW /a")),
        ("lower case", b"get /a HTTP/1.1\r\nHost: a\r\n\r\n", Is("get /a")),
        ("every character", b"A!#$%&'*+-.^_`|~0 /a HTTP/1.1\r\nHost: a\r\n\r\n", {
            Is("A!#$%&'*+-.^_`|~0 /a")
        }),
        ("the longest", &method(32), Is(longest)),
        ("one more", &method(33), Refused(405)),
        ("8 KiB", &method(8 * 1024), Refused(405)),
        ("more than a head", &method(64 * 1024), Refused(431)),
        ("TRACE", b"TRACE /a HTTP/1.1\r\nHost: a\r\n\r\n", Refused(405)),
        ("TRACK", b"TRACK /a HTTP/1.1\r\nHost: a\r\n\r\n", Refused(405)),
        ("trace", b"trace /a HTTP/1.1\r\nHost: a\r\n\r\n", Refused(405)),
        ("Track", b"Track /a HTTP/1.1\r\nHost: a\r\n\r\n", Refused(405)),
        ("connect to a path", b"connect /a HTTP/1.1\r\nHost: a\r\n\r\n", Refused(405)),
        ("TRACE with a body", b"TRACE /a HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx", {
            Refused(405)
        }),
        ("CONNECT", b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n", Refused(405)),
        ("CONNECT to a path", b"CONNECT /a HTTP/1.1\r\nHost: a\r\n\r\n", Refused(405)),
        ("CONNECT in HTTP/1.0", b"CONNECT a:443 HTTP/1.0\r\n\r\n", Refused(405)),
        (
            "CONNECT with a body",
            b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\nContent-Length: 5\r\n\r\nhello",
            Refused(405),
        ),
        ("a colon", b"GE:T /a HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("a NUL", b"GE\0T /a HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("no ASCII", b"G\xc3\x89T /a HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("in brackets", b"(GET) /a HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("a blank first", b" GET /a HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("none", b"/a HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
    ])
    .await;
}

#[tokio::test]
async fn versions_are_1_0_and_1_1() {
    let bad = Refused(400);
    hold(&[
        ("1.0", b"GET /a HTTP/1.0\r\n\r\n", Last("GET /a")),
        ("1.0, to be kept", b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", Is("GET /a")),
        ("1.2", b"GET /a HTTP/1.2\r\nHost: a\r\n\r\n", bad),
        ("0.9", b"GET /a HTTP/0.9\r\nHost: a\r\n\r\n", bad),
        ("2.0", b"GET /a HTTP/2.0\r\nHost: a\r\n\r\n", bad),
        ("11", b"GET /a HTTP/11\r\nHost: a\r\n\r\n", bad),
        ("1.10", b"GET /a HTTP/1.10\r\nHost: a\r\n\r\n", bad),
        ("01.1", b"GET /a HTTP/01.1\r\nHost: a\r\n\r\n", bad),
        ("lower case", b"GET /a http/1.1\r\nHost: a\r\n\r\n", bad),
        ("another protocol", b"GET /a RTSP/1.0\r\nHost: a\r\n\r\n", bad),
        ("none", b"GET /a\r\nHost: a\r\n\r\n", bad),
        ("a blank behind", b"GET /a HTTP/1.1 \r\nHost: a\r\n\r\n", bad),
        ("a word behind", b"GET /a HTTP/1.1 b\r\nHost: a\r\n\r\n", bad),
    ])
    .await;
}

#[tokio::test]
async fn other_protocols_are_refused() {
    let bad = Refused(400);
    hold(&[
        ("the PROXY protocol", b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n", bad),
        ("the same in bytes", b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c", bad),
        ("TLS", b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", bad),
        ("SSH", b"SSH-2.0-OpenSSH_9.6\r\n", bad),
        ("an answer", b"HTTP/1.1 200 OK\r\nHost: a\r\n\r\n", bad),
        ("a preface that is not quite one", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX", bad),
        ("blank lines are skipped", b"\r\n\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\n", Is("GET /a")),
        ("lines do not end with LF", b"GET /a HTTP/1.1\nHost: a\nX: y\n\n", bad),
        ("lines do not end with CR", b"GET /a HTTP/1.1\rHost: a\r\r", bad),
        ("CR twice", b"GET /a HTTP/1.1\r\r\nHost: a\r\n\r\n", bad),
    ])
    .await;
}

fn method(length: usize) -> Vec<u8> {
    let method = "M".repeat(length);
    format!("{method} /a HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes()
}

#[tokio::test]
async fn expectations_are_met_or_refused() {
    const PUT: &str = "PUT /a | content-length: 5 | hello";
    let put = |fields: &str| {
        format!("PUT /a HTTP/1.1\r\nHost: a\r\n{fields}Content-Length: 5\r\n\r\nhello").into_bytes()
    };
    let table: [(&str, Vec<u8>, Want); 8] = [
        ("100-continue", put("Expect: 100-continue\r\n"), Is(PUT)),
        ("in any case", put("expect: 100-Continue\r\n"), Is(PUT)),
        ("twice", put("Expect: 100-continue\r\nExpect: 100-continue\r\n"), Is(PUT)),
        ("another", put("Expect: 200-ok\r\n"), Refused(417)),
        ("one more", put("Expect: 100-continue, x\r\n"), Refused(417)),
        ("one more in a line", put("Expect: 100-continue\r\nExpect: x\r\n"), Refused(417)),
        ("a parameter", put("Expect: 100-continue;a=b\r\n"), Refused(417)),
        (
            "without a body",
            b"GET /a HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n".to_vec(),
            Is("GET /a"),
        ),
    ];
    let table: Vec<(&str, &[u8], Want)> = table
        .iter()
        .map(|(name, bytes, want)| (*name, bytes.as_slice(), *want))
        .collect();
    hold(&table).await;
}
