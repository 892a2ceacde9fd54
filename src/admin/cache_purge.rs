//! `POST /cache/purge`: which entries of the cache it drops.

use std::collections::HashMap;

use serde::Deserialize;

use super::{
    json_body::{self, bad, some},
    responses::Error,
};
use crate::{
    upstream::Account,
    vehicle::{Plate, Vin},
    vehicle_cache::{Partition, PurgeFilter},
};

/// Each account by its name.
pub type Accounts = HashMap<String, Account>;

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

/// What the body of a request asks to drop.
pub(super) fn read(body: &[u8], accounts: &Accounts) -> Result<PurgeFilter, Error> {
    let members: Members = json_body::parse(body)?;
    let vin = members.vin.map(|vin| Vin::parse(&vin)).transpose();
    let plate = members.plate.map(|plate| Plate::parse(&plate)).transpose();
    Ok(PurgeFilter {
        partition: match members.account {
            Some(name) => Some(Partition::new(&account(accounts, &name)?.0)),
            None => None,
        },
        vin: vin.map_err(|invalid| bad(format_args!("vin {invalid}")))?,
        plate: plate.map_err(|invalid| bad(format_args!("plate {invalid}")))?,
    })
}

/// The account with this name.
pub(super) fn account(accounts: &Accounts, name: &str) -> Result<Account, Error> {
    let account = accounts.get(name).copied();
    account.ok_or_else(|| bad("there is no such account"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{admin::json_body::MAX_DETAIL, problem::Code};

    fn parse(json: &str) -> Result<PurgeFilter, Error> {
        let fleet = ("fleet".to_owned(), Account([1; 32]));
        read(json.as_bytes(), &Accounts::from([fleet]))
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
}
