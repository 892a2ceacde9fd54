//! Tokens of our own, for trials and demonstrations: signed with a configured secret, so that
//! they say what the configuration asks of them.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{Config, KeyError};

/// Why no token can be issued.
#[derive(Debug, thiserror::Error)]
pub enum IssueError {
    /// No subject, and so nobody to speak for.
    #[error("a token needs a subject")]
    NoSubject,
    /// No configured secret vouches for the subject.
    #[error("no key with a secret and an allowed algorithm vouches for this subject")]
    NoKey,
    /// The key failed.
    #[error(transparent)]
    Key(#[from] KeyError),
}

// === impl Config ===

impl Config {
    /// Signs a token for `subject` that this configuration accepts for `ttl` from `now` (since
    /// 1970), with the first key that can. `scope` is a list separated by spaces.
    ///
    /// # Errors
    ///
    /// Without a subject, or without a secret that vouches for it.
    pub fn issue(
        &self,
        subject: &str,
        scope: Option<&str>,
        ttl: Duration,
        now: Duration,
    ) -> Result<String, IssueError> {
        if subject.is_empty() {
            return Err(IssueError::NoSubject);
        }
        let key = self
            .keys
            .iter()
            .find(|key| {
                key.can_sign()
                    && self.algorithms.contains(&key.algorithm)
                    && key.allows_subject(subject)
            })
            .ok_or(IssueError::NoKey)?;
        // Where this configuration looks first.
        let name = |names: &[String]| names.first().cloned();
        let claims = [
            (
                Some("iss".into()),
                key.issuer
                    .as_deref()
                    .or(self.issuer.as_deref())
                    .map(Value::from),
            ),
            (name(&self.tokens.subject_claims), Some(subject.into())),
            (name(&self.tokens.audience_claims), self.audience.first().cloned().map(Value::from)),
            (Some("iat".into()), Some(now.as_secs().into())),
            (Some("exp".into()), Some(now.saturating_add(ttl).as_secs().into())),
            (name(&self.tokens.scope_claims), scope.map(Value::from)),
        ];
        let claims: Map<String, Value> = claims
            .into_iter()
            .filter_map(|(name, value)| name.zip(value))
            .collect();
        Ok(key.sign(&claims)?)
    }
}

#[cfg(test)]
mod tests;
