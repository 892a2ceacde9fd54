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

/// What is to be dropped.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Selection {
    pub(super) filter: PurgeFilter,
    /// The account whose partition it is.
    pub(super) account: Option<String>,
}

impl Selection {
    /// What narrows it, by name: no vehicle.
    pub(super) fn named(&self) -> String {
        let PurgeFilter { partition, vin, plate } = self.filter;
        let members =
            [("account", partition.is_some()), ("vin", vin.is_some()), ("plate", plate.is_some())];
        let named = members.into_iter().filter(|(_, is_there)| *is_there);
        let named: Vec<_> = named.map(|(name, _)| name).collect();
        if named.is_empty() { "everything".to_owned() } else { named.join(", ") }
    }
}

/// What the body of a request asks to drop.
pub(super) fn read(body: &[u8], accounts: &Accounts) -> Result<Selection, Error> {
    let members: Members = json_body::parse(body)?;
    let vin = members.vin.map(|vin| Vin::parse(&vin)).transpose();
    let plate = members.plate.map(|plate| Plate::parse(&plate)).transpose();
    let account = members.account.as_deref();
    let account = account
        .map(|name| self::account(accounts, name))
        .transpose()?;
    let filter = PurgeFilter {
        partition: account.map(|Account(digest)| Partition::new(&digest)),
        vin: vin.map_err(|invalid| bad(format_args!("vin {invalid}")))?,
        plate: plate.map_err(|invalid| bad(format_args!("plate {invalid}")))?,
    };
    Ok(Selection { filter, account: members.account })
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

    fn parse(json: &str) -> Result<Selection, Error> {
        let fleet = ("fleet".to_owned(), Account([1; 32]));
        read(json.as_bytes(), &Accounts::from([fleet]))
    }

    #[test]
    fn reads_what_to_drop() {
        let all = PurgeFilter::default();
        let vin = Vin::parse("3VWFE21C04M000001").ok();
        for (json, filter, named) in [
            ("{}", all, "everything"),
            (
                " {\"account\":\"fleet\"} ",
                PurgeFilter { partition: Some(Partition::new(&[1; 32])), ..all },
                "account",
            ),
            ("{\"vin\":\"3vwfe21c04m000001\"}", PurgeFilter { vin, ..all }, "vin"),
            (
                "{\"vin\":\"3vw-fe21c04m000001\",\"plate\":\"mff 956 m\"}",
                PurgeFilter { vin, plate: Plate::parse("MFF956M").ok(), ..all },
                "vin, plate",
            ),
        ] {
            let selection = parse(json).unwrap();
            assert_eq!((selection.filter, &*selection.named()), (filter, named), "{json}");
            assert_eq!(selection.account.is_some(), filter.partition.is_some());
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
