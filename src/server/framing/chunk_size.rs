//! The line before a chunk (RFC 9112 section 7.1).

/// The size of a chunk: hexadecimal digits, and well-formed extensions.
pub(super) fn chunk_size(line: &[u8]) -> Option<u64> {
    let (digits, extensions) = take(line, u8::is_ascii_hexdigit);
    check_extensions(extensions)?;
    u64::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}

/// `*( BWS ";" BWS name [ BWS "=" BWS value ] )`
fn check_extensions(mut rest: &[u8]) -> Option<()> {
    while !rest.is_empty() {
        rest = token(blanks(blanks(rest).strip_prefix(b";")?))?;
        if let Some(value) = blanks(rest).strip_prefix(b"=") {
            let value = blanks(value);
            rest = match value.strip_prefix(b"\"") {
                Some(quoted) => quoted_string(quoted)?,
                None => token(value)?,
            };
        }
    }
    Some(())
}

fn token(text: &[u8]) -> Option<&[u8]> {
    let is_token = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let (token, rest) = take(text, is_token);
    (!token.is_empty()).then_some(rest)
}

/// What follows the closing quotation mark of a string.
fn quoted_string(mut text: &[u8]) -> Option<&[u8]> {
    let is_text = |byte: u8| byte == b'\t' || (byte >= b' ' && byte != 0x7f);
    loop {
        text = match text {
            [b'"', rest @ ..] => return Some(rest),
            [b'\\', byte, rest @ ..] | [byte, rest @ ..] if is_text(*byte) => rest,
            _ => return None,
        };
    }
}

fn blanks(text: &[u8]) -> &[u8] {
    take(text, |byte| matches!(byte, b' ' | b'\t')).1
}

/// The bytes at the start that are of a kind, and the rest.
fn take(text: &[u8], is_of_it: impl Fn(&u8) -> bool) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !is_of_it(byte));
    text.split_at(end.unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_digits_and_well_formed_extensions() {
        for (line, size) in [
            ("0", Some(0)),
            ("5", Some(5)),
            ("00fF", Some(255)),
            ("ffffffffffffffff", Some(u64::MAX)),
            ("5;a", Some(5)),
            ("5;a;b=c", Some(5)),
            ("5 ;\ta = b", Some(5)),
            ("5;a=\"\"", Some(5)),
            ("5;a=\"b;\\\" c\";d", Some(5)),
            ("", None),
            (" 5", None),
            ("5 ", None),
            ("g", None),
            ("5g", None),
            ("+5", None),
            ("0x5", None),
            ("10000000000000000", None),
            ("5;", None),
            ("5; ", None),
            ("5;a;", None),
            ("5;a ", None),
            ("5;a=", None),
            ("5;=b", None),
            ("5;bad[=x", None),
            ("5;a=\"b", None),
            ("5;a=\"b\"c", None),
            ("5;a=\"\\", None),
            ("5;a\0", None),
            ("5;a=\"\0\"", None),
            ("5;a=\"\u{7f}\"", None),
            ("5;a\rb", None),
        ] {
            assert_eq!(chunk_size(line.as_bytes()), size, "{line:?}");
        }
    }
}
