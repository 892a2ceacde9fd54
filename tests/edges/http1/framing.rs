//! Where a body ends (RFC 9112 sections 6 and 7).

use super::{Is, Last, OPEN, PROBE, Refused, RefusedBehind, Want, gateway, hold};
use crate::caller::{Caller, exchange, statuses};

#[tokio::test]
async fn one_length_or_none() {
    hold(&[
        ("none", b"POST /a HTTP/1.1\r\nHost: a\r\n\r\n", Is("POST /a | content-length: 0")),
        (
            "one",
            b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
            Is("POST /a | content-length: 5 | hello"),
        ),
        (
            "zero",
            b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
            Is("POST /a | content-length: 0"),
        ),
        (
            "blanks around it",
            b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: \t 5 \t\r\n\r\nhello",
            Is("POST /a | content-length: 5 | hello"),
        ),
        (
            "leading zeros",
            b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 005\r\n\r\nhello",
            Is("POST /a | content-length: 005 | hello"),
        ),
        (
            "twice the same",
            b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
            Is("POST /a | content-length: 5 | hello"),
        ),
        (
            "two, the longer first",
            b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\nContent-Length: 5\r\n\r\nhello",
            Refused(400),
        ),
        (
            "two, the shorter first",
            b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
            Refused(400),
        ),
        (
            "two, one of them none",
            b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: x\r\n\r\nhello",
            Refused(400),
        ),
        (
            "two, one of them 0",
            b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\nhello",
            Refused(400),
        ),
        ("a list of one", &length("5,"), Refused(400)),
        ("a list of the same", &length("5, 5"), Refused(400)),
        ("a list of two", &length("5, 6"), Refused(400)),
        ("a list without blanks", &length("5,5"), Refused(400)),
        ("plus", &length("+5"), Refused(400)),
        ("minus", &length("-1"), Refused(400)),
        ("minus zero", &length("-0"), Refused(400)),
        ("hexadecimal", &length("0x5"), Refused(400)),
        ("a fraction", &length("5.0"), Refused(400)),
        ("an exponent", &length("5e0"), Refused(400)),
        ("two words", &length("5 5"), Refused(400)),
        ("a parameter", &length("5;a"), Refused(400)),
        ("in quotes", &length("\"5\""), Refused(400)),
        ("a digit of another script", &length("\u{ff15}"), Refused(400)),
        ("nothing", &length(""), Refused(400)),
        ("2^64 + 5", &length("18446744073709551621"), Refused(400)),
        // The parser's words for a length that it has no number for.
        ("2^64 - 1", &length("18446744073709551615"), Refused(431)),
        ("2^64 - 2", &length("18446744073709551614"), Refused(431)),
        ("a hundred digits", &length(&"9".repeat(100)), Refused(400)),
        ("a word", &length("chunked"), Refused(400)),
        ("a vertical tab before it", &length("\x0b5"), Refused(400)),
        (
            "on a GET",
            b"GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
            Is("GET /a | content-length: 5 | hello"),
        ),
        (
            "a body that looks like a request",
            b"DELETE /a HTTP/1.1\r\nHost: a\r\nContent-Length: 34\r\n\r\nGET /smug HTTP/1.1\r\nHost: evil\r\n\r\n",
            Is("DELETE /a | content-length: 34 | GET /smug HTTP/1.1\r\nHost: evil\r\n\r\n"),
        ),
        (
            "in HTTP/1.0",
            b"POST /a HTTP/1.0\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
            Last("POST /a | content-length: 5 | hello"),
        ),
        (
            "none in HTTP/1.0, where a body to the end of the connection is none",
            b"POST /a HTTP/1.0\r\nHost: a\r\n\r\nhello",
            Last("POST /a | content-length: 0"),
        ),
    ])
    .await;
}

