//! What to drop from the cache.

use std::{sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use http::{
    HeaderMap,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::{Deserialize, Deserializer};
use tokio::time::timeout;

use super::respond::Refusal;
use crate::{
    body::Body,
    vehicle::{Plate, Vin},
};

/// Bytes of a request's body.
const MAX_BODY: usize = 64 * 1024;

/// From its first byte to its last.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of an explanation, which may quote the request.
const MAX_DETAIL: usize = 200;

/// Drops what a request covers and gives the number of entries dropped. It goes on to its end,
/// whoever stops waiting for it.
pub type Purge = Arc<dyn Fn(PurgeRequest) -> Purging + Send + Sync>;

/// A purge under way.
pub type Purging = BoxFuture<'static, Result<u64, UnknownAccount>>;

/// What to drop: entries that match every member that is there. Without any, all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PurgeRequest {
    /// The name of an account.
    pub account: Option<String>,
    /// Under any plate.
    pub vin: Option<Vin>,
    /// Under any VIN.
    pub plate: Option<Plate>,
}

/// There is no account of this name.
#[derive(Debug, thiserror::Error)]
#[error("there is no account of this name")]
pub struct UnknownAccount;

/// A request as it is written. A member that is `null` is a mistake, not a wildcard.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "an object")]
struct Written {
    #[serde(deserialize_with = "some")]
    account: Option<String>,
    #[serde(deserialize_with = "some")]
    vin: Option<String>,
    #[serde(deserialize_with = "some")]
    plate: Option<String>,
}

// === impl PurgeRequest ===

impl PurgeRequest {
    /// Reads a request with these `headers` and this `body`.
    pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Self, Refusal> {
        if !is_json(headers) {
            return Err(Refusal::UnsupportedMediaType);
        }
        let collected = timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY).collect()).await;
        match collected.map_err(|_| Refusal::RequestTimeout)? {
            Ok(body) => Self::parse(&body.to_bytes()),
            Err(error) if error.is::<LengthLimitError>() => Err(Refusal::PayloadTooLarge),
            Err(_) => Err(Refusal::BadRequest("the body broke off".into())),
        }
    }

    fn parse(json: &[u8]) -> Result<Self, Refusal> {
        // serde would take an array for the members in order.
        if json.trim_ascii_start().first() != Some(&b'{') {
            return Err(Refusal::BadRequest("the body must be an object".into()));
        }
        let written: Written = serde_json::from_slice(json).map_err(|error| bad(&error))?;
        let vin = written.vin.map(|vin| Vin::parse(&vin)).transpose();
        let plate = written.plate.map(|plate| Plate::parse(&plate)).transpose();
        Ok(Self {
            account: written.account,
            vin: vin.map_err(|invalid| bad(&format_args!("vin {invalid}")))?,
            plate: plate.map_err(|invalid| bad(&format_args!("plate {invalid}")))?,
        })
    }
}

impl From<UnknownAccount> for Refusal {
    fn from(error: UnknownAccount) -> Self {
        bad(&error)
    }
}

/// Whether a body is JSON as it stands. Parameters do not matter.
fn is_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (types.next(), types.next()) else {
        return false;
    };
    let media_type = value
        .as_bytes()
        .split(|byte| *byte == b';')
        .next()
        .unwrap_or_default();
    media_type
        .trim_ascii()
        .eq_ignore_ascii_case(b"application/json")
        && !headers.contains_key(CONTENT_ENCODING)
}

fn some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
}

fn bad(reason: &dyn std::fmt::Display) -> Refusal {
    let mut detail = reason.to_string();
    detail.truncate(detail.floor_char_boundary(MAX_DETAIL));
    Refusal::BadRequest(detail)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn reads_what_is_to_be_dropped() {
        for (json, request) in [
            ("{}", PurgeRequest::default()),
            (
                " {\"account\":\"fleet\"} ",
                PurgeRequest { account: Some("fleet".into()), ..PurgeRequest::default() },
            ),
            (
                "{\"vin\":\"3vw-fe21c04m000001\",\"plate\":\"mff 956 m\"}",
                PurgeRequest {
                    account: None,
                    vin: Vin::parse("3VWFE21C04M000001").ok(),
                    plate: Plate::parse("MFF956M").ok(),
                },
            ),
        ] {
            assert_eq!(PurgeRequest::parse(json.as_bytes()), Ok(request), "{json}");
        }
    }

    #[test]
    fn refuses_what_it_does_not_understand() {
        for json in [
            "",
            "null",
            "[]",
            "[\"fleet\"]",
            "{",
            "{} {}",
            "{\"vim\":\"3VWFE21C04M000001\"}",
            "{\"vin\":null}",
            "{\"vin\":1}",
            "{\"vin\":\"3VWFE21C04M00000O\"}",
            "{\"vin\":\"\"}",
            "{\"plate\":\"ABCDEFGHIJKLMNOP\"}",
            "{\"plate\":\"A\",\"plate\":\"B\"}",
        ] {
            let refused = PurgeRequest::parse(json.as_bytes());
            assert!(matches!(refused, Err(Refusal::BadRequest(_))), "{json}: {refused:?}");
        }
    }

    #[test]
    fn quotes_no_more_than_a_little() {
        let json = format!("{{\"{}\":1}}", "é".repeat(10_000));
        let Err(Refusal::BadRequest(detail)) = PurgeRequest::parse(json.as_bytes()) else {
            panic!("an unknown member was accepted");
        };
        assert!(detail.len() <= MAX_DETAIL, "{}", detail.len());
    }

    #[test]
    fn is_json_by_its_media_type_alone() {
        for (value, json) in [
            ("application/json", true),
            ("Application/JSON ; charset=utf-8", true),
            ("text/plain", false),
            ("application/jsonp", false),
            ("application/x-www-form-urlencoded", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))]);
            assert_eq!(is_json(&headers), json, "{value}");
        }
        assert!(!is_json(&HeaderMap::new()));
        let gzip = HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (CONTENT_ENCODING, HeaderValue::from_static("gzip")),
        ]);
        assert!(!is_json(&gzip));
    }
}
