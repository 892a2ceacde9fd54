//! `PUT /api/upsert-tax-identity`.

use bytes::Bytes;
use http::Response;
use serde_json::{Map, Value};

use super::{database::Database, error::ApiError, received::Received, reply};

pub(super) fn put(database: &Database, received: &Received) -> Result<Response<Bytes>, ApiError> {
    let account = received.account().ok_or_else(ApiError::unauthorize)?;
    let body = received.json(ApiError::bad_parameters)?;
    let identifier = member(&body, "taxIdentifier", 128)?;
    let legal_name = member(&body, "legalName", 300)?;
    if identifier.is_none() && legal_name.is_none() {
        return Err(ApiError::bad_parameters("neither taxIdentifier nor legalName is given"));
    }
    let legal_name = database.put_tax(account, identifier, legal_name)?;
    let mut merged = Map::new();
    merged.extend(identifier.map(|text| ("taxIdentifier".to_owned(), text.into())));
    merged.extend(legal_name.map(|text| ("legalName".to_owned(), text.into())));
    Ok(reply::json(&merged))
}

/// A member that may be absent, else a text of fewer than `limit` characters.
fn member<'a>(body: &'a Value, name: &str, limit: usize) -> Result<Option<&'a str>, ApiError> {
    let Some(value) = body.get(name) else {
        return Ok(None);
    };
    let text = value.as_str().filter(|text| text.chars().count() < limit);
    let error =
        || ApiError::bad_parameters(format!("{name} is not a text below {limit} characters"));
    text.map(Some).ok_or_else(error)
}
