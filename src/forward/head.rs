//! The head of a request as the upstream gets it: the client's, changed in place.

use http::{
    HeaderValue, Request, Uri, Version,
    header::{CONNECTION, CONTENT_LENGTH, HOST, TE},
};
use http_body::Body as _;

use super::{
    Config, header_filter,
    provenance::{append_forwarded, append_via},
    trailers::Trailers,
    upgrade,
};
use crate::{body::Body, peer::Peer};

/// Makes a client's head the one that the upstream gets, and returns the trailers that may follow.
pub(super) fn prepare(request: &mut Request<Body>, config: &Config, is_upgrade: bool) -> Trailers {
    let host = host(request);
    let peer = request.extensions().get::<Peer>().copied();
    let received = request.version();
    let is_length_known = request.body().size_hint().exact().is_some();
    make_origin_form(request.uri_mut());
    *request.version_mut() = Version::HTTP_11;

    let headers = request.headers_mut();
    let wants_trailers =
        headers.contains_key(TE) && header_filter::has_token(headers, TE, "trailers");
    let trusted = peer.is_some_and(|peer| peer.is_trusted_proxy);
    header_filter::strip_request(headers, &config.credential_headers, trusted);
    if !is_length_known {
        headers.remove(CONTENT_LENGTH);
    }
    if is_upgrade {
        upgrade::announce(headers);
    } else if wants_trailers {
        headers.insert(CONNECTION, HeaderValue::from_static("te"));
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    append_via(headers, received);
    if let Some(peer) = peer {
        append_forwarded(headers, &peer, host.as_ref());
    }
    Trailers::announced(headers, &config.credential_headers)
}

/// The name that the client called the gateway by: the authority of the target without its user,
/// else `Host`.
fn host(request: &Request<Body>) -> Option<HeaderValue> {
    match request.uri().authority() {
        Some(authority) => {
            let name = authority.as_str().rsplit('@').next()?;
            HeaderValue::from_str(name).ok()
        }
        None => request.headers().get(HOST).cloned(),
    }
}

/// Leaves path and query: where a call goes is not for the client to say.
fn make_origin_form(uri: &mut Uri) {
    if uri.authority().is_some() || uri.scheme().is_some() {
        let path = uri.path_and_query().cloned();
        *uri = path.map_or_else(Uri::default, Uri::from);
    }
}
