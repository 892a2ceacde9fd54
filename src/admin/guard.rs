//! Who may ask: the two checks before any answer.

use std::net::IpAddr;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::{
    Request, Version,
    header::{AUTHORIZATION, HOST},
    uri::Authority,
};
use secrecy::{ExposeSecret as _, SecretString};

/// What is wrong with the host that a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HostError {
    /// There is none, or more than one.
    Malformed,
    /// It is a name: somebody's browser was led here by its DNS.
    Misdirected,
}

/// Lets requests pass that are for an address, or for `localhost`, whatever the port.
pub(super) fn check_host<B>(request: &Request<B>) -> Result<(), HostError> {
    let authority = request.uri().authority();
    let mut fields = request.headers().get_all(HOST).iter();
    let host = fields.next();
    if fields.next().is_some() {
        return Err(HostError::Malformed);
    }
    if authority.is_none() && host.is_none() && request.version() >= Version::HTTP_11 {
        return Err(HostError::Malformed);
    }
    let host = host.map(|value| Authority::try_from(value.as_bytes()));
    let host = host.transpose().map_err(|_| HostError::Malformed)?;
    let allowed = authority.into_iter().chain(host.as_ref()).all(is_ours);
    if allowed { Ok(()) } else { Err(HostError::Misdirected) }
}

fn is_ours(authority: &Authority) -> bool {
    let host = authority.host();
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host);
    let is_local = host.eq_ignore_ascii_case("localhost") || bare.parse::<IpAddr>().is_ok();
    is_local && !authority.as_str().contains('@')
}

/// Whether a request carries `token`, in one `Authorization` field.
pub(super) fn is_authorized<B>(request: &Request<B>, token: &SecretString) -> bool {
    let mut fields = request.headers().get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (fields.next(), fields.next()) else {
        return false;
    };
    let Some((scheme, sent)) = value.as_bytes().split_at_checked("Bearer ".len()) else {
        return false;
    };
    scheme.eq_ignore_ascii_case(b"Bearer ")
        && verify_slices_are_equal(sent, token.expose_secret().as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_for_addresses_and_localhost_only() {
        for (host, checked) in [
            ("127.0.0.1:9090", Ok(())),
            ("127.0.0.1", Ok(())),
            ("10.1.2.3:1", Ok(())),
            ("[::1]:9090", Ok(())),
            ("LocalHost:9090", Ok(())),
            ("localhost", Ok(())),
            ("attacker.example:9090", Err(HostError::Misdirected)),
            ("localhost.attacker.example", Err(HostError::Misdirected)),
            ("127.0.0.1.attacker.example", Err(HostError::Misdirected)),
            ("localhost.", Err(HostError::Misdirected)),
            ("user@localhost", Err(HostError::Misdirected)),
            ("0x7f000001", Err(HostError::Misdirected)),
            ("local host", Err(HostError::Malformed)),
            ("", Err(HostError::Malformed)),
        ] {
            let request = Request::builder().header(HOST, host).body(()).unwrap();
            assert_eq!(check_host(&request), checked, "{host}");
        }
    }

    #[test]
    fn looks_at_every_place_where_a_host_may_stand() {
        let both = |uri: &str, host: &str| Request::get(uri).header(HOST, host).body(()).unwrap();
        assert_eq!(check_host(&both("http://localhost/", "127.0.0.1")), Ok(()));
        assert_eq!(
            check_host(&both("http://a.example/", "localhost")),
            Err(HostError::Misdirected)
        );
        assert_eq!(
            check_host(&both("http://localhost/", "a.example")),
            Err(HostError::Misdirected)
        );
        let twice = Request::get("/")
            .header(HOST, "localhost")
            .header(HOST, "localhost");
        assert_eq!(check_host(&twice.body(()).unwrap()), Err(HostError::Malformed));
    }

    #[test]
    fn wants_a_host_since_http_1_1() {
        for (version, checked) in [
            (Version::HTTP_10, Ok(())),
            (Version::HTTP_11, Err(HostError::Malformed)),
            (Version::HTTP_2, Err(HostError::Malformed)),
        ] {
            let request = Request::builder().version(version).body(()).unwrap();
            assert_eq!(check_host(&request), checked, "{version:?}");
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
