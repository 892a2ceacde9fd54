//! The VIN in the path of a vehicle's status.

use http::Uri;
use percent_encoding::percent_decode_str;

use super::Error;
use crate::{
    route::{vehicle_status_path, vehicle_status_vin},
    vehicle::Vin,
};

/// `uri` with the clean VIN in its path; `None` if it is clean already, or has no place for one.
///
/// Scheme, authority and query stay as they are.
pub(super) fn normalize(uri: &Uri) -> Result<Option<Uri>, Error> {
    let Some(typed) = vehicle_status_vin(uri.path()) else {
        return Ok(None);
    };
    let vin = decode(typed)?;
    if vin.as_str() == typed {
        return Ok(None);
    }
    let mut path = vehicle_status_path(vin.as_str());
    if let Some(query) = uri.query() {
        path.push('?');
        path.push_str(query);
    }
    let clean = replace_path_and_query(uri, &path);
    clean.map(Some).ok_or(Error::PathEscape)
}

/// `uri` with another path and query.
pub(super) fn replace_path_and_query(uri: &Uri, path_and_query: &str) -> Option<Uri> {
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path_and_query.parse().ok()?);
    Uri::from_parts(parts).ok()
}

/// Decodes once: what is still an escape after that is no part of a VIN.
fn decode(typed: &str) -> Result<Vin, Error> {
    if !has_only_whole_escapes(typed.as_bytes()) {
        return Err(Error::PathEscape);
    }
    let decoded = percent_decode_str(typed)
        .decode_utf8()
        .map_err(|_| Error::PathEscape)?;
    if decoded
        .bytes()
        .any(|byte| matches!(byte, b'/' | b'\\' | 0..=0x1f | 0x7f))
    {
        return Err(Error::PathCharacter);
    }
    Vin::parse(&decoded).map_err(Error::PathVin)
}

/// Whether every `%` is followed by two hexadecimal digits.
pub(super) fn has_only_whole_escapes(text: &[u8]) -> bool {
    text.split(|&byte| byte == b'%')
        .skip(1)
        .all(|rest| rest.len() >= 2 && rest[..2].iter().all(u8::is_ascii_hexdigit))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vehicle::Invalid;

    #[test]
    fn puts_the_clean_vin_into_the_path() {
        for (typed, clean) in [
            (
                "/api/v2/vehicles/3vw-fe21c04m000001/status",
                "/api/v2/vehicles/3VWFE21C04M000001/status",
            ),
            (
                "/api/v2/vehicles/3VW%20FE21C04M00000%31/status?a=%2f&b",
                "/api/v2/vehicles/3VWFE21C04M000001/status?a=%2f&b",
            ),
            (
                "/api/v2/vehicles/%EF%BC%93VWFE21C04M000001/status?",
                "/api/v2/vehicles/3VWFE21C04M000001/status?",
            ),
            (
                "http://gate:8080/api/v2/vehicles/3vwfe21c04m000001/status",
                "http://gate:8080/api/v2/vehicles/3VWFE21C04M000001/status",
            ),
        ] {
            let uri = normalize(&typed.parse().unwrap()).unwrap().unwrap();
            assert_eq!(uri.to_string(), clean, "{typed}");
            assert_eq!(normalize(&uri).unwrap(), None, "once is enough: {typed}");
        }
    }

    #[test]
    fn leaves_what_is_clean_or_no_status_path() {
        for path in ["/api/v2/vehicles/3VWFE21C04M000001/status?x", "/api/vehicles", "*"] {
            assert_eq!(normalize(&path.parse().unwrap()).unwrap(), None, "{path}");
        }
    }

    #[test]
    fn refuses_what_is_no_vin_or_hides_a_separator() {
        let refusal = |vin: &str| {
            let uri = format!("/api/v2/vehicles/{vin}/status").parse().unwrap();
            normalize(&uri).unwrap_err()
        };
        for vin in ["3VWFE21C04M000001%2F", "3VW%2fFE21C04M000001", "%00", "%1F", "%7f", "%5C"] {
            assert!(matches!(refusal(vin), Error::PathCharacter), "{vin}");
        }
        for vin in ["3VWFE21C04M000001%", "3VW%F", "%zz", "%+1", "%FF", "%c3%28"] {
            assert!(matches!(refusal(vin), Error::PathEscape), "{vin}");
        }
        for (vin, why) in [
            ("3VWFE21C04M00000", Invalid::VinLength(16)),
            ("3VWFE21C04M00000O", Invalid::VinCharacter('O')),
            ("3VWFE21C04M00000%2531", Invalid::VinCharacter('%')),
            ("%20-", Invalid::Empty),
        ] {
            assert!(matches!(refusal(vin), Error::PathVin(found) if found == why), "{vin}");
        }
    }
}
