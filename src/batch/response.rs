//! A batch response: its validators, its coding and the rest of its head.

use std::sync::Arc;

use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{AGE, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY},
};

use super::{
    coding::accepts_gzip,
    compressor::Compressor,
    gather::{Gathered, Part},
    splice::Splice,
    tally::{Tally, Terms},
};
use crate::{
    body::Body,
    digest,
    headers::{ACCEPT_QUERY, PSEUDONYM},
    hex::hex,
    loader::Failure,
    vehicle_cache::VehicleCache,
};

/// Makes the response of what was gathered.
pub(super) struct Composer<'a> {
    pub(super) terms: Terms<'a>,
    pub(super) fields: &'a HeaderMap,
    /// `None`: no response is compressed.
    pub(super) compression: Option<Compression<'a>>,
}

/// What compresses.
pub(super) struct Compression<'a> {
    pub(super) compressor: &'a Arc<Compressor>,
    pub(super) cache: &'a VehicleCache<Failure>,
    /// Bytes of a response from which on that pays.
    pub(super) from: usize,
}

const CACHE_STATUS: HeaderName = HeaderName::from_static("cache-status");

/// Headers of a response, with those that other rooms add.
const HEADERS: usize = 10;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

impl Composer<'_> {
    /// A 200, or a 304 if the client has the same response already, in whatever coding.
    pub(super) fn compose(&self, gathered: Gathered, tally: &Tally) -> Response<Body> {
        let plain = etag(&gathered.parts);
        let splice = Splice::new(gathered.parts.into_iter().map(|part| part.entry));
        let compression = self.compression.as_ref();
        let compression = compression.filter(|compression| splice.len() >= compression.from);
        let gzip = compression.filter(|_| accepts_gzip(self.fields));
        let coded = gzip.map(|_| of_gzip(&plain));
        let (mut response, etag) = match coded {
            _ if self.is_known(&plain) => (not_modified(), plain),
            Some(coded) if self.is_known(&coded) => (not_modified(), coded),
            _ => {
                let gzipped = match gzip {
                    Some(gzip) => gzip.of(splice),
                    None => Err(splice),
                };
                match gzipped {
                    Ok(gzipped) => (in_gzip(gzipped), of_gzip(&plain)),
                    Err(splice) => (whole(splice), plain),
                }
            }
        };
        let status = gathered.masked_failure.and_then(|failure| failure.status());
        let head = response.headers_mut();
        head.insert(CACHE_STATUS, text(tally.cache_status(&self.terms, status)));
        head.insert(CACHE_CONTROL, text(tally.cache_control(&self.terms)));
        head.insert(AGE, tally.age.as_secs().into());
        head.insert(ETAG, text(etag));
        head.insert(ACCEPT_QUERY, JSON);
        if compression.is_some() {
            head.insert(VARY, HeaderValue::from_static("accept-encoding"));
        }
        response
    }

    /// Whether the client has a response with this tag.
    fn is_known(&self, etag: &str) -> bool {
        let mut fields = self.fields.get_all(IF_NONE_MATCH).iter();
        fields.any(|field| matches(field, etag))
    }
}

impl Compression<'_> {
    /// The response in gzip, if that pays. What has no compressed form is given one, if it is
    /// wanted more than once.
    fn of(&self, splice: Splice) -> Result<Splice, Splice> {
        let wanted = splice.entries().iter().filter(|entry| entry.wants_piece());
        self.compressor.push(self.cache, wanted.map(Arc::clone));
        splice.gzipped()
    }
}

fn not_modified() -> Response<Body> {
    let mut response = with_room(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    response
}

fn whole(splice: Splice) -> Response<Body> {
    let mut response = with_room(Body::new(splice));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// A response whose head need not grow.
fn with_room(body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.headers_mut() = HeaderMap::with_capacity(HEADERS);
    response
}

fn in_gzip(splice: Splice) -> Response<Body> {
    let mut response = whole(splice);
    let gzip = HeaderValue::from_static("gzip");
    response.headers_mut().insert(CONTENT_ENCODING, gzip);
    response
}

/// Says of a response that it did not come by way of the cache.
/// `asked` distinct vehicles were asked for.
pub(super) fn mark_bypassed(mut response: Response<Body>, asked: usize) -> Response<Body> {
    let status =
        format!("{PSEUDONYM}; fwd=bypass; detail=\"hit=0 stale=0 joined=0 miss={asked} absent=0\"");
    let head = response.headers_mut();
    head.append(CACHE_STATUS, text(status));
    head.insert(ACCEPT_QUERY, JSON);
    response
}

/// A strong validator: a hash of the elements' own hashes in their order, which is the same
/// after a restart and on every replica.
fn etag(parts: &[Part]) -> String {
    let parts = parts.iter().filter(|part| !part.entry.bytes().is_empty());
    let hash = digest::of_equally_long(parts.map(|part| &part.entry.content_hash()[..]));
    ["\"", &hex(&hash[..16]), "\""].concat()
}

/// The validator of the same response in gzip: a weak one, because not the same parts of it are
/// compressed every time.
fn of_gzip(etag: &str) -> String {
    ["W/", etag.trim_end_matches('"'), "-gzip\""].concat()
}

/// Whether an `If-None-Match` field names `etag`, by weak comparison (RFC 9110 section 13.1.2).
fn matches(field: &HeaderValue, etag: &str) -> bool {
    // An entity tag may contain a comma, but none that is ours does.
    let Ok(field) = field.to_str() else { return false };
    let opaque = |tag: &str| tag.trim_start_matches("W/") == etag.trim_start_matches("W/");
    // An asterisk stands for every tag only where it stands alone.
    field.trim() == "*" || field.split(',').map(str::trim).any(opaque)
}

/// A field value of printable ASCII.
fn text(text: String) -> HeaderValue {
    HeaderValue::from_maybe_shared(bytes::Bytes::from(text))
        .expect("letters, digits and punctuation make a field value")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compares_tags_weakly_and_one_by_one() {
        let etag = "\"a1\"";
        for (field, is_named) in [
            ("\"a1\"", true),
            ("W/\"a1\"", true),
            ("\"b\", \"a1\"", true),
            ("\"b\",W/\"a1\" ,\"c\"", true),
            ("*", true),
            (" * ", true),
            ("\"x\", *,y", false),
            ("*, \"x\"", false),
            ("\"*\"", false),
            ("", false),
            ("a1", false),
            ("\"a\"", false),
            ("\"a1\" \"b\"", false),
            ("w/\"a1\"", false),
            ("\"A1\"", false),
            ("\u{e9}", false),
        ] {
            let field = HeaderValue::from_bytes(field.as_bytes()).unwrap();
            assert_eq!(matches(&field, etag), is_named, "{field:?}");
        }
    }
}
