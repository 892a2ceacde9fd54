//! The effective configuration as people see it, and what makes another one different.

use std::{collections::BTreeSet, sync::LazyLock};

use serde_json::{Map, Value as Json};

use super::{context::Hidden, json_schema, key_path};

/// The keys, or tables of them, that a running gateway can change, as they are declared.
static RELOADABLE: LazyLock<Vec<String>> = LazyLock::new(json_schema::reloadable);

/// A configuration as it is shown, and what tells it from another.
#[derive(Clone)]
pub struct EffectiveConfig {
    shown: Json,
    hidden: Hidden,
}

/// The keys in which two configurations differ; names, never values.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes(BTreeSet<String>);

impl EffectiveConfig {
    pub(super) fn new(shown: Json, hidden: Hidden) -> Self {
        Self { shown, hidden }
    }

    /// The file with all its defaults, and every secret as `"***"`: what `GET /config` shows.
    pub fn shown(&self) -> &Json {
        &self.shown
    }

    /// What is shown of `key`: of one in a list of tables, the value in each.
    pub fn values(&self, key: &str) -> Vec<&Json> {
        key_path::find(&self.shown, key)
    }

    /// Takes over what `other`, which comes of the same text, knows of files that need a restart when
    /// they change.
    pub fn keep_restart_only(&mut self, other: &Self) {
        self.hidden.retain(|key, _| !is_restart_only(key));
        let kept = other.hidden.iter().filter(|(key, _)| is_restart_only(key));
        self.hidden
            .extend(kept.map(|(key, digest)| (key.clone(), *digest)));
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

impl Changes {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys, in the order of their names.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Those of them that need a restart.
    pub fn restart_only(&self) -> impl Iterator<Item = &str> {
        self.keys().filter(|key| is_restart_only(key))
    }

    /// Whether `table`, or something in it, is among them.
    pub fn touch(&self, table: &str) -> bool {
        self.keys().any(|key| key_path::covers(table, key))
    }

    fn compare(&mut self, old: &Json, new: &Json, key: String) {
        match (old, new) {
            _ if old == new => {}
            (Json::Object(old), Json::Object(new)) => {
                let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
                for name in names {
                    let of = |table: &Map<_, _>| table.get(name).cloned().unwrap_or_default();
                    self.compare(&of(old), &of(new), key_path::join(&key, name));
                }
            }
            (Json::Array(old), Json::Array(new)) if old.iter().chain(new).any(Json::is_object) => {
                for nth in 0..old.len().max(new.len()) {
                    let of = |array: &[Json]| array.get(nth).cloned().unwrap_or_default();
                    self.compare(&of(old), &of(new), key_path::element(&key, nth));
                }
            }
            _ => {
                self.0.insert(key);
            }
        }
    }
}

/// Whether a change of `key` needs a restart, as one of an unknown key does.
fn is_restart_only(key: &str) -> bool {
    !RELOADABLE.iter().any(|table| key_path::covers(table, key))
}

#[cfg(test)]
mod tests;
