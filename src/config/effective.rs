//! What is in force, as people see it, and what makes another one different.

use std::collections::{BTreeMap, BTreeSet};

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::Value;

/// Keys, or tables of them, that a running gateway can change. All others take a restart, so that
/// a new key does until somebody has seen to it.
const LIVE: [&str; 12] = [
    "server.trusted_proxies",
    "admin.token",
    "account",
    "auth",
    "batch",
    "cache.stale_while_revalidate",
    "cache.stale_if_error",
    "cache.harmless_writes",
    "cache.ttl",
    "limit",
    "log.level",
    "log.access",
];

/// Keys within those that take a restart all the same: what nobody should open by accident, and
/// the source of published keys, which would begin without any.
const FIXED: [&str; 4] = ["auth.enabled", "auth.open", "auth.jwks_url", "auth.jwks_ca"];

/// A configuration as it is shown, and what tells it from another.
#[derive(Clone)]
pub struct EffectiveConfig {
    /// The file with all its defaults.
    shown: Value,
    /// By key: what is not shown, or stands in another file.
    hidden: Hidden,
}

/// Hashes of what is not shown, by key.
pub(crate) type Hidden = BTreeMap<String, Hash>;

/// SHA-256.
pub(crate) type Hash = [u8; 32];

/// The keys in which two configurations differ; names, never values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes(BTreeSet<String>);

pub(crate) fn hash(bytes: &[u8]) -> Hash {
    let mut hash = [0; 32];
    hash.copy_from_slice(digest(&SHA256, bytes).as_ref());
    hash
}

// === impl InForce ===

impl EffectiveConfig {
    pub(super) fn new(shown: Value, hidden: Hidden) -> Self {
        Self { shown, hidden }
    }

    /// The file with all its defaults, and every secret as `"***"`: what `GET /config` shows.
    pub fn shown(&self) -> &Value {
        &self.shown
    }

    /// In which keys `new` differs.
    pub fn changes(&self, new: &Self) -> Changes {
        let mut changes = Changes::default();
        changes.compare(&self.shown, &new.shown, String::new());
        for key in self.hidden.keys().chain(new.hidden.keys()) {
            if self.hidden.get(key) != new.hidden.get(key) {
                changes.0.insert(key.clone());
            }
        }
        changes
    }
}

impl std::fmt::Debug for EffectiveConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.shown.fmt(f)
    }
}

// === impl Changes ===

impl Changes {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys, in the order of their names.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Those of them that take a restart.
    pub fn restart_only(&self) -> impl Iterator<Item = &str> {
        self.keys().filter(|key| is_fixed(key))
    }

    /// Whether `table`, or something in it, is among them.
    pub fn touch(&self, table: &str) -> bool {
        self.keys().any(|key| is_in(key, table))
    }

    fn compare(&mut self, old: &Value, new: &Value, key: String) {
        match (old, new) {
            _ if old == new => {}
            (Value::Object(old), Value::Object(new)) => {
                let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
                for name in names {
                    let key = if key.is_empty() { name.clone() } else { format!("{key}.{name}") };
                    let of = |table: &serde_json::Map<_, _>| table.get(name).cloned();
                    self.compare(&of(old).unwrap_or_default(), &of(new).unwrap_or_default(), key);
                }
            }
            (Value::Array(old), Value::Array(new))
                if old.iter().chain(new).any(Value::is_object) =>
            {
                for nth in 0..old.len().max(new.len()) {
                    let of = |array: &[Value]| array.get(nth).cloned().unwrap_or_default();
                    self.compare(&of(old), &of(new), format!("{key}[{nth}]"));
                }
            }
            _ => {
                self.0.insert(key);
            }
        }
    }
}

fn is_fixed(key: &str) -> bool {
    let among = |tables: &[&str]| tables.iter().any(|table| is_in(key, table));
    !among(&LIVE) || among(&FIXED)
}

fn is_in(key: &str, table: &str) -> bool {
    let below = key.strip_prefix(table);
    below.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

#[cfg(test)]
mod tests;
