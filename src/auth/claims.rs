//! What a genuine token says, judged (RFC 7519 section 4.1).

use std::time::Duration;

use serde::Deserialize;
use serde_json::Number;

use super::{Identity, Key, TokenError};
use crate::json::UniqueMembers;

/// What tokens must say, how long they may be, and in which claims they say what: issuers differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenRules {
    /// The `iss` that tokens must carry, unless their key names its own; `None`: any.
    pub issuer: Option<String>,
    /// Values of which the audience must contain one; empty: it is not looked at.
    pub audience: Vec<String>,
    /// How far clocks may be apart when `exp` and `nbf` are judged.
    pub leeway: Duration,
    /// The scopes that reading and writing need; `None`: any valid token may do anything.
    pub scopes: Option<Scopes>,
    /// Bytes of a token.
    pub max_length: usize,
    /// The first of these that a token has names its subject.
    pub subject_claims: Vec<String>,
    /// The first of these that a token has names its audience.
    pub audience_claims: Vec<String>,
    /// All of these grant scopes.
    pub scope_claims: Vec<String>,
}

/// The scopes that a token must carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scopes {
    /// To read.
    pub read: String,
    /// To write.
    pub write: String,
}

/// What the claims of `auth.scope.claims` grant together.
///
/// A claim that is not of the shape it should have grants nothing: the token is still genuine.
struct Granted(Vec<OneOrMany>);

/// A string, or an array of strings.
#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl TokenRules {
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
        let until = date(claims, "exp", TokenError::Exp)?
            .ok_or(TokenError::Exp)?
            .saturating_add(self.leeway);
        if now >= until {
            return Err(TokenError::Expired);
        }
        if date(claims, "nbf", TokenError::Nbf)?
            .is_some_and(|from| now.saturating_add(self.leeway) < from)
        {
            return Err(TokenError::NotYetValid);
        }
        date(claims, "iat", TokenError::Iat)?;

        let issuer: Option<String> = claims.get("iss").map_err(|_| TokenError::Iss)?;
        let wanted = key.issuer.as_ref().or(self.issuer.as_ref());
        if wanted.is_some() && issuer.as_ref() != wanted {
            return Err(TokenError::Issuer);
        }
        self.check_audience(claims)?;

        let name = first(claims, &self.subject_claims).ok_or(TokenError::Sub)?;
        let subject: Option<String> = claims.get(name).map_err(|_| TokenError::Sub)?;
        let subject = subject
            .filter(|subject| !subject.is_empty())
            .ok_or(TokenError::Sub)?;
        if !key.allows_subject(&subject) {
            return Err(TokenError::Subject);
        }

        let (may_read, may_write) = match &self.scopes {
            None => (true, true),
            Some(scopes) => {
                let granted = Granted::of(claims, &self.scope_claims);
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
        let name = first(claims, &self.audience_claims).ok_or(TokenError::Audience)?;
        let is_ours = match claims.get(name).map_err(|_| TokenError::Aud)? {
            Some(OneOrMany::One(one)) => self.audience.contains(&one),
            Some(OneOrMany::Many(many)) => many.iter().any(|one| self.audience.contains(one)),
            None => false,
        };
        if is_ours { Ok(()) } else { Err(TokenError::Audience) }
    }
}

impl Granted {
    fn of(claims: &UniqueMembers<'_>, names: &[String]) -> Self {
        let granted = names.iter().filter_map(|name| claims.get(name).ok());
        Self(granted.flatten().collect())
    }

    /// Whether `wanted` is among them, character for character: in a string between blanks
    /// (RFC 6749 section 3.3), or an item of a list.
    fn contains(&self, wanted: &str) -> bool {
        self.0.iter().any(|granted| match granted {
            OneOrMany::One(list) => list.split(' ').any(|scope| scope == wanted),
            OneOrMany::Many(scopes) => scopes.iter().any(|scope| scope == wanted),
        })
    }
}

/// The first of `names` that is there, whatever its value: one that is malformed is not made up
/// for by the next.
fn first<'a>(claims: &UniqueMembers<'_>, names: &'a [String]) -> Option<&'a str> {
    let mut names = names.iter().map(String::as_str);
    names.find(|name| claims.contains(name))
}

/// The date `name`: seconds since 1970, perhaps with a fraction (RFC 7519 section 2).
///
/// What is no number, negative, or beyond any clock is refused, never taken for absent.
fn date(
    claims: &UniqueMembers<'_>,
    name: &str,
    otherwise: TokenError,
) -> Result<Option<Duration>, TokenError> {
    let Some(number) = claims.get::<Number>(name).map_err(|_| otherwise)? else {
        return Ok(None);
    };
    let date = match number.as_u64() {
        Some(seconds) => Some(Duration::from_secs(seconds)),
        None => number
            .as_f64()
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()),
    };
    date.map(Some).ok_or(otherwise)
}

#[cfg(any(test, fuzzing))]
impl Default for TokenRules {
    fn default() -> Self {
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        Self {
            issuer: None,
            audience: vec![],
            leeway: Duration::from_secs(30),
            scopes: None,
            max_length: 16 * 1024,
            subject_claims: names(&["sub"]),
            audience_claims: names(&["aud"]),
            scope_claims: names(&["scope", "scp"]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_whole_scopes_only() {
        for (claims, granted) in [
            (r#"{"scope":"vehicles:read"}"#, true),
            (r#"{"scope":"openid vehicles:read vehicles:write"}"#, true),
            (r#"{"scope":"  vehicles:read  "}"#, true),
            (r#"{"scp":"openid vehicles:read"}"#, true),
            (r#"{"scp":["openid","vehicles:read"]}"#, true),
            (r#"{"scope":"openid","scp":["vehicles:read"]}"#, true),
            (r#"{"scope":7,"scp":["vehicles:read"]}"#, true),
            (r#"{}"#, false),
            (r#"{"scope":""}"#, false),
            (r#"{"scope":"vehicles:rea"}"#, false),
            (r#"{"scope":"vehicles:reader"}"#, false),
            (r#"{"scope":"xvehicles:read"}"#, false),
            (r#"{"scope":"Vehicles:Read"}"#, false),
            (r#"{"scope":"openid,vehicles:read"}"#, false),
            (r#"{"scope":"openid\tvehicles:read"}"#, false),
            (r#"{"scope":["vehicles:read"]}"#, true),
            (r#"{"scope":["vehicles:read",7]}"#, false),
            (r#"{"roles":["vehicles:read"]}"#, true),
            (r#"{"roles":"vehicles:read","scope":"openid"}"#, true),
            (r#"{"permissions":["vehicles:read"]}"#, false),
            (r#"{"scope":null}"#, false),
            (r#"{"scp":[["vehicles:read"]]}"#, false),
            (r#"{"scp":["vehicles:read",7]}"#, false),
            (r#"{"scp":["openid vehicles:read"]}"#, false),
            (r#"{"scp":{"vehicles:read":true}}"#, false),
            (r#"{"scopes":"vehicles:read"}"#, false),
        ] {
            let members = UniqueMembers::parse(claims.as_bytes()).unwrap();
            let names = ["scope", "scp", "roles"].map(str::to_owned);
            assert_eq!(
                Granted::of(&members, &names).contains("vehicles:read"),
                granted,
                "{claims}"
            );
        }
    }
}
