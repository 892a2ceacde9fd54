//! What a genuine token says, judged (RFC 7519 section 4.1).

use std::time::Duration;

use serde_json::Number;

use super::{
    Identity, Key, Scopes, TokenError,
    scope::{Granted, OneOrMany},
};
use crate::json::UniqueMembers;

/// What tokens must say.
#[derive(Debug)]
pub(super) struct Policy {
    /// `iss`, unless the key names its own; `None`: any.
    pub(super) issuer: Option<String>,
    /// `aud` must contain one of these; empty: any.
    pub(super) audience: Vec<String>,
    /// How far clocks may be apart.
    pub(super) leeway: Duration,
    /// The scopes to look for; `None`: every token may do anything.
    pub(super) scopes: Option<Scopes>,
}

// === impl Policy ===

impl Policy {
    /// Judges the claims of a token that `key` signed, at `now` since 1970. Gives whom it speaks
    /// for, and until when.
    ///
    /// `iat` must be a date, but one in the future is no reason to refuse: what is not to be
    /// used yet says so in `nbf`.
    pub(super) fn check(
        &self,
        claims: &UniqueMembers<'_>,
        key: &Key,
        now: Duration,
    ) -> Result<(Identity, Duration), TokenError> {
        let until = date(claims, "exp")?
            .ok_or(TokenError::Claims)?
            .saturating_add(self.leeway);
        if now >= until {
            return Err(TokenError::Expired);
        }
        if date(claims, "nbf")?.is_some_and(|from| now.saturating_add(self.leeway) < from) {
            return Err(TokenError::NotYetValid);
        }
        date(claims, "iat")?;

        let issuer = text(claims, "iss")?;
        let wanted = key.issuer.as_ref().or(self.issuer.as_ref());
        if wanted.is_some() && issuer.as_ref() != wanted {
            return Err(TokenError::Issuer);
        }
        self.check_audience(claims)?;

        let subject = text(claims, "sub")?.ok_or(TokenError::Claims)?;
        if subject.is_empty() {
            return Err(TokenError::Claims);
        }
        if !key.allows_subject(&subject) {
            return Err(TokenError::Subject);
        }

        let (may_read, may_write) = match &self.scopes {
            None => (true, true),
            Some(scopes) => {
                let granted = Granted::of(claims);
                (granted.contains(&scopes.read), granted.contains(&scopes.write))
            }
        };
        let issuer = issuer.unwrap_or_default();
        Ok((Identity::new(&issuer, &subject, may_read, may_write), until))
    }

    fn check_audience(&self, claims: &UniqueMembers<'_>) -> Result<(), TokenError> {
        if self.audience.is_empty() {
            return Ok(());
        }
        let is_ours = match claims.get("aud").map_err(|_| TokenError::Claims)? {
            Some(OneOrMany::One(one)) => self.audience.contains(&one),
            Some(OneOrMany::Many(many)) => many.iter().any(|one| self.audience.contains(one)),
            None => false,
        };
        if is_ours { Ok(()) } else { Err(TokenError::Audience) }
    }
}

/// The string `name`.
fn text(claims: &UniqueMembers<'_>, name: &str) -> Result<Option<String>, TokenError> {
    claims.get(name).map_err(|_| TokenError::Claims)
}

/// The date `name`: seconds since 1970, perhaps with a fraction (RFC 7519 section 2).
///
/// What is no number, negative, or beyond any clock is refused, never taken for absent.
fn date(claims: &UniqueMembers<'_>, name: &str) -> Result<Option<Duration>, TokenError> {
    let Some(number) = claims.get::<Number>(name).map_err(|_| TokenError::Claims)? else {
        return Ok(None);
    };
    let date = match number.as_u64() {
        Some(seconds) => Some(Duration::from_secs(seconds)),
        None => number
            .as_f64()
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
    };
    date.map(Some).ok_or(TokenError::Claims)
}
