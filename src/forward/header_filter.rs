//! Which headers and trailers do not pass the gateway.

use http::{HeaderMap, HeaderName, header::CONNECTION};

use crate::headers::tokens;

/// Removes what a client's head holds for this connection only, and what would speak to the
/// upstream on the gateway's behalf.
///
/// `trusted`: the peer is a proxy whose word on the client's address stands.
pub(super) fn strip_request(
    headers: &mut HeaderMap,
    credential_headers: &[HeaderName],
    trusted: bool,
) {
    strip(headers, credential_headers, |name| {
        is_for_the_gateway(name) || is_alias(name) || (!trusted && is_about_the_client(name))
    });
}

/// Removes what a response's head holds for the upstream's connection only.
pub(super) fn strip_response(headers: &mut HeaderMap, credential_headers: &[HeaderName]) {
    strip(headers, credential_headers, |_| false);
}

/// Whether the comma-separated lists of the `name` headers contain `token`, in any case.
pub(super) fn has_token(headers: &HeaderMap, name: HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|found| found.eq_ignore_ascii_case(token))
}

/// Whether a trailer of this name would change how a message that has gone by already is framed,
/// routed or authenticated (RFC 9110 section 6.5.1).
pub(super) fn is_forbidden_trailer(name: &HeaderName, credential_headers: &[HeaderName]) -> bool {
    is_hop_by_hop(name.as_str())
        || is_for_the_gateway(name.as_str())
        || is_alias(name.as_str())
        || is_about_the_client(name.as_str())
        || credential_headers.contains(name)
        || matches!(
            name.as_str(),
            "authentication-info"
                | "authorization"
                | "cache-control"
                | "content-encoding"
                | "content-length"
                | "content-range"
                | "content-type"
                | "cookie"
                | "location"
                | "max-forwards"
                | "proxy-authentication-info"
                | "range"
                | "set-cookie"
                | "trailer"
                | "via"
                | "www-authenticate"
        )
}

fn strip(
    headers: &mut HeaderMap,
    credential_headers: &[HeaderName],
    is_unwanted: impl Fn(&str) -> bool,
) {
    // Most heads have nothing to remove, and then this does not allocate.
    let mut unwanted: Vec<HeaderName> = headers
        .keys()
        // Batch calls carry every credential header as it came, so forwarded requests do, too.
        .filter(|name| !credential_headers.contains(name))
        .filter(|name| is_hop_by_hop(name.as_str()) || is_unwanted(name.as_str()))
        .cloned()
        .collect();
    if unwanted.contains(&CONNECTION) {
        let nominated = tokens(headers, CONNECTION);
        unwanted.extend(
            nominated
                .filter_map(|name| name.parse().ok())
                .filter(|name| !is_protected(name, credential_headers)),
        );
    }
    for name in unwanted {
        headers.remove(name);
    }
}

