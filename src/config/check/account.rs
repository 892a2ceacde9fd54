//! Accounts: complete, and every subject with at most one.

use http::HeaderValue;

use crate::{
    auth,
    config::{
        context::{Checked, Context, required},
        file::{Account, File},
        value::{Item, values},
    },
};

pub(super) fn check(file: &File, context: &mut Context<'_>) -> Checked<Vec<auth::SyncAccount>> {
    let names = file
        .account
        .iter()
        .filter_map(|account| Some((format!("{}.name", account.at), account.name.as_deref()?)));
    context.unique(names, "a different name for each account");
    let subjects = file.account.iter().flat_map(|account| &account.subjects);
    let subjects = subjects.map(|subject| (subject.at.clone(), subject.as_str()));
    context.unique(subjects, "each subject in one account");

    // All are checked before the first invalid one ends it.
    let accounts = file.account.iter().map(|written| account(written, context));
    accounts.collect::<Vec<_>>().into_iter().collect()
}

fn account(written: &Item<Account>, context: &mut Context<'_>) -> Checked<auth::SyncAccount> {
    if written.subjects.is_empty() {
        let expected = "the subjects that use the account, or \"*\" for all others";
        context.expected(&format!("{}.subjects", written.at), "none", expected);
    }
    Ok(auth::SyncAccount {
        value: value(written, context)?,
        name: required(&written.name)?.clone(),
        header: written.header.0.clone(),
        subjects: values(&written.subjects),
    })
}

fn value(written: &Item<Account>, context: &mut Context<'_>) -> Checked<HeaderValue> {
    let key = format!("{}.value", written.at);
    let bytes = required(&written.value)?.fetch(&key, context)?;
    let mut value = HeaderValue::from_bytes(&bytes).map_err(|_| {
        let found = "a secret with line breaks or other control characters";
        context.expected(&key, found, "the value of a header")
    })?;
    value.set_sensitive(true);
    Ok(value)
}