#[tokio::test]
async fn chunked_is_the_one_coding() {
    let chunked = Is("POST /a | transfer-encoding: chunked | hello");
    hold(&[
        ("alone", &coding("Transfer-Encoding: chunked"), chunked),
        ("in any case", &coding("tRANSFER-eNCODING: ChUnKeD"), chunked),
        ("blanks around it", &coding("Transfer-Encoding: \t chunked \t"), chunked),
        ("none", &coding("Transfer-Encoding:"), Refused(400)),
        ("identity", &coding("Transfer-Encoding: identity"), Refused(400)),
        ("identity first", &coding("Transfer-Encoding: identity, chunked"), Refused(400)),
        ("gzip", &coding("Transfer-Encoding: gzip"), Refused(400)),
        ("gzip first", &coding("Transfer-Encoding: gzip, chunked"), Refused(400)),
        ("gzip last", &coding("Transfer-Encoding: chunked, gzip"), Refused(400)),
        ("twice in a list", &coding("Transfer-Encoding: chunked, chunked"), Refused(400)),
        ("an empty element first", &coding("Transfer-Encoding: , chunked"), Refused(400)),
        ("an empty element last", &coding("Transfer-Encoding: chunked,"), Refused(400)),
        (
            "twice in lines",
            &coding("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"),
            Refused(400),
        ),
        (
            "gzip in a line before",
            &coding("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked"),
            Refused(400),
        ),
        (
            "identity in a line behind",
            &coding("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"),
            Refused(400),
        ),
        (
            "an empty line before",
            &coding("Transfer-Encoding:\r\nTransfer-Encoding: chunked"),
            Refused(400),
        ),
        ("with a parameter", &coding("Transfer-Encoding: chunked;a=b"), Refused(400)),
        ("in quotes", &coding("Transfer-Encoding: \"chunked\""), Refused(400)),
        ("the beginning", &coding("Transfer-Encoding: chunk"), Refused(400)),
        ("more than it", &coding("Transfer-Encoding: xchunked"), Refused(400)),
        ("two words", &coding("Transfer-Encoding: x chunked"), Refused(400)),
        ("a vertical tab", &coding("Transfer-Encoding: \x0bchunked"), Refused(400)),
        ("a NUL", &coding("Transfer-Encoding: chunked\0"), Refused(400)),
        ("a no-break space", &coding("Transfer-Encoding: \u{a0}chunked"), Refused(400)),
        ("a blank before the colon", &coding("Transfer-Encoding : chunked"), Refused(400)),
        ("a tab before the colon", &coding("Transfer-Encoding\t: chunked"), Refused(400)),
        ("a blank before the name", &coding(" Transfer-Encoding: chunked"), Refused(400)),
        ("a fold before it", &coding("Transfer-Encoding:\r\n chunked"), Refused(400)),
        ("a fold behind it", &coding("Transfer-Encoding: chunked\r\n , gzip"), Refused(400)),
        ("a bare CR before it", &coding("X: y\rTransfer-Encoding: chunked"), Refused(400)),
        (
            "in HTTP/1.0",
            b"POST /a HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            Refused(400),
        ),
        (
            "in HTTP/1.0 that is to be kept",
            b"POST /a HTTP/1.0\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            Refused(400),
        ),
        (
            "a name with an underscore is another name",
            b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer_Encoding: chunked\r\n\r\n",
            Is("POST /a | content-length: 0"),
        ),
    ])
    .await;
}

/// RFC 9112 section 6.3: the coding overrides the length, and whoever sent both may have meant
/// to be read in two ways, so that nothing more is read from the connection.
#[tokio::test]
async fn a_coding_and_a_length_end_the_connection() {
    let read = Last("POST /a | transfer-encoding: chunked | hello");
    hold(&[
        ("length first", &coding("Content-Length: 5\r\nTransfer-Encoding: chunked"), read),
        ("length last", &coding("Transfer-Encoding: chunked\r\nContent-Length: 5"), read),
        ("length 0 first", &coding("Content-Length: 0\r\nTransfer-Encoding: chunked"), read),
        ("length 0 last", &coding("Transfer-Encoding: chunked\r\nContent-Length: 0"), read),
        ("no length last", &coding("Transfer-Encoding: chunked\r\nContent-Length: x"), read),
        (
            "no length first",
            &coding("Content-Length: x\r\nTransfer-Encoding: chunked"),
            Refused(400),
        ),
        (
            "lengths around it",
            &coding("Content-Length: 5\r\nTransfer-Encoding: chunked\r\nContent-Length: 6"),
            read,
        ),
        (
            "and a wish to be kept",
            &coding("Connection: keep-alive\r\nTransfer-Encoding: chunked\r\nContent-Length: 5"),
            read,
        ),
        (
            "an odd coding and a length",
            &coding("Transfer-Encoding: xchunked\r\nContent-Length: 5"),
            Refused(400),
        ),
        (
            "on a GET",
            b"GET /a HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            Last("GET /a | content-length: 5 | hello"),
        ),
    ])
    .await;
}

