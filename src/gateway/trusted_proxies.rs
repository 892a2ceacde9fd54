//! The client behind trusted proxies.

use std::{
    convert::Infallible,
    net::{IpAddr, SocketAddr},
};

use http::{HeaderMap, Request, header::FORWARDED};
use ipnet::IpNet;

use super::Config;
use crate::{
    body::Body,
    headers::{X_FORWARDED_FOR, tokens},
    request_context::RequestContext,
    rule::{Pass, Rule},
};

/// Decides whether the peer is a trusted proxy, and who is the client behind it.
///
/// Proxies append the address that a request came from, so the list is read from its end: the
/// first address that is not a trusted proxy's is the client. What stands before it is only what
/// the client says. What is noted of the request says where it comes from.
#[derive(Debug)]
pub(super) struct TrustProxies(Vec<IpNet>);

impl TrustProxies {
    pub(super) fn new(config: &Config) -> Self {
        Self(config.trusted_proxies.clone())
    }

    fn trusts(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|net| net.contains(&address))
    }

    fn client(&self, headers: &HeaderMap) -> Option<IpAddr> {
        let said: Vec<_> = match headers.contains_key(X_FORWARDED_FOR) {
            true => tokens(headers, X_FORWARDED_FOR).map(parse_node).collect(),
            false => tokens(headers, FORWARDED)
                .map(|element| forwarded_for(element).and_then(parse_node))
                .collect(),
        };
        let mut client = None;
        for address in said.into_iter().rev() {
            // Before what is not an address, nothing can be trusted.
            client = Some(address?);
            if !self.trusts(address?) {
                break;
            }
        }
        client
    }
}

impl Rule for TrustProxies {
    type Error = Infallible;

    fn check(&self, request: &mut Request<Body>) -> Result<Pass<Infallible>, Infallible> {
        let Some(mut peer) = RequestContext::of(request.extensions()).peer else {
            return Ok(Pass::Now);
        };
        if self.trusts(peer.address.ip()) {
            peer.is_trusted_proxy = true;
            if let Some(client) = self.client(request.headers()) {
                peer.client = client.to_canonical();
            }
        }
        let context = RequestContext::of_mut(request.extensions_mut());
        context.trace.note_address(peer.client);
        context.peer = Some(peer);
        Ok(Pass::Now)
    }
}

/// The `for` parameter of a `Forwarded` element (RFC 7239 section 4).
fn forwarded_for(element: &str) -> Option<&str> {
    element.split(';').find_map(|pair| {
        let (name, value) = pair.split_once('=')?;
        name.trim()
            .eq_ignore_ascii_case("for")
            .then(|| value.trim().trim_matches('"'))
    })
}

/// An address with or without port, brackets around IPv6 (RFC 7239 section 6).
fn parse_node(node: &str) -> Option<IpAddr> {
    let node = node.trim_matches('"');
    let bare = node
        .strip_prefix('[')
        .and_then(|node| node.strip_suffix(']'))
        .unwrap_or(node);
    let with_port = || node.parse().ok().map(|socket: SocketAddr| socket.ip());
    bare.parse().ok().or_else(with_port)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::peer::Peer;

    fn client(peer: &str, fields: &[(&str, &str)]) -> String {
        let config = Config {
            max_uri: 0,
            max_fields: 0,
            trusted_proxies: vec!["10.0.0.0/8".parse().unwrap(), "fd00::/8".parse().unwrap()],
            origins: Vec::new(),
        };
        let mut request = Request::builder();
        for (name, value) in fields {
            request = request.header(*name, *value);
        }
        let peer = Peer::new(format!("{peer}:1").parse().unwrap(), false);
        let context = RequestContext { peer: Some(peer), ..RequestContext::default() };
        let mut request = request.extension(context).body(Body::empty()).unwrap();
        let Ok(_) = TrustProxies::new(&config).check(&mut request);
        let found = RequestContext::of(request.extensions()).peer.unwrap();
        assert_eq!(found.is_trusted_proxy, !peer.address.ip().to_string().starts_with("192."));
        found.client.to_string()
    }

    #[test]
    fn believes_only_what_trusted_proxies_have_written() {
        for (peer, field, value, expected) in [
            ("192.0.2.1", "x-forwarded-for", "198.51.100.1", "192.0.2.1"),
            ("10.0.0.1", "x-forwarded-for", "198.51.100.1", "198.51.100.1"),
            ("10.0.0.1", "x-forwarded-for", "1.1.1.1, 198.51.100.1", "198.51.100.1"),
            ("10.0.0.1", "x-forwarded-for", "198.51.100.1, 10.0.0.2", "198.51.100.1"),
            ("10.0.0.1", "x-forwarded-for", "10.0.0.3, 10.0.0.2", "10.0.0.3"),
            ("10.0.0.1", "x-forwarded-for", "198.51.100.1, nonsense", "10.0.0.1"),
            ("10.0.0.1", "x-forwarded-for", "", "10.0.0.1"),
            ("10.0.0.1", "forwarded", "for=198.51.100.1;proto=https", "198.51.100.1"),
            ("10.0.0.1", "forwarded", "for=1.1.1.1, For=\"[2001:db8::1]:80\"", "2001:db8::1"),
            ("10.0.0.1", "forwarded", "for=_hidden", "10.0.0.1"),
            ("[fd00::1]", "x-forwarded-for", "2001:db8::1", "2001:db8::1"),
            ("[::ffff:10.0.0.1]", "x-forwarded-for", "198.51.100.1:443", "198.51.100.1"),
        ] {
            assert_eq!(client(peer, &[(field, value)]), expected, "{peer} {field}: {value}");
        }
    }
}
