//! The head of a request as the upstream gets it: the client's, changed in place.

use http::{
    HeaderValue, Method, Request, Uri, Version,
    header::{CONNECTION, CONTENT_LENGTH, HOST, TE},
};
use http_body::Body as _;

use super::{
    Config, header_filter,
    provenance::{append_forwarded, append_via, describe},
    trailers::Trailers,
    upgrade,
};
use crate::{
    body::Body, connection_memory::Forwarded, peer::Peer, request_context::RequestContext,
};

/// Makes a client's head the one that the upstream gets, and returns the trailers that may follow.
pub(super) fn prepare(request: &mut Request<Body>, config: &Config, is_upgrade: bool) -> Trailers {
    let host = take_host(request);
    let peer = RequestContext::of(request.extensions()).peer;
    let forwarded = peer.map(|peer| forwarded(request, &peer, host.as_ref()));
    let received = request.version();
    make_origin_form(request.uri_mut());
    *request.version_mut() = Version::HTTP_11;
    let lacks_content = lacks_content(request);

    let headers = request.headers_mut();
    let wants_trailers =
        headers.contains_key(TE) && header_filter::has_token(headers, TE, "trailers");
    let trusted = peer.is_some_and(|peer| peer.is_trusted_proxy);
    header_filter::strip_request(headers, &config.credential_headers, trusted);
    if is_upgrade {
        upgrade::announce(headers);
    } else if wants_trailers {
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if lacks_content {
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    append_via(headers, received);
    if let (Some(peer), Some(forwarded)) = (peer, forwarded) {
        append_forwarded(headers, &peer, host, forwarded);
    }
    Trailers::announced(headers, &config.credential_headers)
}

/// Whether content is expected and there is none. HTTP/2 says so without a length; over HTTP/1.1 it
/// takes one (RFC 9110 §8.6), and servers refuse what has none with a 411.
fn lacks_content(request: &Request<Body>) -> bool {
    matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH)
        && request.body().is_end_stream()
}

/// What is said of the other end of the connection, which is the same for all that it sends.
fn forwarded(request: &Request<Body>, peer: &Peer, host: Option<&HeaderValue>) -> Forwarded {
    match (&RequestContext::of(request.extensions()).memory, host) {
        (Some(memory), Some(host)) => memory
            .last_forwarded
            .of(host.as_bytes(), |host| describe(peer, Some(host))),
        (_, host) => describe(peer, host.map(HeaderValue::as_bytes)),
    }
}

/// The name that the client called the gateway by: the authority of the target without its user,
/// else `Host`, which is for the gateway: the upstream has one of its own.
fn take_host(request: &mut Request<Body>) -> Option<HeaderValue> {
    let host = request.headers_mut().remove(HOST);
    match request.uri().authority() {
        Some(authority) => {
            let name = authority.as_str().rsplit('@').next()?;
            HeaderValue::from_str(name).ok()
        }
        None => host,
    }
}

/// Leaves path and query: where a call goes is not for the client to say.
fn make_origin_form(uri: &mut Uri) {
    if uri.authority().is_some() || uri.scheme().is_some() {
        let path = uri.path_and_query().cloned();
        *uri = path.map_or_else(Uri::default, Uri::from);
    }
}
