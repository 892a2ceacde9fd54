use http::HeaderValue;

use super::*;

fn edge() -> Edge {
    Edge { max_uri: 64, max_fields: 4 }
}

fn check(
    method: Method,
    uri: &str,
    version: Version,
    fields: &[(&str, &str)],
) -> Result<(), Error> {
    let mut request = Request::builder().method(method).uri(uri).version(version);
    for (name, value) in fields {
        request = request.header(*name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
    }
    let mut request = request.body(Body::empty()).unwrap();
    RequestContext::of_mut(request.extensions_mut()).headers = fields.len();
    edge().check_request(&request)
}

fn get(uri: &str) -> Result<(), Error> {
    check(Method::GET, uri, Version::HTTP_11, &[("host", "gateway")])
}

#[test]
fn asks_for_one_valid_host() {
    let check = |version, uri: &str, hosts: &[&str]| {
        let fields: Vec<_> = hosts.iter().map(|host| ("host", *host)).collect();
        check(Method::GET, uri, version, &fields)
    };
    for (version, uri, hosts, expected) in [
        (Version::HTTP_11, "/", &["gateway"][..], Ok(())),
        (Version::HTTP_11, "/", &["gateway:8080"], Ok(())),
        (Version::HTTP_11, "/", &["[::1]:8080"], Ok(())),
        (Version::HTTP_11, "/", &["[2001:db8::192.0.2.1]"], Ok(())),
        (Version::HTTP_11, "/", &["[]"], Err(Error::Host)),
        (Version::HTTP_11, "/", &["[]:8080"], Err(Error::Host)),
        (Version::HTTP_11, "/", &["[zz]"], Err(Error::Host)),
        (Version::HTTP_11, "/", &["[::1]]"], Err(Error::Host)),
        (Version::HTTP_11, "/", &["[::1]a"], Err(Error::Host)),
        (Version::HTTP_11, "/", &["[192.0.2.1]"], Err(Error::Host)),
        (Version::HTTP_11, "/", &["[v1.a]"], Err(Error::Host)),
        (Version::HTTP_11, "http://[]/", &["gateway"], Err(Error::Host)),
        (Version::HTTP_11, "/", &["192.0.2.1"], Ok(())),
        (Version::HTTP_11, "/", &[], Err(Error::Host)),
        (Version::HTTP_11, "/", &[""], Err(Error::Host)),
        (Version::HTTP_11, "/", &["a", "b"], Err(Error::Host)),
        (Version::HTTP_11, "/", &["a", "a"], Err(Error::Host)),
        (Version::HTTP_11, "/", &["a b"], Err(Error::Host)),
        (Version::HTTP_11, "/", &["a, b"], Err(Error::Host)),
        (Version::HTTP_11, "/", &["u@a"], Err(Error::Host)),
        (Version::HTTP_11, "/", &["a/b"], Err(Error::Host)),
        (Version::HTTP_11, "/", &["a:b"], Err(Error::Host)),
        (Version::HTTP_11, "/", &["a:99999"], Err(Error::Host)),
        (Version::HTTP_11, "/", &["a:+80"], Err(Error::Host)),
        (Version::HTTP_11, "/", &["[::1]:+80"], Err(Error::Host)),
        (Version::HTTP_11, "http://a:+80/", &["a"], Err(Error::Host)),
        (Version::HTTP_2, "http://a:+80/", &[], Err(Error::Host)),
        (Version::HTTP_11, "http://other/", &["gateway"], Ok(())),
        (Version::HTTP_11, "http://u:p@other/", &["gateway"], Err(Error::Host)),
        (Version::HTTP_11, "http://other/", &[], Err(Error::Host)),
        (Version::HTTP_10, "/", &[], Ok(())),
        (Version::HTTP_10, "/", &["a", "b"], Err(Error::Host)),
        (Version::HTTP_2, "http://gateway/", &[], Ok(())),
        (Version::HTTP_2, "http://gateway/", &["gateway"], Ok(())),
        (Version::HTTP_2, "http://gateway/", &["other"], Err(Error::Host)),
        (Version::HTTP_2, "/", &["gateway"], Ok(())),
        (Version::HTTP_2, "/", &[], Err(Error::Host)),
    ] {
        assert_eq!(check(version, uri, hosts), expected, "{version:?} {uri} {hosts:?}");
    }
}

#[test]
fn takes_one_length_or_chunked_alone() {
    for (version, fields, expected) in [
        (Version::HTTP_11, &[("transfer-encoding", "chunked")][..], Ok(())),
        (Version::HTTP_11, &[("transfer-encoding", "Chunked")], Ok(())),
        (Version::HTTP_11, &[("transfer-encoding", "gzip, chunked")], Err(Error::Framing)),
        (Version::HTTP_11, &[("transfer-encoding", "chunked, chunked")], Err(Error::Framing)),
        (Version::HTTP_11, &[("transfer-encoding", "identity")], Err(Error::Framing)),
        (
            Version::HTTP_11,
            &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
            Err(Error::Framing),
        ),
        (
            Version::HTTP_11,
            &[("content-length", "3"), ("transfer-encoding", "chunked")],
            Err(Error::Framing),
        ),
        (Version::HTTP_10, &[("transfer-encoding", "chunked")], Err(Error::Framing)),
        (Version::HTTP_11, &[("content-length", "3")], Ok(())),
        (Version::HTTP_2, &[("content-length", "3")], Ok(())),
        (Version::HTTP_2, &[("content-length", "")], Err(Error::Framing)),
        (Version::HTTP_2, &[("content-length", "3"), ("content-length", "3")], Err(Error::Framing)),
    ] {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(*name, HeaderValue::from_static(value));
        }
        assert_eq!(check_framing(version, &map), expected, "{fields:?}");
    }
}

