//! The key that was probably meant.

use strsim::normalized_damerau_levenshtein;

use super::key_path;

/// The key of `known` that is nearest to `name`, an unknown key of `table`.
///
/// The name counts most, so that a key in the wrong table leads to the right one; of keys of one
/// name, the one with the nearest table.
pub(crate) fn to(table: &str, name: &str, known: &[String]) -> Option<String> {
    let plain = without_indices(table);
    let likeness = |known: &str| {
        let (known_table, known_name) = known.rsplit_once('.').unwrap_or(("", known));
        let names = normalized_damerau_levenshtein(name, known_name);
        let tables = normalized_damerau_levenshtein(&plain, known_table);
        3.0 * names + tables
    };
    let known = known.iter().map(|key| (key, likeness(key)));
    let (nearest, _) = known.max_by(|(_, a), (_, b)| a.total_cmp(b))?;

    // In the same table, the suggestion names the same element of an array.
    Some(match nearest.rsplit_once('.') {
        Some((known_table, known_name)) if known_table == plain => {
            key_path::join(table, known_name)
        }
        _ => nearest.clone(),
    })
}

fn without_indices(key: &str) -> String {
    let parts = key
        .split('[')
        .map(|part| part.split_once(']').map_or(part, |(_, rest)| rest));
    parts.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::json_schema;

    #[test]
    fn leads_to_the_key_that_was_meant() {
        for (table, unknown, meant) in [
            ("cache", "capacty", "cache.capacity"),
            ("cache.ttl", "pendign", "cache.ttl.pending"),
            ("", "cahce", "cache"),
            ("", "uptream", "upstream"),
            ("upstream", "uri", "upstream.url"),
            ("", "url", "upstream.url"),
            ("server", "max_body", "limit.max_body"),
            ("account[1]", "vale", "account[1].value"),
            ("auth.key[0]", "secert", "auth.key[0].secret"),
            ("auth", "keys", "auth.key"),
            ("server.tls", "certficate", "server.tls.certificate"),
            ("admin.token", "evn", "admin.token.env"),
        ] {
            let nearest = to(table, unknown, &json_schema::keys());
            assert_eq!(nearest.as_deref(), Some(meant), "{table}.{unknown}");
        }
    }

    #[test]
    fn without_known_keys_nothing_was_meant() {
        assert_eq!(to("", "cache", &[]), None);
    }
}
