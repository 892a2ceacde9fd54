//! SHA-256, for everything that must not collide.

use aws_lc_rs::digest::{self, Context, SHA256};

/// A SHA-256 hash.
pub(crate) type Digest = [u8; 32];

/// The hash of `bytes`. Allocates nothing: every request with a token comes by here.
#[inline]
pub(crate) fn of(bytes: &[u8]) -> Digest {
    array(digest::digest(&SHA256, bytes))
}

/// The hash of a list of parts: the length goes before each, so that no two lists that differ
/// feed the same bytes.
pub(crate) fn of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Digest {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part);
    }
    array(context.finish())
}

/// The hash of parts of one length, one behind the other.
pub(crate) fn of_equally_long<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Digest {
    let mut context = Context::new(&SHA256);
    parts.into_iter().for_each(|part| context.update(part));
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
    use crate::hex::hex;

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
        assert_eq!(hex(&of(b"")), empty);
        assert_eq!(of_equally_long([&b"ab"[..], b"cd"]), of(b"abcd"));
    }
}
