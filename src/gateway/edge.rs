//! What no later line should ever see: ambiguous targets, hosts and framing.
//!
//! The parser has refused most of what is malformed before. Here is what it lets through and
//! what somebody further on might read in another way than we do.

use std::net::Ipv6Addr;

use http::{
    HeaderMap, HeaderValue, Method, Request, Uri, Version,
    header::{CONTENT_LENGTH, EXPECT, HOST, TRANSFER_ENCODING},
    uri::{Authority, Scheme},
};

use super::{Config, routing::is_overridden};
use crate::{
    body::Body,
    connection_memory::ConnectionMemory,
    headers::{is_chunked, is_number, only},
    request_context::RequestContext,
    route::is_batch_path,
    rule::{Pass, Rule},
};

/// Refuses requests that could be read in more than one way.
#[derive(Debug)]
pub(super) struct Edge {
    max_uri: usize,
    max_fields: usize,
}

/// Why a request is refused at the edge. Its connection is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "each says in words what it means")]
pub enum Error {
    /// No `Host`, two, an invalid one, or one that is not the target's.
    #[error("exactly one valid host is needed")]
    Host,
    /// `Content-Length` is not one number, or `Transfer-Encoding` is not `chunked` alone, or both.
    #[error("the framing of the body is ambiguous")]
    Framing,
    #[error("the target is not a path, or has characters that must be percent-encoded")]
    Target,
    /// `OPTIONS *`: nothing is wrong, but it is about the gateway and not about what is behind it.
    #[error("the gateway answers for itself")]
    ServerOptions,
    #[error("the path has a dot segment, a backslash or a control character")]
    Path,
    /// `X-HTTP-Method-Override` names another method than `GET`.
    #[error("the method can only be overridden with GET")]
    Override,
    /// `CONNECT`, `TRACE`, or longer than any method is.
    #[error("the method is not allowed")]
    Method,
    #[error("the target is longer than {limit} bytes")]
    UriTooLong { limit: usize },
    #[error("there are more than {limit} header fields")]
    TooManyHeaders { limit: usize },
    #[error("the expectation cannot be met")]
    Expectation,
}

/// Bytes of a method. The longest that is registered has 17.
const MAX_METHOD: usize = 32;

impl Edge {
    pub(super) fn new(config: &Config) -> Self {
        Self { max_uri: config.max_uri, max_fields: config.max_fields }
    }

    fn check_request(&self, request: &Request<Body>) -> Result<(), Error> {
        let (uri, headers) = (request.uri(), request.headers());
        let (max_uri, max_fields) = (self.max_uri, self.max_fields);
        unless(
            target_length(request.version(), uri) <= max_uri,
            Error::UriTooLong { limit: max_uri },
        )?;
        let context = RequestContext::of(request.extensions());
        unless(context.headers <= max_fields, Error::TooManyHeaders { limit: max_fields })?;
        check_method(request.method())?;
        check_host(request.version(), uri, headers, context.memory.as_deref())?;
        check_framing(request.version(), headers)?;
        check_scheme(uri)?;
        check_expectation(headers)?;
        let is_of_server = *request.method() == Method::OPTIONS && uri.path() == "*";
        unless(!is_of_server, Error::ServerOptions)?;
        check_path(uri.path())?;
        check_override(request)
    }
}

impl Rule for Edge {
    type Error = Error;

    fn check(&self, request: &mut Request<Body>) -> Result<Pass<Error>, Error> {
        self.check_request(request).map(|()| Pass::Now)
    }
}

/// The authority is a part of an absolute target, but not of HTTP/2's `:path`.
fn target_length(version: Version, uri: &Uri) -> usize {
    let authority = uri
        .authority()
        .filter(|_| version < Version::HTTP_2)
        .map_or(0, |authority| authority.as_str().len());
    uri.path_and_query()
        .map_or(0, |target| target.as_str().len())
        + authority
}

/// `error` unless all is well.
fn unless(is_fine: bool, error: Error) -> Result<(), Error> {
    if is_fine { Ok(()) } else { Err(error) }
}

/// Methods that are about the way to a server, and not about what it serves. `TRACK` is what some
/// servers call `TRACE`, and case is nothing to some.
fn check_method(method: &Method) -> Result<(), Error> {
    let name = method.as_str();
    let is_about_the_way = ["CONNECT", "TRACE", "TRACK"]
        .iter()
        .any(|other| name.eq_ignore_ascii_case(other));
    unless(!is_about_the_way && name.len() <= MAX_METHOD, Error::Method)
}

