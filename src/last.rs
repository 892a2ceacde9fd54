//! What was made of the bytes that came last.

use std::convert::Infallible;

use aws_lc_rs::constant_time::verify_slices_are_equal;
use parking_lot::Mutex;

/// The requests of one connection tend to carry the same token and the same `Host`: what is made of
/// them is made once.
pub(crate) struct Last<T>(Mutex<Option<(Box<[u8]>, T)>>);

/// The longest bytes that are kept: every connection may have so many of each kind.
const MAX_KEPT: usize = 2 * 1024;

impl<T: Clone> Last<T> {
    /// Of no bytes so far.
    pub(crate) fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// What `make` makes of `bytes`.
    pub(crate) fn of(&self, bytes: &[u8], make: impl FnOnce(&[u8]) -> T) -> T {
        let Ok(made) = self.try_of(bytes, |bytes| Ok::<_, Infallible>(make(bytes)));
        made
    }

    /// What `make` makes of `bytes`. Its failures are not kept.
    pub(crate) fn try_of<E>(
        &self,
        bytes: &[u8],
        make: impl FnOnce(&[u8]) -> Result<T, E>,
    ) -> Result<T, E> {
        if bytes.len() > MAX_KEPT {
            return make(bytes);
        }
        let mut last = self.0.lock();
        match &*last {
            // In a time that does not tell where they differ: clients may share a connection, over
            // HTTP/2 or behind a proxy.
            Some((kept, made)) if verify_slices_are_equal(kept, bytes).is_ok() => Ok(made.clone()),
            _ => {
                let made = make(bytes)?;
                *last = Some((bytes.into(), made.clone()));
                Ok(made)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_of_the_bytes_whatever_came_before() {
        let last = Last::new();
        let long = vec![b'a'; MAX_KEPT];
        for bytes in [&b"a"[..], b"a", b"b", b"", b"", b"ab", b"a", &long, &long, &[1; 4096], b"a"]
        {
            assert_eq!(last.of(bytes, <[u8]>::to_vec), bytes);
        }
        assert_eq!(last.of(b"a", |_| unreachable!()), b"a");
        last.of(&[1; MAX_KEPT + 1], <[u8]>::to_vec);
        assert_eq!(last.of(b"a", |_| unreachable!()), b"a", "that was too long to be kept");
    }

    #[test]
    fn keeps_no_failure() {
        let last = Last::new();
        assert_eq!(last.try_of(b"a", |_| Ok::<_, &str>(1)), Ok(1));
        assert_eq!(last.try_of(b"b", |_| Err("odd")), Err("odd"));
        assert_eq!(last.try_of(b"b", |_| Ok::<_, &str>(2)), Ok(2));
    }
}
