//! `POST /cache/purge`: which entries of the cache it drops.

use std::{collections::HashMap, time::Duration};

use http::{
    HeaderMap,
    header::{CONTENT_ENCODING, CONTENT_TYPE},
};
use http_body_util::{BodyExt as _, LengthLimitError, Limited};
use serde::{Deserialize, Deserializer};
use tokio::time::timeout;

use super::responses::Error;
use crate::{
    body::Body,
    json,
    problem::Code,
    vehicle::{Plate, Vin},
    vehicle_cache::{Partition, PurgeFilter},
};

const MAX_BODY: usize = 64 * 1024;

/// From its first byte to its last.
const BODY_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of an explanation, which may quote the request.
const MAX_DETAIL: usize = 200;

/// The partition of each account, by its name.
pub type Accounts = HashMap<String, Partition>;

/// The body of a request. A member that is `null` is a mistake, not a wildcard.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Members {
    #[serde(deserialize_with = "some")]
    account: Option<String>,
    #[serde(deserialize_with = "some")]
    vin: Option<String>,
    #[serde(deserialize_with = "some")]
    plate: Option<String>,
}

pub(super) async fn read(
    headers: &HeaderMap,
    body: Body,
    accounts: &Accounts,
) -> Result<PurgeFilter, Error> {
    if !has_json(headers) {
        let detail = "the body must be application/json";
        return Err(Error::new(Code::UnsupportedMediaType, detail));
    }
    let collected = timeout(BODY_TIMEOUT, Limited::new(body, MAX_BODY).collect()).await;
    let late = |_| Error::new(Code::RequestTimeout, "the body took too long");
    match collected.map_err(late)? {
        Ok(body) => parse(&body.to_bytes(), accounts),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(Error::new(Code::PayloadTooLarge, "the body is too large"))
        }
        Err(_) => Err(Error::new(Code::BadRequest, "the body is incomplete")),
    }
}

fn parse(json: &[u8], accounts: &Accounts) -> Result<PurgeFilter, Error> {
    let members: Members = json::object_from_slice(json).map_err(bad)?;
    let partition = |name: String| accounts.get(&name).copied();
    let vin = members.vin.map(|vin| Vin::parse(&vin)).transpose();
    let plate = members.plate.map(|plate| Plate::parse(&plate)).transpose();
    Ok(PurgeFilter {
        partition: match members.account {
            Some(name) => Some(partition(name).ok_or_else(|| bad("there is no such account"))?),
            None => None,
        },
        vin: vin.map_err(|invalid| bad(format_args!("vin {invalid}")))?,
        plate: plate.map_err(|invalid| bad(format_args!("plate {invalid}")))?,
    })
}

/// Whether a body is JSON as it stands. Parameters do not matter.
fn has_json(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(CONTENT_TYPE).iter();
    let (Some(value), None) = (types.next(), types.next()) else {
        return false;
    };
    json::is_json(value) && !headers.contains_key(CONTENT_ENCODING)
}

fn some<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
}

fn bad(reason: impl std::fmt::Display) -> Error {
    let mut detail = reason.to_string();
    detail.truncate(detail.floor_char_boundary(MAX_DETAIL));
    Error::new(Code::BadRequest, detail)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn parse(json: &str) -> Result<PurgeFilter, Error> {
        let fleet = ("fleet".to_owned(), Partition::new(&[1; 32]));
        super::parse(json.as_bytes(), &Accounts::from([fleet]))
    }

    #[test]
    fn reads_what_to_drop() {
        let all = PurgeFilter::default();
        let vin = Vin::parse("3VWFE21C04M000001").ok();
        for (json, filter) in [
            ("{}", all),
            (
                " {\"account\":\"fleet\"} ",
                PurgeFilter { partition: Some(Partition::new(&[1; 32])), ..all },
            ),
            ("{\"vin\":\"3vwfe21c04m000001\"}", PurgeFilter { vin, ..all }),
            (
                "{\"vin\":\"3vw-fe21c04m000001\",\"plate\":\"mff 956 m\"}",
                PurgeFilter { vin, plate: Plate::parse("MFF956M").ok(), ..all },
            ),
        ] {
            assert_eq!(parse(json), Ok(filter), "{json}");
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
            "{\"account\":\"nobody\"}",
            "{\"account\":\"Fleet\"}",
            "{\"account\":\"\"}",
            "{\"vin\":null}",
            "{\"vin\":1}",
            "{\"vin\":\"3VWFE21C04M00000O\"}",
            "{\"vin\":\"\"}",
            "{\"plate\":\"ABCDEFGHIJKLMNOP\"}",
            "{\"plate\":\"A\",\"plate\":\"B\"}",
        ] {
            let refused = parse(json);
            assert!(
                matches!(refused, Err(Error { code: Code::BadRequest, .. })),
                "{json}: {refused:?}"
            );
        }
    }

    #[test]
    fn quotes_no_more_than_a_little() {
        let json = format!("{{\"{}\":1}}", "é".repeat(10_000));
        let Err(Error { code: Code::BadRequest, detail, .. }) = parse(&json) else {
            panic!("an unknown member was accepted");
        };
        assert!(detail.len() <= MAX_DETAIL, "{}", detail.len());
    }

    #[test]
    fn has_json_by_its_media_type_alone() {
        for (value, json) in [
            ("application/json", true),
            ("Application/JSON ; charset=utf-8", true),
            ("text/plain", false),
            ("application/jsonp", false),
            ("application/x-www-form-urlencoded", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(value))]);
            assert_eq!(has_json(&headers), json, "{value}");
        }
        assert!(!has_json(&HeaderMap::new()));
        let gzip = HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (CONTENT_ENCODING, HeaderValue::from_static("gzip")),
        ]);
        assert!(!has_json(&gzip));
    }
}
