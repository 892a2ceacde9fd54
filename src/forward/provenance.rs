//! `Via`, `Forwarded` and `X-Forwarded-*`: the way that a message took.

use std::fmt::Write as _;

use bytes::{Bytes, BytesMut};
use http::{
    HeaderMap, HeaderName, HeaderValue, Version,
    header::{Entry, FORWARDED, VIA},
};

use crate::{
    connection_memory::Forwarded,
    headers::{VIA_1_1, X_FORWARDED_FOR, pseudonym},
    peer::Peer,
};

const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Appends the gateway to `Via`, with the version in which the message was received
/// (RFC 9110 section 7.6.3).
pub(super) fn append_via(headers: &mut HeaderMap, received: Version) {
    headers.append(
        VIA,
        HeaderValue::from_static(match received {
            Version::HTTP_10 => concat!("1.0 ", pseudonym!()),
            Version::HTTP_2 => concat!("2 ", pseudonym!()),
            _ => VIA_1_1,
        }),
    );
}

/// Says for whom, by which protocol and under which name the request came (RFC 7239, and the
/// older fields), after what the head already says.
///
/// `host` is the name that the client called the gateway by.
pub(super) fn append_forwarded(
    headers: &mut HeaderMap,
    peer: &Peer,
    host: Option<HeaderValue>,
    forwarded: Forwarded,
) {
    append(headers, X_FORWARDED_FOR, forwarded.address);
    append(headers, X_FORWARDED_PROTO, HeaderValue::from_static(protocol(peer)));
    if let Some(host) = host {
        append(headers, X_FORWARDED_HOST, host);
    }
    append(headers, FORWARDED, forwarded.element);
}

/// The peer's address alone, and the element of `Forwarded`: two views of one buffer.
pub(super) fn describe(peer: &Peer, host: Option<&[u8]>) -> Forwarded {
    let address = peer.address.ip().to_canonical();
    let (open, close) = if address.is_ipv6() { ("for=\"[", "]\"") } else { ("for=", "") };
    let mut text = BytesMut::with_capacity(128);
    text.extend_from_slice(open.as_bytes());
    // Writing to a buffer that grows does not fail.
    let _ = write!(text, "{address}");
    let address_at = open.len()..text.len();
    text.extend_from_slice(close.as_bytes());
    if let Some(host) = host {
        text.extend_from_slice(b";host=\"");
        for &byte in host {
            if matches!(byte, b'"' | b'\\') {
                text.extend_from_slice(b"\\");
            }
            text.extend_from_slice(&[byte]);
        }
        text.extend_from_slice(b"\"");
    }
    text.extend_from_slice(b";proto=");
    text.extend_from_slice(protocol(peer).as_bytes());
    let text = text.freeze();
    Forwarded { address: value(text.slice(address_at)), element: value(text) }
}

fn protocol(peer: &Peer) -> &'static str {
    if peer.tls { "https" } else { "http" }
}

/// `text` is made of field values.
fn value(text: Bytes) -> HeaderValue {
    HeaderValue::from_maybe_shared(text).expect("what is between field values is ASCII")
}

/// Makes `added` the last element of the list `name`: one line, because many readers see only
/// the first.
fn append(headers: &mut HeaderMap, name: HeaderName, added: HeaderValue) {
    match headers.entry(name) {
        Entry::Vacant(vacant) => {
            vacant.insert(added);
        }
        Entry::Occupied(mut earlier) => {
            let mut list = BytesMut::new();
            for earlier in earlier.iter() {
                list.extend_from_slice(earlier.as_bytes());
                list.extend_from_slice(b", ");
            }
            list.extend_from_slice(added.as_bytes());
            earlier.insert(value(list.freeze()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forwarded(headers: &HeaderMap) -> [&str; 4] {
        [X_FORWARDED_FOR, X_FORWARDED_PROTO, X_FORWARDED_HOST, FORWARDED].map(|name| {
            headers
                .get(name)
                .map_or("", |value| value.to_str().unwrap())
        })
    }

    #[test]
    fn says_who_sent_the_request_and_how() {
        for (address, tls, host, want) in [
            (
                "192.0.2.7:1",
                false,
                Some("gate:8080"),
                ["192.0.2.7", "http", "gate:8080", "for=192.0.2.7;host=\"gate:8080\";proto=http"],
            ),
            (
                "[2001:db8::1]:1",
                true,
                Some("gate"),
                ["2001:db8::1", "https", "gate", "for=\"[2001:db8::1]\";host=\"gate\";proto=https"],
            ),
            (
                "[::ffff:192.0.2.7]:1",
                false,
                None,
                ["192.0.2.7", "http", "", "for=192.0.2.7;proto=http"],
            ),
            (
                "192.0.2.7:1",
                false,
                Some("a\"\\;for=x"),
                [
                    "192.0.2.7",
                    "http",
                    "a\"\\;for=x",
                    "for=192.0.2.7;host=\"a\\\"\\\\;for=x\";proto=http",
                ],
            ),
        ] {
            let mut headers = HeaderMap::new();
            let host = host.map(HeaderValue::from_static);
            let peer = Peer::new(address.parse().unwrap(), tls);
            let described = describe(&peer, host.as_ref().map(HeaderValue::as_bytes));
            append_forwarded(&mut headers, &peer, host, described);
            assert_eq!(forwarded(&headers), want);
        }
    }

    #[test]
    fn continues_the_lists_of_a_proxy_in_one_line() {
        let mut headers = HeaderMap::new();
        headers.append(X_FORWARDED_FOR, HeaderValue::from_static("198.51.100.1"));
        headers.append(X_FORWARDED_FOR, HeaderValue::from_static("198.51.100.2"));
        headers.append(FORWARDED, HeaderValue::from_static("for=_x"));
        let peer = Peer::new("192.0.2.7:1".parse().unwrap(), false);
        append_forwarded(&mut headers, &peer, None, describe(&peer, None));
        assert_eq!(headers.get_all(X_FORWARDED_FOR).iter().count(), 1);
        assert_eq!(
            forwarded(&headers),
            [
                "198.51.100.1, 198.51.100.2, 192.0.2.7",
                "http",
                "",
                "for=_x, for=192.0.2.7;proto=http"
            ]
        );
    }

    #[test]
    fn appends_to_via_with_the_received_version() {
        let mut headers = HeaderMap::new();
        for version in [Version::HTTP_10, Version::HTTP_11, Version::HTTP_2] {
            append_via(&mut headers, version);
        }
        let via: Vec<_> = headers.get_all(VIA).iter().collect();
        assert_eq!(via, [concat!("1.0 ", pseudonym!()), VIA_1_1, concat!("2 ", pseudonym!())]);
    }
}
