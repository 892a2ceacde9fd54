//! `Proxy-Status` (RFC 9209): what went wrong behind the gateway.

use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header::WWW_AUTHENTICATE};

use crate::headers::{PSEUDONYM, pseudonym};

const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

const ACCOUNT_REFUSED: HeaderValue =
    HeaderValue::from_static(concat!(pseudonym!(), "; received-status=401"));

/// Says that a response stands for this failure, one of the error types of RFC 9209.
pub fn set_error(headers: &mut HeaderMap, error: &'static str) {
    let value = HeaderValue::try_from(format!("{PSEUDONYM}; error={error}"));
    headers.insert(PROXY_STATUS, value.expect("an error type is a token"));
}

/// Makes a 401 to the credential of an account one that is no fault of the client: it is not the
/// client's credential that was refused, and there is none that it could send instead.
pub fn on_account_refused(status: StatusCode, headers: &mut HeaderMap) {
    if status == StatusCode::UNAUTHORIZED {
        headers.remove(WWW_AUTHENTICATE);
        headers.append(PROXY_STATUS, ACCOUNT_REFUSED);
    }
}

/// Whether [`on_account_refused`] has said so.
pub fn is_account_refused(headers: &HeaderMap) -> bool {
    let mut said = headers.get_all(PROXY_STATUS).iter();
    said.any(|value| *value == ACCOUNT_REFUSED)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_401_to_an_account_asks_the_client_for_nothing() {
        for (status, challenge, said) in [
            (StatusCode::UNAUTHORIZED, false, Some("vingate; received-status=401")),
            (StatusCode::FORBIDDEN, true, None),
            (StatusCode::OK, true, None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            on_account_refused(status, &mut headers);
            assert_eq!(headers.contains_key(WWW_AUTHENTICATE), challenge);
            let found = headers
                .get(PROXY_STATUS)
                .map(|value| value.to_str().unwrap());
            assert_eq!(found, said);
            assert_eq!(is_account_refused(&headers), said.is_some());
        }
    }
}
