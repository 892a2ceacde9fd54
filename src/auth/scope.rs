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

/// What the claims of `auth.scope.claims` grant together.
///
/// A claim that is not of the shape it should have grants nothing: the token is still genuine.
pub(super) struct Granted(Vec<OneOrMany>);

/// A string, or an array of strings.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum OneOrMany {
    One(String),
    Many(Vec<String>),
}

impl Granted {
    pub(super) fn of(claims: &UniqueMembers<'_>, names: &[String]) -> Self {
        let granted = names.iter().filter_map(|name| claims.get(name).ok());
        Self(granted.flatten().collect())
    }

    /// Whether `wanted` is among them, character for character: in a string between blanks
    /// (RFC 6749 section 3.3), or an item of a list.
    pub(super) fn contains(&self, wanted: &str) -> bool {
        self.0.iter().any(|granted| match granted {
            OneOrMany::One(list) => list.split(' ').any(|scope| scope == wanted),
            OneOrMany::Many(scopes) => scopes.iter().any(|scope| scope == wanted),
        })
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
