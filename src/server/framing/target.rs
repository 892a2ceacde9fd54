//! Characters that clients forget to encode in a target.
//!
//! hyper refuses them with a bare status, before anybody could say what is wrong. So they are
//! replaced before it sees them, and the request is refused further on.

use memchr::{memchr, memchr3};

/// Stands for what was replaced. hyper wants it where a target begins.
const REPLACEMENT: u8 = b'/';

/// Replaces what hyper would not read in the target of a request line, or of a piece of it that
/// comes behind `before`. Whether there was anything to replace.
pub(super) fn replace_unreadable(before: &[u8], piece: &mut [u8]) -> bool {
    let is_fine = piece.is_ascii()
        && memchr3(b'<', b'>', b'"', piece).is_none()
        && memchr(b'`', piece).is_none();
    !is_fine && replace_in(before, piece)
}

#[cold]
fn replace_in(before: &[u8], piece: &mut [u8]) -> bool {
    let mut line = [before, piece].concat();
    let target = memchr(b' ', &line).unwrap_or(line.len());
    let query = memchr(b'?', &line).unwrap_or(line.len());
    for (at, byte) in line.iter_mut().enumerate().skip(target) {
        let unreadable = if at < query { b"<>`" } else { b"<>\"" };
        if unreadable.contains(byte) {
            *byte = REPLACEMENT;
        }
    }
    // A character at the end may be incomplete, and no more than that. If the next piece does not
    // complete it, hyper has its beginning already and refuses it itself.
    let mut checked = target;
    while let Err(error) = str::from_utf8(&line[checked..])
        && let Some(length) = error.error_len()
    {
        let start = checked + error.valid_up_to();
        checked = start + length;
        line[start..checked].fill(REPLACEMENT);
    }
    let replaced = &line[before.len()..];
    let is_changed = piece != replaced;
    piece.copy_from_slice(replaced);
    is_changed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_only_what_hyper_would_refuse() {
        for (line, want) in [
            ("GET /a?b=c HTTP/1.1", None),
            ("GET /\"\u{e9}\"?`=\u{e9} HTTP/1.1", None),
            ("A`<\" /a HTTP/1.1", None),
            ("GET /<a>`?<b>=\"` HTTP/1.1", Some("GET //a//?/b/=/` HTTP/1.1")),
            ("GET \"/a?\" HTTP/1.1", Some("GET \"/a?/ HTTP/1.1")),
        ] {
            let mut bytes = line.as_bytes().to_vec();
            assert_eq!(replace_unreadable(b"", &mut bytes), want.is_some(), "{line}");
            assert_eq!(str::from_utf8(&bytes), Ok(want.unwrap_or(line)));
        }
        let mut latin1 = *b"GET /\xd1\xc3\x91\xff?\xe9 HTTP/1.1";
        assert!(replace_unreadable(b"", &mut latin1));
        assert_eq!(latin1, *b"GET //\xc3\x91/?/ HTTP/1.1");
    }

    #[test]
    fn knows_what_came_before_a_piece() {
        let whole = "GET /\"\u{e9}\"?`=\u{e9} HTTP/1.1".as_bytes();
        for cut in 0..whole.len() {
            let (before, piece) = whole.split_at(cut);
            assert!(!replace_unreadable(before, &mut piece.to_vec()), "{cut}");
        }
        assert!(replace_unreadable(b"GET /a?b=", &mut b"\"c\"".to_vec()));
        assert!(replace_unreadable(b"GET /a?", &mut b"\xe9\x80a".to_vec()));
        assert!(!replace_unreadable(b"GET /a?\xe9", &mut b"\x80".to_vec()));
    }
}
