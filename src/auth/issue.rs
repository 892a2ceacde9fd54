//! Tokens of our own, for trials and demonstrations: signed with a configured secret, so that
//! they say what the configuration asks of them.

use std::time::Duration;

use serde::Serialize;

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

#[derive(Serialize)]
struct Claims<'a> {
    #[serde(rename = "iss", skip_serializing_if = "Option::is_none")]
    issuer: Option<&'a str>,
    #[serde(rename = "sub")]
    subject: &'a str,
    #[serde(rename = "aud", skip_serializing_if = "Option::is_none")]
    audience: Option<&'a str>,
    #[serde(rename = "iat")]
    issued_at: u64,
    #[serde(rename = "exp")]
    expires_at: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    scope: Option<&'a str>,
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
        let claims = Claims {
            issuer: key.issuer.as_deref().or(self.issuer.as_deref()),
            subject,
            audience: self.audience.first().map(String::as_str),
            issued_at: now.as_secs(),
            expires_at: now.saturating_add(ttl).as_secs(),
            scope,
        };
        Ok(key.sign(&claims)?)
    }
}

#[cfg(test)]
mod tests;
