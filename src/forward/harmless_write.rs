//! Writes of which an operator says that they change no vehicle.

use std::{fmt, str::FromStr};

use http::{Method, Request};

use crate::route::{Access, Route};

/// A method and a path, such as `POST /api/reports/*`: the asterisk at the end stands for the rest
/// of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HarmlessWrite {
    method: Method,
    /// Without the asterisk.
    path: String,
    is_prefix: bool,
}

/// Why a text is no pattern of harmless writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    /// There is no method, or one that is not.
    #[error("no method and path with a blank between")]
    NoMethod,
    /// Requests with this method are no writes.
    #[error("a method that only reads")]
    Read,
    /// The path does not begin with a slash, or has something in it that paths have not.
    #[error("a path that is none")]
    Path,
    /// The path is that of an endpoint that changes vehicles or what Sync says of them.
    #[error("an endpoint that changes vehicles")]
    Documented,
}

impl HarmlessWrite {
    /// Whether `request` is one. A rest with an encoded slash is not: a server that decodes it sees
    /// another path.
    pub(super) fn matches<B>(&self, request: &Request<B>) -> bool {
        let Some(rest) = request.uri().path().strip_prefix(&self.path) else {
            return false;
        };
        let hides_slash = || {
            let mut escapes = rest.as_bytes().windows(3);
            escapes.any(|escape| {
                escape.eq_ignore_ascii_case(b"%2f") || escape.eq_ignore_ascii_case(b"%5c")
            })
        };
        *request.method() == self.method && (rest.is_empty() || self.is_prefix) && !hides_slash()
    }
}

impl FromStr for HarmlessWrite {
    type Err = InvalidPattern;

    fn from_str(text: &str) -> Result<Self, InvalidPattern> {
        let (method, path) = text.split_once(' ').ok_or(InvalidPattern::NoMethod)?;
        let method: Method = method.parse().map_err(|_| InvalidPattern::NoMethod)?;
        if Route::Other.access(&method) == Access::Read {
            return Err(InvalidPattern::Read);
        }
        let (path, is_prefix) = match path.strip_suffix('*') {
            Some(path) => (path, true),
            None => (path, false),
        };
        let is_path_byte = |byte: u8| byte.is_ascii_graphic() && !b"?#*\\\"<>".contains(&byte);
        // A prefix ends where a segment does, so that it takes in no neighbour.
        let is_path = path.starts_with('/')
            && path.bytes().all(is_path_byte)
            && (!is_prefix || path.ends_with('/'));
        if !is_path {
            return Err(InvalidPattern::Path);
        }
        if Route::of(&method, path, false) != Route::Other {
            return Err(InvalidPattern::Documented);
        }
        Ok(Self { method, path: path.to_owned(), is_prefix })
    }
}

impl fmt::Display for HarmlessWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rest = if self.is_prefix { "*" } else { "" };
        write!(f, "{} {}{rest}", self.method, self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, method: &Method, target: &str) -> bool {
        let pattern: HarmlessWrite = pattern.parse().unwrap();
        let request = Request::builder().method(method).uri(target);
        pattern.matches(&request.body(()).unwrap())
    }

    #[test]
    fn matches_a_method_and_a_path() {
        let (reports, one) = ("POST /api/reports/*", "POST /api/reports");
        for (pattern, method, target, want) in [
            (reports, Method::POST, "/api/reports/daily", true),
            (reports, Method::POST, "/api/reports/a/b?c=/d", true),
            (reports, Method::POST, "/api/reports/", true),
            (reports, Method::POST, "/api/reports", false),
            (reports, Method::POST, "/api/reports2/x", false),
            (reports, Method::POST, "/API/reports/x", false),
            (reports, Method::PUT, "/api/reports/x", false),
            (reports, Method::POST, "/x/api/reports/x", false),
            (reports, Method::POST, "/api/reports/..%2Fvehicles", false),
            (reports, Method::POST, "/api/reports/..%5cvehicles", false),
            (one, Method::POST, "/api/reports", true),
            (one, Method::POST, "/api/reports?x", true),
            (one, Method::POST, "/api/reports/", false),
            ("POST /*", Method::POST, "/anything", true),
        ] {
            assert_eq!(matches(pattern, &method, target), want, "{pattern} {method} {target}");
        }
    }

    #[test]
    fn is_refused_if_it_is_none_or_harms() {
        for (text, why) in [
            ("", InvalidPattern::NoMethod),
            ("/api/reports/*", InvalidPattern::NoMethod),
            ("PO(ST /x", InvalidPattern::NoMethod),
            ("GET /x", InvalidPattern::Read),
            ("QUERY /x", InvalidPattern::Read),
            ("POST x", InvalidPattern::Path),
            ("POST ", InvalidPattern::Path),
            ("POST  /x", InvalidPattern::Path),
            ("POST /x*", InvalidPattern::Path),
            ("POST /*/x", InvalidPattern::Path),
            ("POST /x?y", InvalidPattern::Path),
            ("PUT /api/upsert-vehicle-info", InvalidPattern::Documented),
            ("PATCH /api/v2/vehicles/x/status", InvalidPattern::Documented),
        ] {
            assert_eq!(text.parse::<HarmlessWrite>(), Err(why), "{text:?}");
        }
        for text in ["POST /api/reports/*", "DELETE /x", "PURGE /a/b/*"] {
            assert_eq!(text.parse::<HarmlessWrite>().unwrap().to_string(), text);
        }
    }
}