#[tokio::test]
async fn chunks_are_read_as_they_are_meant_or_not_at_all() {
    let read = |chunks: &str| (chunked("POST", chunks), Is(HELLO));
    let many_trailers: String = (0..200).map(|n| format!("x-{n}: 1\r\n")).collect();
    let torn = |chunks: &str| (chunked("POST", chunks), Refused(400));
    let cases = [
        ("one", read("5\r\nhello\r\n0\r\n\r\n")),
        ("two", read("2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n")),
        ("leading zeros", read("0005\r\nhello\r\n000\r\n\r\n")),
        ("an extension", read("5;a=b\r\nhello\r\n0;c\r\n\r\n")),
        ("an extension in quotes", read("5;a=\"b;c\"\r\nhello\r\n0\r\n\r\n")),
        ("blanks before an extension", read("5 \t;a\r\nhello\r\n0\r\n\r\n")),
        ("an extension that looks like a size", read("5;6\r\nhello\r\n0\r\n\r\n")),
        ("trailers that nobody announced", read("5\r\nhello\r\n0\r\nX-A: 1\r\n\r\n")),
        (
            "a trailer that would be the framing",
            read("5\r\nhello\r\n0\r\nContent-Length: 50\r\nTransfer-Encoding: x\r\n\r\n"),
        ),
        ("no size", torn("\r\nhello\r\n0\r\n\r\n")),
        ("no digit", torn("g\r\nhello\r\n0\r\n\r\n")),
        ("a digit and none", torn("5g\r\nhello\r\n0\r\n\r\n")),
        ("plus", torn("+5\r\nhello\r\n0\r\n\r\n")),
        ("minus", torn("-5\r\nhello\r\n0\r\n\r\n")),
        ("0x", torn("0x5\r\nhello\r\n0\r\n\r\n")),
        ("a blank first", torn(" 5\r\nhello\r\n0\r\n\r\n")),
        ("two sizes", torn("5 5\r\nhello\r\n0\r\n\r\n")),
        ("2^64 + 5", torn("10000000000000005\r\nhello\r\n0\r\n\r\n")),
        ("LF behind the size", torn("5\nhello\r\n0\r\n\r\n")),
        ("CR behind the size", torn("5\rhello\r\n0\r\n\r\n")),
        ("a blank behind the size", torn("5 \r\nhello\r\n0\r\n\r\n")),
        ("an extension without a name", torn("5;\r\nhello\r\n0\r\n\r\n")),
        ("an extension of the last chunk without a name", torn("5\r\nhello\r\n0;\r\n\r\n")),
        ("an extension that is no token", torn("5;bad[=x\r\nhello\r\n0\r\n\r\n")),
        ("an extension without its value", torn("5;a=\r\nhello\r\n0\r\n\r\n")),
        ("an extension in open quotes", torn("5;a=\"b\r\nhello\r\n0\r\n\r\n")),
        ("two words in an extension", torn("5;a b\r\nhello\r\n0\r\n\r\n")),
        ("a blank behind an extension", torn("5;a \r\nhello\r\n0\r\n\r\n")),
        ("a NUL in an extension", torn("5;a\0\r\nhello\r\n0\r\n\r\n")),
        ("LF for the end of the trailers", torn("5\r\nhello\r\n0\r\n\n")),
        ("LF behind a trailer", torn("5\r\nhello\r\n0\r\nX: y\n\r\n")),
        ("LF behind a trailer and for their end", torn("5\r\nhello\r\n0\r\nX: y\n\n")),
        ("LF for the end behind a trailer", torn("5\r\nhello\r\n0\r\nX: y\r\n\n")),
        ("LF behind the second trailer", torn("5\r\nhello\r\n0\r\nX: y\r\nZ: z\n\r\n")),
        ("LF in an extension", torn("5;a\nb\r\nhello\r\n0\r\n\r\n")),
        ("CR in an extension", torn("5;a\rb\r\nhello\r\n0\r\n\r\n")),
        ("content longer than its size", torn("5\r\nhello!\r\n0\r\n\r\n")),
        ("content shorter than its size", torn("6\r\nhello\r\n0\r\n\r\n")),
        ("no line end behind the content", torn("5\r\nhello0\r\n\r\n")),
        ("LF behind the content", torn("5\r\nhello\n0\r\n\r\n")),
        ("the last chunk ends with LF", torn("5\r\nhello\r\n0\n\r\n")),
        ("a trailer without a colon", torn("5\r\nhello\r\n0\r\nbroken\r\n\r\n")),
        ("a trailer without a name", torn("5\r\nhello\r\n0\r\n: x\r\n\r\n")),
        ("a trailer with a blank before its colon", torn("5\r\nhello\r\n0\r\nX : y\r\n\r\n")),
        ("a trailer with a NUL", torn("5\r\nhello\r\n0\r\nX: \0\r\n\r\n")),
        ("a fold in a trailer", torn("5\r\nhello\r\n0\r\nX: y\r\n z\r\n\r\n")),
        ("two hundred trailers", torn(&format!("5\r\nhello\r\n0\r\n{many_trailers}\r\n"))),
        (
            "a trailer of 40 KiB",
            torn(&format!("5\r\nhello\r\n0\r\nX: {}\r\n\r\n", "y".repeat(40 * 1024))),
        ),
        (
            "an extension of 40 KiB",
            torn(&format!("5;{}\r\nhello\r\n0\r\n\r\n", "y".repeat(40 * 1024))),
        ),
        (
            "extensions of 40 KiB in pieces",
            torn(&format!("{}0\r\n\r\n", "1;yyyy\r\nx\r\n".repeat(8 * 1024))),
        ),
    ];
    let cases: Vec<(&str, Vec<u8>, Want)> = cases
        .into_iter()
        .map(|(name, (bytes, want))| (name, bytes, want))
        .collect();
    let cases: Vec<(&str, &[u8], Want)> = cases
        .iter()
        .map(|(name, bytes, want)| (*name, bytes.as_slice(), *want))
        .collect();
    hold(&cases).await;

    // A body that has to be whole before anything is sent is judged in the same way.
    let on_get: Vec<(&str, Vec<u8>, Want)> = cases
        .iter()
        .map(|&(name, bytes, want)| {
            let bytes = [b"GET", &bytes["POST".len()..]].concat();
            let want = match want {
                Is(_) => Is("GET /a | content-length: 5 | hello"),
                other => other,
            };
            (name, bytes, want)
        })
        .collect();
    let on_get: Vec<(&str, &[u8], Want)> = on_get
        .iter()
        .map(|(name, bytes, want)| (*name, bytes.as_slice(), *want))
        .collect();
    hold(&on_get).await;

    // What asks for another protocol is HTTP until that has begun.
    const UPGRADE: &[u8] = b"POST /a HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n";
    let upgrading: Vec<(&str, Vec<u8>, Want)> = cases
        .iter()
        .filter(|(_, _, want)| matches!(want, Refused(_)))
        .map(|&(name, bytes, want)| {
            let headers = bytes.strip_prefix(b"POST /a HTTP/1.1\r\n").unwrap();
            (name, [UPGRADE, headers].concat(), want)
        })
        .collect();
    let upgrading: Vec<(&str, &[u8], Want)> = upgrading
        .iter()
        .map(|(name, bytes, want)| (*name, bytes.as_slice(), *want))
        .collect();
    assert!(upgrading.len() > 30);
    hold(&upgrading).await;
}

