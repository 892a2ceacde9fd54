//! The key that somebody meant.

use std::sync::LazyLock;

use strsim::normalized_damerau_levenshtein;

use super::{
    path::{KeyPath, Step},
    schema,
};

static KEYS: LazyLock<Vec<String>> = LazyLock::new(schema::keys);

/// The known key nearest to an unknown one.
///
/// The last name counts most, so that a key in the wrong table is led to the right one; of keys
/// of one name, the one with the nearest way to it.
pub(crate) fn to(unknown: &KeyPath) -> Option<String> {
    let (last, above) = unknown.0.split_last()?;
    let Step::Name(last) = last else { return None };
    let (name, table) = (last.as_str(), plain(above));

    let likeness = |known: &str| {
        let (known_table, known_name) = known.rsplit_once('.').unwrap_or(("", known));
        let names = normalized_damerau_levenshtein(name, known_name);
        let tables = normalized_damerau_levenshtein(&table, known_table);
        3.0 * names + tables
    };
    let known = KEYS.iter().map(|key| (key, likeness(key)));
    let (nearest, _) = known.max_by(|(_, a), (_, b)| a.total_cmp(b))?;

    // In the same table the suggestion names the same element of its array.
    Some(match nearest.rsplit_once('.') {
        Some((known_table, known_name)) if known_table == table => {
            format!("{}.{known_name}", KeyPath(above.to_vec()))
        }
        _ => nearest.clone(),
    })
}

/// A path without the places in arrays.
fn plain(steps: &[Step]) -> String {
    let names = steps.iter().filter(|step| matches!(step, Step::Name(_)));
    KeyPath(names.cloned().collect()).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leads_to_the_key_that_was_meant() {
        for (unknown, meant) in [
            ("cache.capacty", "cache.capacity"),
            ("cache.ttl.pendign", "cache.ttl.pending"),
            ("cahce", "cache"),
            ("uptream", "upstream"),
            ("upstream.uri", "upstream.url"),
            ("url", "upstream.url"),
            ("server.max_body", "limit.max_body"),
            ("account[1].vale", "account[1].value"),
            ("auth.key[0].secert", "auth.key[0].secret"),
            ("auth.keys", "auth.key"),
            ("server.tls.certficate", "server.tls.certificate"),
            ("admin.token.evn", "admin.token.env"),
        ] {
            assert_eq!(to(&unknown.into()).as_deref(), Some(meant), "{unknown}");
        }
    }

    #[test]
    fn an_element_of_an_array_is_no_key() {
        assert_eq!(to(&"account[0]".into()), None);
        assert_eq!(to(&KeyPath::default()), None);
    }
}
