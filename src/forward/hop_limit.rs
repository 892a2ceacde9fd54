//! How far a request may travel.

use http::{
    HeaderMap, HeaderValue, Method, Request, Response, StatusCode,
    header::{ALLOW, MAX_FORWARDS, VIA},
};

use super::Error;
use crate::{
    body::Body,
    headers::{PSEUDONYM, Several, only, tokens},
    route::METHODS,
};

/// How often a request may have come through a gateway of this name: once, because one may stand
/// in front of another.
const MAX_PASSES: usize = 1;

/// What becomes of a request that goes no further; `None`: it does.
///
/// A request that runs in a circle is an error (RFC 9110 section 7.6.3; RFC 9209 has the name and
/// the status of it). An `OPTIONS` with `Max-Forwards` goes one hop less far, and is answered
/// here when it has none left (RFC 9110 section 7.6.2). The other method that has the field,
/// `TRACE`, is not served.
pub(super) fn check_loop_and_max_forwards(
    request: &mut Request<Body>,
) -> Option<Result<Response<Body>, Error>> {
    if passes(request.headers()) > MAX_PASSES {
        return Some(Err(Error::Loop));
    }
    let is_last = *request.method() == Method::OPTIONS && !count_down(request.headers_mut());
    is_last.then(|| Ok(options()))
}

/// How often the gateway stands in `Via`.
fn passes(headers: &HeaderMap) -> usize {
    tokens(headers, VIA)
        .filter_map(|hop| hop.split_ascii_whitespace().nth(1))
        .filter(|name| name.eq_ignore_ascii_case(PSEUDONYM))
        .count()
}

/// Takes one hop off `Max-Forwards`; `false`: there was none left.
fn count_down(headers: &mut HeaderMap) -> bool {
    let hops = match only(headers, MAX_FORWARDS) {
        Ok(None) => return true,
        Ok(Some(written)) => read(written),
        Err(Several) => None,
    };
    match hops.map(|hops| hops.checked_sub(1)) {
        Some(None) => return false,
        Some(Some(left)) => headers.insert(MAX_FORWARDS, HeaderValue::from(left)),
        // The next hop must not read a number into what is none.
        None => headers.remove(MAX_FORWARDS),
    };
    true
}

/// A number of hops. One that is out of reach is as good as the largest that is not.
fn read(written: &HeaderValue) -> Option<u16> {
    let digits = written.to_str().ok()?.trim();
    let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| digits.parse().unwrap_or(u16::MAX))
}

/// The response to `OPTIONS` for the gateway itself.
pub fn options() -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(METHODS));
    response
}

#[cfg(test)]
mod tests {
    use http::HeaderName;

    use super::*;

    fn request(method: &Method, headers: &[(HeaderName, &'static str)]) -> Request<Body> {
        let mut request = Request::new(Body::empty());
        *request.method_mut() = method.clone();
        for (name, value) in headers {
            request
                .headers_mut()
                .append(name, HeaderValue::from_static(value));
        }
        request
    }

    #[test]
    fn a_request_in_a_circle_ends() {
        for (via, ends) in [
            (&[][..], false),
            (&["1.1 vingate"], false),
            (&["1.1 other", "1.0 other, 1.1 vingate, 1.1 third"], false),
            (&["1.1 vingate", "1.1 vingate"], true),
            (&["HTTP/1.1 vingate (a comment), 1.1 other, 2 Vingate"], true),
            (&["1.1 vingate:80, 1.1 not-vingate, 1.1 vingate.example"], false),
            (&["vingate, vingate", "", ",,", "vingate 1.1"], false),
        ] {
            let mut request = Request::new(Body::empty());
            for hop in via {
                request
                    .headers_mut()
                    .append(VIA, HeaderValue::from_static(hop));
            }
            let ended = check_loop_and_max_forwards(&mut request);
            assert_eq!(matches!(ended, Some(Err(Error::Loop))), ends, "{via:?}");
            assert_eq!(ended.is_some(), ends, "{via:?}");
        }
    }

    #[test]
    fn hops_are_counted_of_options() {
        for (written, left) in [
            (&["1"][..], Some(&["0"][..])),
            (&["10"], Some(&["9"])),
            (&["007"], Some(&["6"])),
            (&["65535"], Some(&["65534"])),
            (&["99999999999999999999"], Some(&["65534"])),
            (&["0"], None),
            (&["000"], None),
            (&[], Some(&[])),
            (&["-1"], Some(&[])),
            (&["+1"], Some(&[])),
            (&["1, 1"], Some(&[])),
            (&["1.5"], Some(&[])),
            (&[""], Some(&[])),
            (&["0", "0"], Some(&[])),
        ] {
            let sent: Vec<_> = written.iter().map(|value| (MAX_FORWARDS, *value)).collect();
            let mut options = request(&Method::OPTIONS, &sent);
            let response = check_loop_and_max_forwards(&mut options).map(Result::unwrap);
            assert_eq!(response.is_none(), left.is_some(), "{written:?}");
            match left {
                Some(left) => {
                    let found: Vec<_> = options.headers().get_all(MAX_FORWARDS).iter().collect();
                    assert_eq!(found, left, "{written:?}");
                }
                None => assert_eq!(response.unwrap().headers()[ALLOW], METHODS),
            }
            let mut get = request(&Method::GET, &sent);
            assert!(check_loop_and_max_forwards(&mut get).is_none(), "{written:?}");
            let found: Vec<_> = get.headers().get_all(MAX_FORWARDS).iter().collect();
            assert_eq!(found, written, "others may have it, and mean nothing by it");
        }
    }
}