#[test]
fn refuses_paths_that_mean_another_path_to_somebody() {
    for (path, expected) in [
        ("/", Ok(())),
        ("/api/vehicles", Ok(())),
        ("/a//b", Ok(())),
        ("/a.b/..c/c..", Ok(())),
        ("/a%20b%2Fc", Ok(())),
        ("/...", Ok(())),
        ("/.", Err(Error::Path)),
        ("/..", Err(Error::Path)),
        ("/a/../b", Err(Error::Path)),
        ("/a/./b", Err(Error::Path)),
        ("/a/%2e%2E/b", Err(Error::Path)),
        ("/a/.%2e", Err(Error::Path)),
        ("/a/..;x/b", Err(Error::Path)),
        ("/a/..%3Bx/b", Err(Error::Path)),
        ("/a%2f..%2Fb", Err(Error::Path)),
        ("/a%2f...%2Fb", Ok(())),
        ("/a%252e%252e/b", Ok(())),
        ("/a%5Cb", Err(Error::Path)),
        ("/a%5cb", Err(Error::Path)),
        ("/a%00b", Err(Error::Path)),
        ("/a%0d%0ab", Err(Error::Path)),
        ("/a%1Fb", Err(Error::Path)),
        ("/a%7f", Err(Error::Path)),
    ] {
        assert_eq!(get(path), expected, "{path}");
    }
    assert_eq!(check_path("/a\\b"), Err(Error::Path));
    assert_eq!(check_path("*"), Err(Error::Target));
}

#[test]
fn serves_options_of_the_server_and_no_other_star() {
    for (method, uri, headers, expected) in [
        (Method::OPTIONS, "*", &[("host", "a")][..], Error::ServerOptions),
        (Method::OPTIONS, "*", &[], Error::Host),
        (Method::OPTIONS, "*", &[("host", "a"), ("expect", "x")], Error::Expectation),
        (Method::GET, "*", &[("host", "a")], Error::Target),
        (Method::POST, "*", &[("host", "a")], Error::Target),
    ] {
        assert_eq!(check(method, uri, Version::HTTP_11, headers), Err(expected));
    }
}

#[test]
fn bounds_targets_and_fields() {
    assert_eq!(get(&format!("/{}", "a".repeat(63))), Ok(()));
    assert_eq!(get(&format!("/{}", "a".repeat(64))), Err(Error::UriTooLong { limit: 64 }));
    for (version, longest) in [(Version::HTTP_11, 57), (Version::HTTP_2, 64)] {
        let get = |length: usize| {
            let uri = format!("http://gateway/{}", "a".repeat(length - 1));
            check(Method::GET, &uri, version, &[("host", "gateway")])
        };
        assert_eq!(get(longest), Ok(()), "{version:?}");
        assert_eq!(get(longest + 1), Err(Error::UriTooLong { limit: 64 }), "{version:?}");
    }
    let many = [("host", "a"), ("a", ""), ("b", ""), ("c", ""), ("d", "")];
    let check = |fields| check(Method::GET, "/", Version::HTTP_11, fields);
    assert_eq!(check(&many[..4]), Ok(()));
    assert_eq!(check(&many), Err(Error::TooManyHeaders { limit: 4 }));
    let named = [("x-request-id", "1"), ("host", "a"), ("a", ""), ("b", ""), ("c", "")];
    assert_eq!(check(&named), Err(Error::TooManyHeaders { limit: 4 }));
}

#[test]
fn allows_neither_connect_nor_trace_nor_what_is_no_method() {
    for (method, expected) in [
        ("GET", Ok(())),
        ("get", Ok(())),
        ("BREW", Ok(())),
        ("CONNECT", Err(Error::Method)),
        ("TRACE", Err(Error::Method)),
        ("TRACK", Err(Error::Method)),
        (&"M".repeat(32), Ok(())),
        (&"M".repeat(33), Err(Error::Method)),
    ] {
        let found = check(method.parse().unwrap(), "/", Version::HTTP_11, &[("host", "a")]);
        assert_eq!(found, expected, "{method}");
    }
}

#[test]
fn takes_targets_that_http_has() {
    for (uri, expected) in [
        ("http://a/", Ok(())),
        ("HTTPS://a/", Ok(())),
        ("file://a/", Err(Error::Target)),
        ("httpx://a/", Err(Error::Target)),
    ] {
        assert_eq!(get(uri), expected, "{uri}");
    }
}

#[test]
fn lets_a_post_mean_get_and_nothing_else() {
    for (path, method, said, expected) in [
        ("/api/batch/scraping/", Method::POST, "GET", Ok(())),
        ("/api/batch/scraping", Method::POST, "get", Ok(())),
        ("/api/batch/scraping/", Method::POST, "PUT", Err(Error::Override)),
        ("/api/batch/scraping/", Method::POST, "", Err(Error::Override)),
        ("/api/batch/scraping/", Method::GET, "PUT", Ok(())),
        ("/api/vehicles", Method::POST, "PUT", Ok(())),
    ] {
        let fields = [("host", "a"), ("x-http-method-override", said)];
        assert_eq!(check(method, path, Version::HTTP_11, &fields), expected, "{path} {said}");
    }
}

#[test]
fn expects_nothing_but_100_continue() {
    for (expectation, expected) in [
        ("100-continue", Ok(())),
        ("100-Continue", Ok(())),
        ("200-ok", Err(Error::Expectation)),
        ("100-continue, x", Err(Error::Expectation)),
    ] {
        let fields = [("host", "a"), ("expect", expectation)];
        assert_eq!(check(Method::PUT, "/", Version::HTTP_11, &fields), expected, "{expectation}");
    }
}
