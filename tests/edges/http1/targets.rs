//! Which resource is meant, and at whom: nothing that a caller says chooses another upstream,
//! and the path that was judged is the path that is sent.

use super::{Here, Is, Last, OPEN, PROBE, Refused, Want, gateway, hold};
use crate::caller::{Caller, exchange, statuses};

const A: Want = Is("GET /a");

#[tokio::test]
async fn one_host_that_is_one() {
    hold(&[
        ("one", b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n", A),
        ("a port", b"GET /a HTTP/1.1\r\nHost: a:8080\r\n\r\n", A),
        ("an address", b"GET /a HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n", A),
        ("in any case", b"GET /a HTTP/1.1\r\nhOST: A\r\n\r\n", A),
        ("another's", b"GET /a HTTP/1.1\r\nHost: evil.example\r\n\r\n", A),
        ("none", b"GET /a HTTP/1.1\r\n\r\n", Refused(400)),
        ("an empty one", b"GET /a HTTP/1.1\r\nHost:\r\n\r\n", Refused(400)),
        ("blanks", b"GET /a HTTP/1.1\r\nHost: \t \r\n\r\n", Refused(400)),
        ("two", b"GET /a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", Refused(400)),
        ("the same twice", b"GET /a HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Refused(400)),
        ("two, in other case", b"GET /a HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", Refused(400)),
        ("a list", b"GET /a HTTP/1.1\r\nHost: a, b\r\n\r\n", Refused(400)),
        ("two words", b"GET /a HTTP/1.1\r\nHost: a b\r\n\r\n", Refused(400)),
        ("a user", b"GET /a HTTP/1.1\r\nHost: u@a\r\n\r\n", Refused(400)),
        ("a path", b"GET /a HTTP/1.1\r\nHost: a/b\r\n\r\n", Refused(400)),
        ("a query", b"GET /a HTTP/1.1\r\nHost: a?b\r\n\r\n", Refused(400)),
        ("a fragment", b"GET /a HTTP/1.1\r\nHost: a#b\r\n\r\n", Refused(400)),
        ("a scheme", b"GET /a HTTP/1.1\r\nHost: http://a\r\n\r\n", Refused(400)),
        ("a port that is none", b"GET /a HTTP/1.1\r\nHost: a:b\r\n\r\n", Refused(400)),
        ("a port too great", b"GET /a HTTP/1.1\r\nHost: a:65536\r\n\r\n", Refused(400)),
        ("a port with a sign", b"GET /a HTTP/1.1\r\nHost: a:+80\r\n\r\n", Refused(400)),
        ("two ports", b"GET /a HTTP/1.1\r\nHost: a:1:2\r\n\r\n", Refused(400)),
        ("a port alone", b"GET /a HTTP/1.1\r\nHost: :80\r\n\r\n", Refused(400)),
        ("an open bracket", b"GET /a HTTP/1.1\r\nHost: [::1\r\n\r\n", Refused(400)),
        ("a backslash", b"GET /a HTTP/1.1\r\nHost: a\\b\r\n\r\n", Refused(400)),
        ("a quote", b"GET /a HTTP/1.1\r\nHost: a\"b\r\n\r\n", Refused(400)),
        ("no ASCII", b"GET /a HTTP/1.1\r\nHost: \xc3\xa9\r\n\r\n", Refused(400)),
        ("a NUL", b"GET /a HTTP/1.1\r\nHost: a\0\r\n\r\n", Refused(400)),
        ("a blank before the colon", b"GET /a HTTP/1.1\r\nHost : a\r\n\r\n", Refused(400)),
        ("a fold", b"GET /a HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", Refused(400)),
        ("none in HTTP/1.0", b"GET /a HTTP/1.0\r\n\r\n", Last("GET /a")),
        ("two in HTTP/1.0", b"GET /a HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", Refused(400)),
        ("nominated by Connection", b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: host\r\n\r\n", A),
    ])
    .await;
}

#[tokio::test]
async fn no_target_chooses_another_upstream() {
    hold(&[
        ("absolute", b"GET http://a/a HTTP/1.1\r\nHost: a\r\n\r\n", A),
        ("at another", b"GET http://evil.example/a HTTP/1.1\r\nHost: a\r\n\r\n", A),
        ("at an address inside", b"GET http://169.254.169.254/a HTTP/1.1\r\nHost: a\r\n\r\n", A),
        ("https", b"GET https://evil.example:443/a HTTP/1.1\r\nHost: a\r\n\r\n", A),
        ("in any case", b"GET HTTP://a/a HTTP/1.1\r\nHost: a\r\n\r\n", A),
        ("without a path", b"GET http://a HTTP/1.1\r\nHost: a\r\n\r\n", Is("GET /")),
        ("with a query alone", b"GET http://a?b HTTP/1.1\r\nHost: a\r\n\r\n", Is("GET /?b")),
        ("without Host", b"GET http://a/a HTTP/1.1\r\n\r\n", Refused(400)),
        ("with two hosts", b"GET http://a/a HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", Refused(400)),
        ("with an invalid Host", b"GET http://a/a HTTP/1.1\r\nHost: a b\r\n\r\n", Refused(400)),
        ("a user", b"GET http://u@a/a HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("user and password", b"GET http://u:p@a/a HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("two users", b"GET http://a@b@c/a HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("no authority", b"GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("one slash", b"GET http:/a HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("no slash", b"GET http:a HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("a file", b"GET file:///etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("a file at a host", b"GET file://a/etc/passwd HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("another scheme", b"GET gopher://a/a HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("a port too great", b"GET http://a:99999/a HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("a port that is none", b"GET http://a:b/a HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("a backslash", b"GET http://a\\@evil/a HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("dots behind a host", b"GET http://a/../b HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        (
            "two slashes first",
            b"GET //evil.example/a HTTP/1.1\r\nHost: a\r\n\r\n",
            Is("GET //evil.example/a"),
        ),
        (
            "a target in a target",
            b"GET /http://evil.example/a HTTP/1.1\r\nHost: a\r\n\r\n",
            Is("GET /http://evil.example/a"),
        ),
        ("an authority", b"GET a:443 HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("a name", b"GET a HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("no slash first", b"GET a/b HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("at the host of an address", b"GET @evil/a HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("a query alone", b"GET ?a HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("a fragment alone", b"GET #a HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("a star", b"GET * HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("a star for OPTIONS", b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", Here(204)),
        (
            "a star for OPTIONS with a body",
            b"OPTIONS * HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi",
            Here(204),
        ),
        ("a star without a host", b"OPTIONS * HTTP/1.1\r\n\r\n", Refused(400)),
        ("a star with a query", b"OPTIONS *?a HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("two stars", b"OPTIONS ** HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("a star for POST", b"POST * HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
    ])
    .await;
}

#[tokio::test]
async fn the_path_that_is_judged_is_the_path_that_is_sent() {
    let path = |target: &str| -> Vec<u8> {
        format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes()
    };
    // These pass, byte for byte.
    let kept = [
        "/a//b",
        "/a/...",
        "/a./b.",
        "/.a/..b",
        "/a;b/c;d=e",
        "/a%20b",
        "/a%2Fb",
        "/a%2fb",
        "/a%252e%252e/b",
        "/%c0%ae%c0%ae/b",
        "/%ff",
        "/a%",
        "/a%zz",
        "/\u{e9}",
        "/A%2dB",
        "/a:b@c!$&'()*+,=~-_",
        "/a%3Fb%23c",
        "/api/vehicles?stateId=1&stateId=2;a=b+c%20d",
        "/a?",
        "/a?b=../../c",
        "/a?b=%00%5c%2e",
        "/a?http://evil.example/",
        "/a?b?c",
    ];
    // And these are refused.
    let refused = [
        "/.",
        "/..",
        "/./a",
        "/../a",
        "/a/..",
        "/a/../b",
        "/a/.;b/c",
        "/a/..;/b",
        "/a/..;b=c/d",
        "/%2e",
        "/%2e%2e/a",
        "/a/%2E./b",
        "/a/.%2e/b",
        "/a/..%3b/b",
        "/a/..%2fb",
        "/a%2f..%2fb",
        "/a%2F%2e%2e%2Fb",
        "/a%2f.%2fb",
        "/a\\b",
        "/a\\..\\b",
        "/a%5cb",
        "/a%5C..%5Cb",
        "/a%00",
        "/a%00.json",
        "/a%0a",
        "/a%0d%0aX:%20y",
        "/a%09b",
        "/a%1fb",
        "/a%7f",
        "/api/v2/vehicles/3VWFE21C04M000001%2F..%2Fx/status",
        "/api/v2/vehicles/3VWFE21C04M%2F00001/status",
        "/api/v2/vehicles/3VWFE21C04M000001%00/status",
        "/api/v2/vehicles/3VWFE21C04M000001%5C/status",
        "/api/v2/vehicles/3VWFE21C04M00000%/status",
        "/api/v2/vehicles/../status",
    ];
    let mut cases: Vec<(&str, Vec<u8>, Want)> = Vec::new();
    for target in kept {
        let line: &'static str = format!("GET {target}").leak();
        cases.push((target, path(target), Is(line)));
    }
    for target in refused {
        cases.push((target, path(target), Refused(400)));
    }
    let odd: [(&str, &[u8], Want); 12] = [
        ("a blank", b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("two blanks before", b"GET  /a HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("two blanks behind", b"GET /a  HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("a tab before", b"GET\t/a HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("a tab behind", b"GET /a\tHTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("a NUL", b"GET /a\0 HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("a CR", b"GET /a\rb HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("an LF", b"GET /a\nb HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("a DEL", b"GET /a\x7f HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("an escape", b"GET /\x1b[2J HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("no UTF-8", b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
        ("nothing", b"GET  HTTP/1.1\r\nHost: a\r\n\r\n", Refused(400)),
    ];
    cases.extend(odd.map(|(name, bytes, want)| (name, bytes.to_vec(), want)));
    let cases: Vec<(&str, &[u8], Want)> = cases
        .iter()
        .map(|(name, bytes, want)| (*name, bytes.as_slice(), *want))
        .collect();
    hold(&cases).await;
}

/// The parser drops it before anybody looks at the target, so that there is one reading of what
/// is left.
#[tokio::test]
async fn a_fragment_goes_nowhere() {
    hold(&[
        ("behind a path", b"GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", A),
        ("behind a query", b"GET /a?b#c HTTP/1.1\r\nHost: a\r\n\r\n", Is("GET /a?b")),
        ("that hides a path", b"GET /a#/../b HTTP/1.1\r\nHost: a\r\n\r\n", A),
        ("behind a host", b"GET http://a#b HTTP/1.1\r\nHost: a\r\n\r\n", Is("GET /")),
    ])
    .await;
}

#[tokio::test]
async fn targets_are_bounded() {
    let of = |length: usize| format!("/{}", "a".repeat(length - 1));
    let request = |length| format!("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", of(length)).into_bytes();
    let longest: &'static str = format!("GET {}", of(8192)).leak();
    let query = format!("GET /?{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(8191)).into_bytes();
    let absolute = format!("GET http://a{} HTTP/1.1\r\nHost: a\r\n\r\n", of(8192)).into_bytes();
    hold(&[
        ("the longest", &request(8192), Is(longest)),
        ("one more", &request(8193), Refused(414)),
        ("one more with its query", &query, Refused(414)),
        ("one more with its host", &absolute, Refused(414)),
        ("nearly a head", &request(32 * 1024 - 40), Refused(414)),
        ("more than a head", &request(64 * 1024), Refused(431)),
        ("a megabyte", &request(1024 * 1024), Refused(431)),
    ])
    .await;
}

#[tokio::test]
async fn characters_that_must_be_encoded_are_refused_in_words() {
    let (gateway, upstream) = gateway(OPEN).await;
    let targets: [&[u8]; 9] = [
        b"/api/vehicles?plate=\"A\"",
        b"/api/vehicles?plate=<A>",
        b"/api/vehicles?plate=\xd1A",
        b"/api/vehicles?plate=\xc3\x91\"A",
        b"/<a>",
        b"</a>",
        b"/`a`",
        b"/a\xff",
        b"http://a/a<b",
    ];
    for target in targets {
        let head = [b"GET ", target, b" HTTP/1.1\r\nHost: a\r\n\r\n"].concat();
        let mut responses = vec![exchange(gateway.address, [&head, PROBE].concat()).await];
        if head.is_ascii() {
            let mut caller = Caller::connect(gateway.address).await;
            for byte in &head {
                caller.send([*byte]).await;
            }
            responses.push(caller.rest().await);
        }
        for response in responses {
            assert_eq!(statuses(&response), [400], "{response}");
            assert!(response.contains("application/problem+json"), "{response}");
            assert!(response.contains("must be percent-encoded"), "{response}");
        }
    }
    assert!(upstream.take_seen().is_empty());
    let head = b"OPTIONS \"*\" HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(statuses(&exchange(gateway.address, head).await), [400]);
    // Where it is allowed, nothing is touched.
    let fine = b"GET /a HTTP/1.1\r\nHost: a\r\nX: \"<\xff>`\r\nConnection: close\r\n\r\n";
    assert_eq!(statuses(&exchange(gateway.address, fine).await), [200]);
}
