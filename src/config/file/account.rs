//! `[[account]]`: the accounts at Sync.

use http::header::AUTHORIZATION;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{
    secret::Secret,
    text::{CredentialField, Text},
};

/// An account at Sync, and the subjects of tokens that use it.
#[derive(Clone, Debug, Deserialize, Serialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["name", "value", "subjects"]))]
pub(crate) struct Account {
    /// A label for people.
    pub(crate) name: Option<Text<String>>,
    /// The field that carries the credential. By default the one that HTTP has for it.
    pub(crate) header: Text<CredentialField>,
    /// The whole value of that field, such as `Bearer …`.
    pub(crate) value: Option<Secret>,
    /// Subjects of tokens that use this account. `"*"` is everyone not named elsewhere.
    pub(crate) subjects: Vec<Text<String>>,
}

// === impl Account ===

impl Default for Account {
    fn default() -> Self {
        Self {
            name: None,
            header: Text(CredentialField(AUTHORIZATION)),
            value: None,
            subjects: Vec::new(),
        }
    }
}