/// Exactly one valid host (RFC 9112 section 3.2, RFC 9113 section 8.3.1). Which it is does not
/// matter: everything goes to the one upstream.
fn check_host(
    version: Version,
    uri: &Uri,
    headers: &HeaderMap,
    memory: Option<&ConnectionMemory>,
) -> Result<(), Error> {
    let valid = |host: &[u8]| match memory {
        Some(memory) => memory.last_authority.try_of(host, authority),
        None => authority(host),
    };
    let host = only(headers, HOST).map_err(|_| Error::Host)?;
    let host = host.map(|host| valid(host.as_bytes())).transpose()?;
    let target = uri
        .authority()
        .map(|target| valid(target.as_str().as_bytes()))
        .transpose()?;
    let is_fine = match (target, host) {
        (Some(target), Some(host)) => version != Version::HTTP_2 || target == host,
        // The authority of an absolute target counts, but there must be a `Host`.
        (Some(_), None) => version != Version::HTTP_11,
        (None, Some(_)) => true,
        (None, None) => version < Version::HTTP_11,
    };
    unless(is_fine, Error::Host)
}

/// A host with or without port, and nothing else. What is in brackets is an IPv6 address: nobody
/// has defined a later one (RFC 3986 section 3.2.2).
fn authority(bytes: &[u8]) -> Result<Authority, Error> {
    let authority = Authority::try_from(bytes).map_err(|_| Error::Host)?;
    let host = authority.host();
    let has_user = authority.as_str().contains('@');
    // `port` gives none for one that is not a number, but takes a sign.
    let port = authority.port();
    let is_number = port.is_some_and(|port| !port.as_str().starts_with('+'));
    let has_odd_port = !is_number && authority.as_str().len() != host.len();
    let is_address = |host: &str| host.parse::<Ipv6Addr>().is_ok();
    let is_host = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').is_some_and(is_address),
        None => !host.is_empty(),
    };
    unless(is_host && !has_user && !has_odd_port, Error::Host)?;
    Ok(authority)
}

/// `Content-Length` is one number: the parser of HTTP/2 also takes equal ones, and empty ones.
/// `Transfer-Encoding` is `chunked`, alone (RFC 9112 section 6.1).
fn check_framing(version: Version, headers: &HeaderMap) -> Result<(), Error> {
    let length = only(headers, CONTENT_LENGTH).map_err(|_| Error::Framing)?;
    unless(length.is_none_or(is_number), Error::Framing)?;
    let Some(coding) = only(headers, TRANSFER_ENCODING).map_err(|_| Error::Framing)? else {
        return Ok(());
    };
    let is_alone = is_chunked(coding) && length.is_none();
    unless(version == Version::HTTP_11 && is_alone, Error::Framing)
}

/// The scheme of an absolute target is `http` or `https`.
fn check_scheme(uri: &Uri) -> Result<(), Error> {
    let is_http = |scheme: &Scheme| *scheme == Scheme::HTTP || *scheme == Scheme::HTTPS;
    unless(uri.scheme().is_none_or(is_http), Error::Target)
}

/// Nothing that others may read as another path: `.` and `..`, also encoded, backslashes and
/// control characters.
fn check_path(path: &str) -> Result<(), Error> {
    unless(path.starts_with('/'), Error::Target)?;
    // Nearly every path is made of letters, digits, dashes and slashes.
    if !path.bytes().any(|byte| matches!(byte, b'.' | b'%' | b'\\')) {
        return Ok(());
    }
    // A server that decodes first finds more segments.
    let decoded = decode_separators(path);
    // A parameter does not make a dot segment harmless: some servers cut it off first.
    let mut names = decoded
        .split('/')
        .map(|segment| segment.split(';').next().unwrap_or_default());
    let has_dots = names.any(|name| matches!(name, "." | ".."));
    let is_odd = |escape: &[u8]| {
        matches!(
            escape,
            [b'%', b'0' | b'1', _] | [b'%', b'5', b'c' | b'C'] | [b'%', b'7', b'f' | b'F']
        )
    };
    let has_odd = path.contains('\\') || path.as_bytes().windows(3).any(is_odd);
    unless(!has_odd && !has_dots, Error::Path)
}

/// `path` with dots, slashes and semicolons in place of what encodes them.
fn decode_separators(path: &str) -> String {
    const ESCAPES: [(&str, &str); 6] =
        [("%2e", "."), ("%2E", "."), ("%2f", "/"), ("%2F", "/"), ("%3b", ";"), ("%3B", ";")];
    let decode = |path: String, (escape, character)| path.replace(escape, character);
    ESCAPES.into_iter().fold(path.to_owned(), decode)
}

/// A `POST` to the batch endpoint may be overridden with `GET` and with nothing else.
fn check_override(request: &Request<Body>) -> Result<(), Error> {
    let is_batch = is_batch_path(request.uri().path()) && *request.method() == Method::POST;
    unless(!is_batch || is_overridden(request.headers()) != Some(false), Error::Override)
}

fn check_expectation(headers: &HeaderMap) -> Result<(), Error> {
    let is_met = |value: &HeaderValue| {
        value
            .as_bytes()
            .trim_ascii()
            .eq_ignore_ascii_case(b"100-continue")
    };
    unless(headers.get_all(EXPECT).iter().all(is_met), Error::Expectation)
}

#[cfg(test)]
mod tests;
