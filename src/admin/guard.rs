//! The two checks before any response: the host and the token.

use std::net::IpAddr;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{
    Request, Version,
    header::{AUTHORIZATION, HOST},
    uri::Authority,
};
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::responses::Error;
use crate::{headers::only, problem::Code};

/// Lets requests pass that name one host: an address, `localhost` or one of `hosts`, whatever the
/// port. Without `hosts` it may be any name.
///
/// A foreign name means that a browser was led here by somebody else's DNS.
pub(super) fn check_host<B>(request: &Request<B>, hosts: Option<&[String]>) -> Result<(), Error> {
    let malformed = || Error::new(Code::BadRequest, "exactly one valid host is needed");
    let authority = request.uri().authority();
    let host = only(request.headers(), HOST).map_err(|_| malformed())?;
    if authority.is_none() && host.is_none() && request.version() >= Version::HTTP_11 {
        return Err(malformed());
    }
    let host = host.map(|value| Authority::try_from(value.as_bytes()));
    let host = host.transpose().map_err(|_| malformed())?;
    let mut named = authority.into_iter().chain(host.as_ref());
    let allowed = hosts.is_none_or(|hosts| named.all(|authority| is_ours(authority, hosts)));
    if allowed {
        return Ok(());
    }
    let detail = "use an address, localhost or a name of admin.hosts as the host";
    Err(Error::new(Code::MisdirectedRequest, detail))
}

fn is_ours(authority: &Authority, hosts: &[String]) -> bool {
    let host = authority.host();
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    let is_name = |name: &str| host.eq_ignore_ascii_case(name);
    let is_known = bare.parse::<IpAddr>().is_ok()
        || is_name("localhost")
        || hosts.iter().any(|name| is_name(name));
    is_known && !authority.as_str().contains('@')
}

/// What a request without the token is told, each in a header of its own: browsers read no list. The
/// second makes them ask for the token (RFC 7617).
pub(super) const CHALLENGES: [&str; 2] = ["Bearer", "Basic realm=\"vingate\""];

/// Whether a request carries `token`, in its only `Authorization`: as what it is, or as the password
/// of any user, because that is what browsers can send.
pub(super) fn is_authorized<B>(request: &Request<B>, token: &SecretString) -> bool {
    let Ok(Some(value)) = only(request.headers(), AUTHORIZATION) else {
        return false;
    };
    let after = |scheme: &str| {
        let (sent, rest) = value.as_bytes().split_at_checked(scheme.len())?;
        sent.eq_ignore_ascii_case(scheme.as_bytes()).then_some(rest)
    };
    let is_token =
        |sent: &[u8]| verify_slices_are_equal(sent, token.expose_secret().as_bytes()).is_ok();
    if let Some(sent) = after("Bearer ") {
        return is_token(sent);
    }
    let decoded = after("Basic ").and_then(|sent| BASE64_STANDARD.decode(sent).ok());
    let decoded = decoded.map(Zeroizing::new).unwrap_or_default();
    let colon = decoded.iter().position(|&byte| byte == b':');
    colon.is_some_and(|colon| is_token(&decoded[colon + 1..]))
}

#[cfg(test)]
mod tests {
    use http::Response;

    use super::*;
    use crate::body::Body;

    const OK: u16 = 200;

    /// The status of a request, `OK` if it may pass.
    fn checked<B>(request: &Request<B>, hosts: Option<&[String]>) -> u16 {
        match check_host(request, hosts) {
            Ok(()) => OK,
            Err(error) => Response::<Body>::from(error).status().as_u16(),
        }
    }

    #[test]
    fn is_for_addresses_localhost_and_configured_names_only() {
        for (host, status) in [
            ("127.0.0.1:9090", OK),
            ("127.0.0.1", OK),
            ("10.1.2.3:1", OK),
            ("[::1]:9090", OK),
            ("LocalHost:9090", OK),
            ("localhost", OK),
            ("vingate.internal", OK),
            ("Vingate.Internal:9090", OK),
            ("gate", OK),
            ("attacker.example:9090", 421),
            ("localhost.attacker.example", 421),
            ("127.0.0.1.attacker.example", 421),
            ("vingate.internal.attacker.example", 421),
            ("attacker.vingate.internal", 421),
            ("internal", 421),
            ("localhost.", 421),
            ("user@localhost", 421),
            ("user@vingate.internal", 421),
            ("0x7f000001", 421),
            ("local host", 400),
            ("", 400),
        ] {
            let request = Request::builder().header(HOST, host).body(()).unwrap();
            let hosts = ["vingate.internal".into(), "gate".into()];
            assert_eq!(checked(&request, Some(&hosts)), status, "{host}");
            let any = if status == 421 { OK } else { status };
            assert_eq!(checked(&request, None), any, "{host}");
        }
    }

    #[test]
    fn looks_at_every_place_where_a_host_may_stand() {
        let both = |uri: &str, host: &str| Request::get(uri).header(HOST, host).body(()).unwrap();
        assert_eq!(checked(&both("http://localhost/", "127.0.0.1"), Some(&[])), OK);
        assert_eq!(checked(&both("http://a.example/", "localhost"), Some(&[])), 421);
        assert_eq!(checked(&both("http://localhost/", "a.example"), Some(&[])), 421);
        let twice = Request::get("/")
            .header(HOST, "localhost")
            .header(HOST, "localhost");
        assert_eq!(checked(&twice.body(()).unwrap(), None), 400);
    }

    #[test]
    fn wants_a_host_since_http_1_1() {
        for (version, status) in
            [(Version::HTTP_10, OK), (Version::HTTP_11, 400), (Version::HTTP_2, 400)]
        {
            let request = Request::builder().version(version).body(()).unwrap();
            assert_eq!(checked(&request, None), status, "{version:?}");
        }
    }

    #[test]
    fn wants_the_whole_token_and_nothing_but_it() {
        let token = SecretString::from("s3cret");
        for (value, authorized) in [
            ("Bearer s3cret", true),
            ("bearer s3cret", true),
            ("Bearer s3cre", false),
            ("Bearer s3crets", false),
            ("Bearer S3CRET", false),
            ("Bearer  s3cret", false),
            ("Bearer ", false),
            ("Bearer", false),
            ("Basic s3cret", false),
            // `:s3cret`, `me:s3cret`, `me:s3cre`, `s3cret`, `me:you:s3cret`.
            ("Basic OnMzY3JldA==", true),
            ("basic bWU6czNjcmV0", true),
            ("Basic bWU6czNjcmU=", false),
            ("Basic czNjcmV0", false),
            ("Basic bWU6eW91OnMzY3JldA==", false),
            ("s3cret", false),
        ] {
            let request = Request::builder()
                .header(AUTHORIZATION, value)
                .body(())
                .unwrap();
            assert_eq!(is_authorized(&request, &token), authorized, "{value}");
        }
        let twice = Request::builder()
            .header(AUTHORIZATION, "Bearer s3cret")
            .header(AUTHORIZATION, "Bearer s3cret");
        assert!(!is_authorized(&twice.body(()).unwrap(), &token));
        assert!(!is_authorized(&Request::new(()), &token));
    }
}
