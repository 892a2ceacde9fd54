//! Tokens of our own, for trials and demonstrations: signed with a configured secret, so that
//! they say what the configuration asks of them.

use std::time::Duration;

use serde_json::{Map, Value};

use super::{Config, KeyError};

/// Why no token can be issued.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "each says in words what it means")]
pub enum IssueError {
    #[error("a token needs a subject")]
    NoSubject,
    #[error("no key with a secret and an allowed algorithm vouches for this subject")]
    NoKey,
    #[error(transparent)]
    Key(#[from] KeyError),
}

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
        let mut claims = Map::new();
        // Where this configuration looks first. A claim that is looked at for two things stays what
        // it was said to be first: nobody gets a token for another subject than was asked for.
        let mut say = |names: &[String], value: Option<Value>| {
            let unsaid = names.iter().find(|name| !claims.contains_key(*name));
            claims.extend(unsaid.cloned().zip(value));
        };
        let issuer = key.issuer.as_deref().or(self.tokens.issuer.as_deref());
        say(&["iss".into()], issuer.map(Value::from));
        say(&["iat".into()], Some(now.as_secs().into()));
        say(&["exp".into()], Some(now.saturating_add(ttl).as_secs().into()));
        say(&self.tokens.subject_claims, Some(subject.into()));
        say(&self.tokens.audience_claims, self.tokens.audience.first().cloned().map(Value::from));
        say(&self.tokens.scope_claims, scope.map(Value::from));
        Ok(key.sign(&claims)?)
    }
}

#[cfg(test)]
mod tests;
