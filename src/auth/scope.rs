//! Scopes: what a token allows.

use serde::Deserialize;

use crate::json::UniqueMembers;

/// The scopes that a token must carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scopes {
    /// To read.
    pub read: String,
    /// To write.
    pub write: String,
}

/// What the claims `scope` and `scp` grant.
///
/// A claim that is not of the shape it should have grants nothing: the token is still genuine.
pub(super) struct Granted {
    scope: Option<String>,
    scp: Option<OneOrMany>,
}

/// A string, or an array of strings.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

// === impl Granted ===

impl Granted {
    pub(super) fn of(claims: &UniqueMembers<'_>) -> Self {
        Self { scope: claims.get("scope").ok().flatten(), scp: claims.get("scp").ok().flatten() }
    }

    /// Whether `wanted` is among them, character for character (RFC 6749 section 3.3).
    pub(super) fn contains(&self, wanted: &str) -> bool {
        let among = |list: &String| list.split(' ').any(|scope| scope == wanted);
        self.scope.as_ref().is_some_and(among)
            || match &self.scp {
                Some(OneOrMany::One(list)) => among(list),
                Some(OneOrMany::Many(scopes)) => scopes.iter().any(|scope| scope == wanted),
                None => false,
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
            (r#"{"scope":["vehicles:read"]}"#, false),
            (r#"{"scope":null}"#, false),
            (r#"{"scp":[["vehicles:read"]]}"#, false),
            (r#"{"scp":["vehicles:read",7]}"#, false),
            (r#"{"scp":["openid vehicles:read"]}"#, false),
            (r#"{"scp":{"vehicles:read":true}}"#, false),
            (r#"{"scopes":"vehicles:read"}"#, false),
        ] {
            let members = UniqueMembers::parse(claims.as_bytes()).unwrap();
            assert_eq!(Granted::of(&members).contains("vehicles:read"), granted, "{claims}");
        }
    }
}
