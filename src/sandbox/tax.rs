//! `PUT /api/upsert-tax-identity`.

use serde_json::{Map, Value};

use super::{
    received::Received,
    response::{Answer, Refusal},
    store::Store,
};

/// Merges a tax identity and answers it.
pub(super) fn put(store: &Store, received: &Received) -> Result<Answer, Refusal> {
    let account = received.account().ok_or_else(Refusal::unauthorize)?;
    let body = received.json(Refusal::bad_parameters)?;
    let identifier = member(&body, "taxIdentifier", 128)?;
    let legal_name = member(&body, "legalName", 300)?;
    if identifier.is_none() && legal_name.is_none() {
        return Err(Refusal::bad_parameters("neither taxIdentifier nor legalName is given"));
    }
    let legal_name = store.put_tax(account, identifier, legal_name)?;
    let mut merged = Map::new();
    merged.extend(identifier.map(|text| ("taxIdentifier".to_owned(), text.into())));
    merged.extend(legal_name.map(|text| ("legalName".to_owned(), text.into())));
    Ok(Answer::json(&merged))
}

/// A member that may be absent, else a text of fewer than `limit` characters.
fn member<'a>(body: &'a Value, name: &str, limit: usize) -> Result<Option<&'a str>, Refusal> {
    let Some(value) = body.get(name) else {
        return Ok(None);
    };
    let text = value.as_str().filter(|text| text.chars().count() < limit);
    let refusal =
        || Refusal::bad_parameters(format!("{name} is not a text below {limit} characters"));
    text.map(Some).ok_or_else(refusal)
}
