//! SHA-256, for everything here that must not collide.

use aws_lc_rs::digest::{self, Context, SHA256};

/// A SHA-256 hash.
pub(super) type Digest = [u8; 32];

/// The hash of `bytes`. Allocates nothing: every request with a token comes by here.
#[inline]
pub(super) fn of(bytes: &[u8]) -> Digest {
    array(digest::digest(&SHA256, bytes))
}

/// The hash of a list of parts: the length goes before each, so that no two lists that differ
/// feed the same bytes.
pub(super) fn of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Digest {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part);
    }
    array(context.finish())
}

fn array(digest: digest::Digest) -> Digest {
    let mut array = [0; 32];
    array.copy_from_slice(digest.as_ref());
    array
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_lists_apart_whose_parts_join_to_the_same_bytes() {
        let lists: [&[&[u8]]; 6] =
            [&[], &[b""], &[b"ab"], &[b"a", b"b"], &[b"ab", b""], &[b"", b"ab"]];
        for (i, one) in lists.iter().enumerate() {
            for other in &lists[..i] {
                assert_ne!(
                    of_parts(one.iter().copied()),
                    of_parts(other.iter().copied()),
                    "{one:?} {other:?}"
                );
            }
        }
    }

    #[test]
    fn is_sha_256() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let hex: String = of(b"").iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, empty);
    }
}
