//! Accounts: complete, and every subject with at most one.

use http::HeaderValue;

use super::{Checked, Context, plain};
use crate::{
    auth,
    config::{
        file::{Account, File},
        secret::Secret,
    },
};

/// Checks `[[account]]`.
pub(super) fn check(file: &File, context: &mut Context<'_>) -> Checked<Vec<auth::Account>> {
    let names = file
        .account
        .iter()
        .enumerate()
        .filter_map(|(index, account)| {
            Some((format!("account[{index}].name"), account.name.as_ref()?.0.as_str()))
        });
    context.once(names, "every account once");

    let subjects = file
        .account
        .iter()
        .enumerate()
        .flat_map(|(index, account)| {
            account
                .subjects
                .iter()
                .enumerate()
                .map(move |(place, subject)| {
                    (format!("account[{index}].subjects[{place}]"), subject.0.as_str())
                })
        });
    context.once(subjects, "every subject in one account");

    // All are checked before the first that is not fine ends it.
    let accounts: Vec<_> = file
        .account
        .iter()
        .enumerate()
        .map(|(index, written)| account(&format!("account[{index}]"), written, context))
        .collect();
    accounts.into_iter().collect()
}

fn account(key: &str, written: &Account, context: &mut Context<'_>) -> Checked<auth::Account> {
    let name = context.required(format!("{key}.name"), written.name.as_ref(), "a name");
    if written.subjects.is_empty() {
        let expected = "the subjects that use the account, or \"*\" for everyone";
        context.expected(format!("{key}.subjects"), "none", expected);
    }
    let value = value(&format!("{key}.value"), written.value.as_ref(), context);
    Ok(auth::Account {
        name: name?.0.clone(),
        header: written.header.0.0.clone(),
        value: value?,
        subjects: plain(&written.subjects),
    })
}

fn value(key: &str, written: Option<&Secret>, context: &mut Context<'_>) -> Checked<HeaderValue> {
    let secret = context.required(key, written, "a secret")?;
    let bytes = context.secret(key, secret)?;
    let mut value = HeaderValue::from_bytes(&bytes).map_err(|_| {
        let found = "a secret with line breaks or other control characters";
        context.expected(key, found, "the value of a header field")
    })?;
    value.set_sensitive(true);
    Ok(value)
}
