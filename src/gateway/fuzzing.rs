//! Heads of requests, whatever the parser lets through.

use http::{
    HeaderName, HeaderValue, Method, Request, Uri, Version,
    header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING},
};
use percent_encoding::percent_decode_str;

use super::{Config, edge::Edge, routing::is_overridden};
use crate::{
    body::Body,
    normalize::{self, Normalize},
    request_context::RequestContext,
    route::{Route, vehicle_status_vin},
    rule,
    vehicle::{Vin, clean},
};

const CONFIG: Config =
    Config { max_uri: 512, max_fields: 8, trusted_proxies: Vec::new(), origins: Vec::new() };

/// Takes a head, written as in HTTP/1 with LF for its line ends and any version, past the edge
/// and the normalization.
///
/// Who passes the edge can be read in one way only. Normalization changes no route, nothing
/// that decides, and nothing but spellings; what it gives passes edge and normalization as it
/// is.
pub fn head(data: &[u8]) {
    let Some(request) = read(data) else { return };
    let edge = Edge::new(&CONFIG);
    let Ok(request) = rule::apply_now(&edge, request) else { return };
    has_one_reading(&request);

    let (method, sent) = (request.method().clone(), request.uri().clone());
    let headers = request.headers().clone();
    let Some(normalized) = normalized(request) else { return };
    let left = normalized.uri().clone();
    assert_eq!((left.scheme(), left.authority()), (sent.scheme(), sent.authority()));
    assert_eq!(normalized.headers(), &headers, "a header has changed");
    let route = route(&method, &sent, &normalized);
    assert_eq!(route, self::route(&method, &left, &normalized), "the route has changed");
    match (vehicle_status_vin(sent.path()), vehicle_status_vin(left.path())) {
        (Some(typed), Some(vin)) => {
            let typed = percent_decode_str(typed)
                .decode_utf8()
                .expect("it is a text");
            assert_eq!(clean(&typed), vin);
            assert_eq!(Vin::parse(vin).expect("it is a VIN").as_str(), vin);
        }
        _ => assert_eq!(sent.path(), left.path(), "a path has changed"),
    }
    has_same_query(&sent, &left, route == Route::VehicleList);

    let uri_is_short = left.to_string().len() <= CONFIG.max_uri;
    if let Ok(again) = rule::apply_now(&edge, normalized) {
        let again = self::normalized(again).expect("what was accepted is accepted again");
        assert_eq!(again.uri(), &left, "normalized twice is something else");
    } else {
        assert!(!uri_is_short, "normalization makes what the edge rejects");
    }
}

/// A request of a head as `data` writes it; `None` if it is none that a parser would give.
fn read(data: &[u8]) -> Option<Request<Body>> {
    let mut lines = data.split(|&byte| byte == b'\n');
    let mut words = lines.next()?.splitn(3, |&byte| byte == b' ');
    let mut request = Request::new(Body::empty());
    *request.method_mut() = Method::from_bytes(words.next()?).ok()?;
    *request.uri_mut() = Uri::try_from(words.next()?).ok()?;
    *request.version_mut() = match words.next()? {
        b"HTTP/1.0" => Version::HTTP_10,
        b"HTTP/2" => Version::HTTP_2,
        _ => Version::HTTP_11,
    };
    for line in lines {
        let colon = line.iter().position(|&byte| byte == b':')?;
        let name = HeaderName::from_bytes(&line[..colon]).ok()?;
        let value = HeaderValue::from_bytes(line[colon + 1..].trim_ascii()).ok()?;
        request.headers_mut().append(name, value);
    }
    let headers = request.headers().len();
    RequestContext::of_mut(request.extensions_mut()).headers = headers;
    Some(request)
}

/// Nothing of a request that passed can be read in two ways.
fn has_one_reading(request: &Request<Body>) {
    let (uri, headers) = (request.uri(), request.headers());
    assert!(headers.len() <= CONFIG.max_fields);
    assert!(!matches!(*request.method(), Method::CONNECT | Method::TRACE));

    let hosts: Vec<_> = headers.get_all(HOST).iter().collect();
    assert!(hosts.len() <= 1, "two hosts");
    let is_old = request.version() == Version::HTTP_10;
    assert!(is_old || !hosts.is_empty() || uri.authority().is_some(), "no host");
    for host in hosts {
        let odd = |byte: &u8| matches!(byte, b'@' | b'/' | b'?' | b'#' | b' ' | b'\\');
        assert!(!host.is_empty() && !host.as_bytes().iter().any(odd), "an odd host");
    }
    if let Some(encoding) = headers.get(TRANSFER_ENCODING) {
        assert!(
            encoding
                .as_bytes()
                .trim_ascii()
                .eq_ignore_ascii_case(b"chunked")
        );
        assert_eq!(headers.get_all(TRANSFER_ENCODING).iter().count(), 1);
        assert!(!headers.contains_key(CONTENT_LENGTH) && !is_old);
    }

    let path = uri.path();
    assert!(path.starts_with('/'), "no path");
    // As somebody reads it who decodes escapes before segments, and takes `\` for `/`.
    let decoded = percent_decode_str(path).collect::<Vec<u8>>();
    assert!(
        !decoded
            .iter()
            .any(|byte| byte.is_ascii_control() || *byte == b'\\')
    );
    for segment in path.split('/') {
        let name = segment.split(';').next().unwrap_or_default();
        let name: Vec<u8> = percent_decode_str(name).collect();
        assert!(name != b"." && name != b"..", "a dot segment");
    }
}

/// The request below the normalization, unless that rejects it.
fn normalized(mut request: Request<Body>) -> Option<Request<Body>> {
    let route = route(request.method(), request.uri(), &request);
    // Its body is a subject of its own.
    if route == Route::VehicleUpsert {
        return None;
    }
    RequestContext::of_mut(request.extensions_mut()).route = route;
    let config =
        normalize::Config { max_body: 0, body_idle_timeout: std::time::Duration::from_secs(1) };
    rule::apply_now(&Normalize(config), request).ok()
}

fn route(method: &Method, uri: &Uri, request: &Request<Body>) -> Route {
    Route::of(method, uri.path(), is_overridden(request.headers()) == Some(true))
}

/// The same pairs in the same order; of the vehicle list `vin` and `plate` are clean.
fn has_same_query(sent: &Uri, left: &Uri, is_list: bool) {
    let (Some(sent), Some(left)) = (sent.query(), left.query()) else {
        return assert_eq!(sent.query(), left.query());
    };
    assert_eq!(sent.split('&').count(), left.split('&').count());
    for (sent, left) in sent.split('&').zip(left.split('&')) {
        if sent == left {
            continue;
        }
        assert!(is_list, "a pair has changed");
        let (sent, left) = (sent.split_once('='), left.split_once('='));
        let (Some((name, typed)), Some((same, value))) = (sent, left) else {
            panic!("a pair is no pair");
        };
        assert_eq!(name, same, "a name has changed");
        let decode = |text: &str| {
            let text = text.replace('+', " ");
            let text = percent_decode_str(&text).decode_utf8();
            text.expect("it is a text").into_owned()
        };
        assert!(matches!(&*decode(name), "vin" | "plate"), "another pair has changed");
        assert_eq!(decode(value), clean(&decode(typed)));
    }
}