/// Whether a header is about one connection, nominated or not (RFC 9110 section 7.6.1).
fn is_hop_by_hop(name: &str) -> bool {
    matches!(
        name,
        "connection"
            | "http2-settings"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "te"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// Whether a request header is for the gateway: it answers `100-continue` itself, and the
/// upstream has a `Host` of its own.
fn is_for_the_gateway(name: &str) -> bool {
    matches!(name, "expect" | "host")
}

/// Whether a request header makes some servers see another method, path or header than the one
/// that was authorized. An underscore is read as a dash by many.
fn is_alias(name: &str) -> bool {
    name.contains('_')
        || matches!(
            name,
            "x-http-method"
                | "x-http-method-override"
                | "x-method-override"
                | "x-original-url"
                | "x-rewrite-url"
        )
}

/// Whether a request header says who the client is, or which host and scheme it used.
fn is_about_the_client(name: &str) -> bool {
    matches!(name, "forwarded" | "x-real-ip") || name.starts_with("x-forwarded-")
}

/// Whether `Connection` cannot nominate this header away, because the gateway, or the upstream
/// after it, relies on it.
fn is_protected(name: &HeaderName, credential_headers: &[HeaderName]) -> bool {
    matches!(
        name.as_str(),
        "authorization"
            | "cookie"
            | "forwarded"
            | "host"
            | "traceparent"
            | "tracestate"
            | "via"
            | "x-request-id"
    ) || name.as_str().starts_with("content-")
        || name.as_str().starts_with("x-forwarded-")
        || credential_headers.contains(name)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn head(headers: &[(&str, &str)]) -> HeaderMap {
        headers
            .iter()
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
            .collect()
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        headers.keys().map(HeaderName::as_str).collect()
    }

    #[test]
    fn drops_what_is_about_one_connection_in_both_directions() {
        let sent = [
            ("connection", "close, X-Mine"),
            ("connection", "x-other"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "keep-alive"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("http2-settings", "AAMAAABk"),
            ("proxy-authorization", "Basic eA=="),
            ("proxy-authenticate", "Basic"),
            ("x-mine", "1"),
            ("x-other", "2"),
            ("x-kept", "3"),
        ];
        let (mut request, mut response) = (head(&sent), head(&sent));
        strip_request(&mut request, &[], false);
        strip_response(&mut response, &[]);
        assert_eq!(names(&request), ["x-kept"]);
        assert_eq!(names(&response), ["x-kept"]);
    }

    #[test]
    fn keeps_what_the_upstream_relies_on_though_nominated() {
        let kept = [
            "authorization",
            "content-length",
            "content-type",
            "cookie",
            "traceparent",
            "via",
            "x-api-key",
            "x-request-id",
        ];
        let mut sent: Vec<_> = kept.iter().map(|name| (*name, "1")).collect();
        let nominations = kept.join(" ,");
        sent.push(("connection", &nominations));
        let mut headers = head(&sent);
        strip_request(&mut headers, &[HeaderName::from_static("x-api-key")], false);
        assert_eq!(names(&headers), kept);
    }

    #[test]
    fn drops_what_would_speak_for_the_gateway() {
        let mut headers = head(&[
            ("host", "gate"),
            ("expect", "100-continue"),
            ("x_forwarded_for", "1"),
            ("content_length", "1"),
            ("x-http-method-override", "PUT"),
            ("x-original-url", "/admin"),
            ("x-rewrite-url", "/admin"),
            ("x-forwarded-for", "1"),
            ("x-forwarded-prefix", "/x"),
            ("forwarded", "for=1"),
            ("x-real-ip", "1"),
            ("accept", "*/*"),
        ]);
        let mut from_proxy = headers.clone();
        strip_request(&mut headers, &[], false);
        assert_eq!(names(&headers), ["accept"]);
        strip_request(&mut from_proxy, &[], true);
        let mut left = names(&from_proxy);
        left.sort_unstable();
        let about_the_client = ["forwarded", "x-forwarded-for", "x-forwarded-prefix", "x-real-ip"];
        assert_eq!(left[1..], about_the_client);
    }

    #[test]
    fn survives_nominations_that_are_no_names() {
        let mut headers = head(&[("connection", ",, (x) ,\u{e9}"), ("x", "1")]);
        headers.append(CONNECTION, HeaderValue::from_bytes(b"x\xff").unwrap());
        strip_request(&mut headers, &[], false);
        assert_eq!(names(&headers), ["x"]);
    }

    #[test]
    fn keeps_what_is_configured_as_a_credential() {
        let credentials = [
            "api_key",
            "x_api_key",
            "x-api-key",
            "proxy-authorization",
            "x-forwarded-user",
            "x-real-ip",
            "x-method-override",
        ];
        let credential_headers = credentials.map(HeaderName::from_static);
        let mut sent: Vec<_> = credentials.iter().map(|name| (*name, "1")).collect();
        let nominations = credentials.join(", ");
        sent.extend([("connection", &*nominations), ("other_key", "1"), ("api_key_", "1")]);
        let mut headers = head(&sent);
        strip_request(&mut headers, &credential_headers, false);
        assert_eq!(names(&headers), credentials);
    }
}
