//! What a request is made of (RFC 9113 section 8).

use super::{Is, Late, Refused, Reset, Want, hold};
use crate::frames::{DATA, END_HEADERS, END_STREAM, HEADERS, PROTOCOL_ERROR, block, frame, pseudo};

const MALFORMED: Want = Reset(PROTOCOL_ERROR);

/// A request without a body, of exactly these fields.
fn head(fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(fields))
}

/// A `GET` with these fields, too.
fn with(fields: &[(&str, &str)]) -> Vec<u8> {
    head(&[&pseudo("GET", "/a"), fields].concat())
}

/// A `POST` with these fields and these pieces of a body.
fn post(fields: &[(&str, &str)], pieces: &[&str]) -> Vec<u8> {
    let fields = block(&[&pseudo("POST", "/a"), fields].concat());
    let mut bytes = frame(HEADERS, END_HEADERS, 1, &fields);
    for (index, piece) in pieces.iter().enumerate() {
        let flags = if index + 1 == pieces.len() { END_STREAM } else { 0 };
        bytes.extend(frame(DATA, flags, 1, piece.as_bytes()));
    }
    bytes
}

#[tokio::test]
async fn pseudo_header_fields_stand_first_and_once() {
    let (method, scheme) = ((":method", "GET"), (":scheme", "http"));
    let (authority, path) = ((":authority", "a"), (":path", "/a"));
    hold(vec![
        ("all four", head(&[method, scheme, authority, path]), Is("GET /a")),
        ("in another order", head(&[path, authority, scheme, method]), Is("GET /a")),
        ("no method", head(&[scheme, authority, path]), MALFORMED),
        ("no scheme", head(&[method, authority, path]), MALFORMED),
        ("no path", head(&[method, scheme, authority]), MALFORMED),
        ("an empty path", head(&[method, scheme, authority, (":path", "")]), MALFORMED),
        ("an empty scheme", head(&[method, (":scheme", ""), authority, path]), Refused(400)),
        ("an empty method", head(&[(":method", ""), scheme, authority, path]), MALFORMED),
        ("an empty authority", head(&[method, scheme, (":authority", ""), path]), MALFORMED),
        ("two methods", head(&[method, method, scheme, authority, path]), MALFORMED),
        ("two schemes", head(&[method, scheme, scheme, authority, path]), MALFORMED),
        ("two authorities", head(&[method, scheme, authority, authority, path]), MALFORMED),
        ("two paths", head(&[method, scheme, authority, path, (":path", "/b")]), MALFORMED),
        ("an unknown one", with(&[(":unknown", "x")]), MALFORMED),
        ("one of answers", with(&[(":status", "200")]), MALFORMED),
        ("a late one", head(&[method, scheme, authority, ("x", "y"), path]), MALFORMED),
        ("a second, late one", with(&[("x", "y"), (":path", "/b")]), MALFORMED),
        (
            // Our library drops it before anybody sees it: the request is the one without it.
            "one in trailers",
            [
                frame(HEADERS, END_HEADERS, 1, &block(&pseudo("POST", "/a"))),
                frame(DATA, 0, 1, b"hello"),
                frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&[(":path", "/b")])),
            ]
            .concat(),
            Is("POST /a | transfer-encoding: chunked | hello"),
        ),
        (
            "one for another protocol",
            head(&[(":method", "CONNECT"), (":protocol", "websocket"), scheme, authority, path]),
            MALFORMED,
        ),
    ])
    .await;
}

