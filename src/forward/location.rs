//! `Location` fields that would lead a client past the gateway.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue,
    header::LOCATION,
    uri::{Authority, Scheme},
};

use crate::upstream::Origin;

/// Makes a `Location` that points at the upstream one that points at the gateway: path, query
/// and fragment. Any other stays as it is.
pub(super) fn rewrite(headers: &mut HeaderMap, origin: &Origin) {
    let Some(location) = headers.get(LOCATION) else {
        return;
    };
    if let Some(relative) = relative(location.as_bytes(), origin)
        && let Ok(relative) = HeaderValue::from_maybe_shared(Bytes::from(relative))
    {
        headers.insert(LOCATION, relative);
    }
}

/// The part of `location` after the origin, if it is this origin.
fn relative(location: &[u8], origin: &Origin) -> Option<Vec<u8>> {
    // Browsers drop tabs, so what is a path here might be a host there.
    if location.contains(&b'\t') {
        return None;
    }
    let rest = match location.strip_prefix(b"//") {
        Some(rest) => rest,
        None => {
            let scheme = origin.scheme.as_str().as_bytes();
            let (found, rest) = location.split_at_checked(scheme.len())?;
            found
                .eq_ignore_ascii_case(scheme)
                .then_some(rest)?
                .strip_prefix(b"://")?
        }
    };
    let end = rest
        .iter()
        .position(|byte| b"/?#".contains(byte))
        .unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    if !is_authority_of(authority, origin) {
        return None;
    }
    // A path that begins with two slashes, or what a browser takes for slashes, would be read
    // as another host: "/." keeps it a path (RFC 3986 section 3.3).
    let prefix: &[u8] = match path {
        [b'/', b'/' | b'\\', ..] => b"/.",
        [b'/', ..] => b"",
        _ => b"/",
    };
    Some([prefix, path].concat())
}

fn is_authority_of(found: &[u8], origin: &Origin) -> bool {
    let Ok(found) = Authority::try_from(found) else {
        return false;
    };
    let port = |authority: &Authority| {
        authority
            .port_u16()
            .unwrap_or(if origin.scheme == Scheme::HTTPS { 443 } else { 80 })
    };
    !found.as_str().contains('@')
        && found.host().eq_ignore_ascii_case(origin.authority.host())
        && port(&found) == port(&origin.authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(location: &str, origin: &str) -> String {
        let (scheme, authority) = origin.split_once("://").unwrap();
        let origin =
            Origin { scheme: scheme.parse().unwrap(), authority: authority.parse().unwrap() };
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, HeaderValue::from_str(location).unwrap());
        rewrite(&mut headers, &origin);
        String::from_utf8(headers[LOCATION].as_bytes().to_vec()).unwrap()
    }

    #[test]
    fn points_at_the_gateway_instead_of_the_upstream() {
        for (location, want) in [
            ("https://sync.example/a?b#c", "/a?b#c"),
            ("HTTPS://Sync.Example:443/a", "/a"),
            ("//sync.example/a", "/a"),
            ("https://sync.example", "/"),
            ("https://sync.example?b", "/?b"),
            ("https://sync.example#c", "/#c"),
            ("https://sync.example/ñ", "/ñ"),
            ("https://sync.example//evil.example/x", "/.//evil.example/x"),
            ("https://sync.example/\\evil.example", "/./\\evil.example"),
        ] {
            assert_eq!(rewritten(location, "https://sync.example"), want, "{location}");
        }
        assert_eq!(rewritten("http://[::1]:9/a", "http://[::1]:9"), "/a");
        assert_eq!(rewritten("http://sync:80/a", "http://sync"), "/a");
    }

    #[test]
    fn leaves_what_points_elsewhere() {
        for location in [
            "",
            "/a",
            "a?b",
            "http://sync.example/a",
            "https://sync.example:8443/a",
            "https://sync.example.evil/a",
            "https://user@sync.example/a",
            "https://sync.example@evil.example/a",
            "https:/sync.example/a",
            "https://sync.example\\/evil.example",
            "https://sync.example\\evil.example",
            "https://sync.example/\t/evil.example",
            "ftp://sync.example/a",
        ] {
            assert_eq!(rewritten(location, "https://sync.example"), location);
        }
    }
}