/// A server that takes LF for a line end sees a request where there is none.
#[tokio::test]
async fn a_head_ends_its_lines_with_crlf() {
    let cases: [(&str, &[u8], Want); 8] = [
        ("LF behind the request line", b"GET /a HTTP/1.1\nHost: a\r\n\r\n", Refused(400)),
        ("LF behind a field", b"GET /a HTTP/1.1\r\nHost: a\n\r\n", Refused(400)),
        ("LF for the end", b"GET /a HTTP/1.1\r\nHost: a\r\n\n", Refused(400)),
        ("LF everywhere", b"GET /a HTTP/1.1\nHost: a\n\n", Refused(400)),
        ("LF between two fields", b"GET /a HTTP/1.1\r\nX: y\nHost: a\r\n\r\n", Refused(400)),
        ("LF before the request", b"\nGET /a HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("CRLF before the request", b"\r\nGET /a HTTP/1.1\r\nHost: a\r\n\r\n", Is("GET /a")),
        (
            "LF in the head behind a body",
            b"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n\n\nGET /b HTTP/1.1\nHost: a\r\n\r\n",
            RefusedBehind("POST /a | content-length: 2 | \n\n"),
        ),
    ];
    hold(&cases).await;

    // Also if nothing comes behind them, and however they come.
    let (gateway, _upstream) = gateway(OPEN).await;
    for (name, bytes, _) in cases
        .iter()
        .filter(|(_, _, want)| matches!(want, Refused(_)))
    {
        let bytes = bytes.strip_suffix(b"\r\n").unwrap_or(bytes);
        let response = exchange(gateway.address, bytes).await;
        assert_eq!(statuses(&response), [400], "{name}");
        let mut caller = Caller::connect(gateway.address).await;
        for byte in bytes {
            caller.send([*byte]).await;
        }
        assert_eq!(statuses(&caller.rest().await), [400], "{name}, byte by byte");
    }
}

/// What cannot be read in one way only ends the connection, but nothing that came before it.
#[tokio::test]
async fn requests_before_a_malformed_body_are_served() {
    let (gateway, upstream) = gateway(OPEN).await;
    let get = "GET /before HTTP/1.1\r\nHost: a\r\n\r\n".repeat(3);
    for body in
        ["0\r\n\n", "0\r\nX: y\n\r\n", "5;\r\nhello\r\n0\r\n\r\n", "5 \r\nhello\r\n0\r\n\r\n"]
    {
        let sent = [get.as_bytes(), &chunked("POST", body), PROBE].concat();
        let responses = exchange(gateway.address, &sent).await;
        assert_eq!(statuses(&responses), [200, 200, 200, 400], "{body:?}");
        let seen: Vec<_> = upstream
            .take_seen()
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(seen, ["GET /before"; 3], "{body:?}");

        // A byte at a time, so that nothing is read together with what comes before it.
        let mut caller = Caller::connect(gateway.address).await;
        for byte in sent {
            caller.send([byte]).await;
        }
        assert_eq!(statuses(&caller.rest().await), [200, 200, 200, 400], "{body:?}");
        upstream.take_seen();
    }
}

const HELLO: &str = "POST /a | transfer-encoding: chunked | hello";

/// A `POST` of `hello` with this length.
fn length(length: &str) -> Vec<u8> {
    format!("POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\nhello").into_bytes()
}

/// A `POST` of `hello` in one chunk, with these fields.
fn coding(fields: &str) -> Vec<u8> {
    format!("POST /a HTTP/1.1\r\nHost: a\r\n{fields}\r\n\r\n5\r\nhello\r\n0\r\n\r\n").into_bytes()
}

fn chunked(method: &str, chunks: &str) -> Vec<u8> {
    format!("{method} /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{chunks}")
        .into_bytes()
}