#[tokio::test]
async fn targets_are_judged_as_in_http1() {
    let at = |authority: &str, fields: &[(&str, &str)]| {
        let pseudo =
            [(":method", "GET"), (":scheme", "http"), (":authority", authority), (":path", "/a")];
        head(&[&pseudo, fields].concat())
    };
    let without = |fields: &[(&str, &str)]| {
        head(&[&[(":method", "GET"), (":scheme", "http"), (":path", "/a")], fields].concat())
    };
    let path = |path: &str| head(&pseudo("GET", path));
    let scheme = |scheme: &str| {
        head(&[(":method", "GET"), (":scheme", scheme), (":authority", "a"), (":path", "/a")])
    };
    let method = |method: &str| head(&pseudo(method, "/a"));
    hold(vec![
        ("an authority", at("evil.example:8080", &[]), Is("GET /a")),
        ("the same host", at("a", &[("host", "a")]), Is("GET /a")),
        ("another host", at("a", &[("host", "b")]), Refused(400)),
        ("two hosts", at("a", &[("host", "a"), ("host", "a")]), Refused(400)),
        ("a host alone", without(&[("host", "a")]), Is("GET /a")),
        ("no host", without(&[]), Refused(400)),
        ("two hosts alone", without(&[("host", "a"), ("host", "b")]), Refused(400)),
        ("an invalid host alone", without(&[("host", "a b")]), Refused(400)),
        ("a user", at("u@a", &[]), Refused(400)),
        ("a password", at("u:p@a", &[]), Refused(400)),
        ("a path in the authority", at("a/b", &[]), MALFORMED),
        ("a blank in the authority", at("a b", &[]), MALFORMED),
        ("CR LF in the authority", at("a\r\nx: y", &[]), MALFORMED),
        ("a NUL in the authority", at("a\0", &[]), MALFORMED),
        ("https", scheme("https"), Is("GET /a")),
        ("another scheme", scheme("ftp"), Refused(400)),
        ("a scheme that is none", scheme("ht tp"), MALFORMED),
        ("a scheme that is a target", scheme("http://evil/?"), MALFORMED),
        ("no slash first", path("a"), MALFORMED),
        ("a target", path("http://evil.example/a"), MALFORMED),
        ("a star", path("*"), Refused(400)),
        ("a star for OPTIONS", head(&pseudo("OPTIONS", "*")), Refused(204)),
        ("a star for POST", head(&pseudo("POST", "*")), Refused(400)),
        ("dots", path("/a/../b"), Refused(400)),
        ("encoded dots", path("/a/%2e%2e/b"), Refused(400)),
        ("a backslash", path("/a\\b"), Refused(400)),
        ("CR LF in the path", path("/a\r\nx: y"), MALFORMED),
        ("a NUL in the path", path("/a\0"), MALFORMED),
        ("a blank in the path", path("/a HTTP/1.1"), MALFORMED),
        ("two slashes first", path("//evil.example/a"), Is("GET //evil.example/a")),
        ("TRACE", method("TRACE"), Refused(405)),
        ("CONNECT with a path", method("CONNECT"), MALFORMED),
        ("CONNECT", head(&[(":method", "CONNECT"), (":authority", "a:443")]), Refused(405)),
        ("a method with a blank", method("GET /b HTTP/1.1\r\nx:"), MALFORMED),
        ("a method with LF", method("GET\n"), MALFORMED),
    ])
    .await;
}

#[tokio::test]
async fn fields_are_what_http1_could_carry() {
    hold(vec![
        ("a field", with(&[("x", "y")]), Is("GET /a | x: y")),
        ("white space in a value", with(&[("x", "y\t z")]), Is("GET /a | x: y\t z")),
        ("an empty value", with(&[("x", "")]), Is("GET /a | x: ")),
        ("a blank before a value", with(&[("x", " y")]), MALFORMED),
        ("a blank behind a value", with(&[("x", "y ")]), MALFORMED),
        ("a tab before a value", with(&[("x", "\ty")]), MALFORMED),
        ("a tab behind a value", with(&[("x", "y\t")]), MALFORMED),
        ("a value of blanks", with(&[("x", " ")]), MALFORMED),
        ("a blank before a host", with(&[("host", " a")]), MALFORMED),
        ("a blank behind a cookie", with(&[("cookie", "a=b "), ("cookie", "c=d")]), MALFORMED),
        ("a blank behind a later value", with(&[("x", "y"), ("x", "z ")]), MALFORMED),
        ("upper case", with(&[("X-Upper", "y")]), MALFORMED),
        ("no name", with(&[("", "y")]), MALFORMED),
        ("a blank in a name", with(&[("x y", "z")]), MALFORMED),
        ("a colon in a name", with(&[("x:y", "z")]), MALFORMED),
        ("CR LF in a name", with(&[("x\r\ny", "z")]), MALFORMED),
        ("a NUL in a name", with(&[("x\0", "z")]), MALFORMED),
        ("no ASCII in a name", with(&[("x\u{e9}", "z")]), MALFORMED),
        ("CR LF in a value", with(&[("x", "y\r\nz: w")]), MALFORMED),
        ("CR in a value", with(&[("x", "y\rz")]), MALFORMED),
        ("LF in a value", with(&[("x", "y\nz")]), MALFORMED),
        ("a NUL in a value", with(&[("x", "y\0z")]), MALFORMED),
        ("a request in a value", with(&[("x", "y\r\n\r\nGET /smuggled HTTP/1.1\r\n")]), MALFORMED),
        ("connection", with(&[("connection", "close")]), MALFORMED),
        ("keep-alive", with(&[("keep-alive", "timeout=5")]), MALFORMED),
        ("proxy-connection", with(&[("proxy-connection", "keep-alive")]), MALFORMED),
        ("transfer-encoding", with(&[("transfer-encoding", "chunked")]), MALFORMED),
        ("upgrade", with(&[("upgrade", "h2c")]), MALFORMED),
        ("te: gzip", with(&[("te", "gzip")]), MALFORMED),
        ("te: trailers, gzip", with(&[("te", "trailers, gzip")]), MALFORMED),
        ("te: trailers", with(&[("te", "trailers")]), {
            Is("GET /a | connection: te | te: trailers")
        }),
        ("names with an underscore", with(&[("x_forwarded_for", "192.0.2.1")]), Is("GET /a")),
        ("other targets", with(&[("x-original-url", "/b"), ("x-rewrite-url", "/b")]), {
            Is("GET /a")
        }),
        ("cookies in crumbs", with(&[("cookie", "a=b"), ("cookie", "c=d")]), {
            Is("GET /a | cookie: a=b; c=d")
        }),
        ("an expectation", with(&[("expect", "x")]), Refused(417)),
    ])
    .await;
}

#[tokio::test]
async fn trailers_are_checked_as_headers_are() {
    let sent = |value| {
        [
            frame(HEADERS, END_HEADERS, 1, &block(&pseudo("POST", "/a"))),
            frame(DATA, 0, 1, b"hello"),
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &block(&[("x", value)])),
        ]
        .concat()
    };
    hold(vec![
        ("white space in a value", sent("y\t z"), {
            Is("POST /a | transfer-encoding: chunked | hello")
        }),
        ("a blank before a value", sent(" y"), MALFORMED),
        ("a tab behind a value", sent("y\t"), MALFORMED),
        ("a value of blanks", sent(" "), MALFORMED),
    ])
    .await;
}

#[tokio::test]
async fn the_length_is_that_of_the_data() {
    let five = [("content-length", "5")];
    hold(vec![
        ("none", post(&[], &["hello"]), Is("POST /a | transfer-encoding: chunked | hello")),
        ("right", post(&five, &["hello"]), Is("POST /a | content-length: 5 | hello")),
        ("in pieces", post(&five, &["he", "", "llo"]), Is("POST /a | content-length: 5 | hello")),
        ("more data", post(&five, &["hello!"]), MALFORMED),
        ("more data in pieces", post(&five, &["hello", "!"]), {
            Late(PROTOCOL_ERROR, "POST /a | content-length: 5 | hello")
        }),
        ("less data", post(&five, &["hell"]), MALFORMED),
        ("no data", post(&five, &[""]), MALFORMED),
        ("no body at all", with(&five), MALFORMED),
        ("0 and no body", with(&[("content-length", "0")]), Is("GET /a | content-length: 0")),
        ("0 and data", post(&[("content-length", "0")], &["x"]), {
            Late(PROTOCOL_ERROR, "POST /a | content-length: 0")
        }),
        ("no number", post(&[("content-length", "x")], &["hello"]), MALFORMED),
        ("a sign", post(&[("content-length", "+5")], &["hello"]), MALFORMED),
        ("below 0", post(&[("content-length", "-5")], &["hello"]), MALFORMED),
        ("2^64 + 5", post(&[("content-length", "18446744073709551621")], &["hello"]), MALFORMED),
        ("two", post(&[("content-length", "5"), ("content-length", "6")], &["hello"]), MALFORMED),
        (
            "two equal ones",
            post(&[("content-length", "5"), ("content-length", "5")], &["hello"]),
            { Refused(400) },
        ),
        ("empty", with(&[("content-length", "")]), Refused(400)),
        ("empty beside 0", with(&[("content-length", "0"), ("content-length", "")]), Refused(400)),
        ("a list", post(&[("content-length", "5, 5")], &["hello"]), MALFORMED),
        (
            "a body that looks like a request",
            post(&[], &["GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n"]),
            Is("POST /a | transfer-encoding: chunked | GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n"),
        ),
    ])
    .await;
}
