//! `traceparent`: which span of which trace a request belongs to (W3C Trace Context, section 3.2).

use std::fmt;

use http::{HeaderMap, HeaderName, HeaderValue};

use crate::{backoff::draw, headers, hex::hex};

/// The name of the header.
pub const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// What systems on the way have added for themselves. It means nothing without a `traceparent`.
pub(super) const TRACESTATE: HeaderName = HeaderName::from_static("tracestate");

/// A span, as others name it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SpanContext {
    pub(super) trace: [u8; 16],
    pub(super) span: [u8; 8],
    /// Whether whoever sent it records it.
    pub(super) is_sampled: bool,
}

const SAMPLED: u8 = 1;

/// `00-` and three more parts.
const LENGTH: usize = 55;

impl SpanContext {
    /// The first span of a new trace.
    pub(super) fn root() -> Self {
        let (high, low) = (random().to_be_bytes(), random().to_be_bytes());
        let mut trace = [0; 16];
        trace[..8].copy_from_slice(&high);
        trace[8..].copy_from_slice(&low);
        Self { trace, span: random().to_be_bytes(), is_sampled: true }
    }

    /// A further span of the same trace, which is recorded.
    pub(super) fn next(self) -> Self {
        Self { span: random().to_be_bytes(), is_sampled: true, ..self }
    }

    /// What a request says; `None` if it says nothing that is valid.
    pub fn of(headers: &HeaderMap) -> Option<Self> {
        let value = headers::only(headers, TRACEPARENT).ok().flatten();
        Self::parse(value?.as_bytes())
    }

    fn parse(text: &[u8]) -> Option<Self> {
        let (known, rest) = text.split_at_checked(LENGTH)?;
        let [version] = bytes(&known[..2])?;
        // A later version may say more, behind another dash.
        let is_readable = match version {
            0 => rest.is_empty(),
            0xff => false,
            _ => rest.first().is_none_or(|&byte| byte == b'-'),
        };
        let has_dashes = [2, 35, 52].iter().all(|&at| known[at] == b'-');
        let (trace, span) = (bytes(&known[3..35])?, bytes(&known[36..52])?);
        let [flags] = bytes(&known[53..])?;
        let is_valid = is_readable && has_dashes && trace != [0; 16] && span != [0; 8];
        is_valid.then_some(Self { trace, span, is_sampled: flags & SAMPLED != 0 })
    }

    /// The value of the header.
    pub fn to_header_value(self) -> HeaderValue {
        let flags = if self.is_sampled { "01" } else { "00" };
        let text = ["00-", &hex(&self.trace), "-", &hex(&self.span), "-", flags].concat();
        HeaderValue::try_from(text).expect("hexadecimal digits make a field value")
    }

    /// The id of the trace, as it is shown.
    pub fn trace_id(&self) -> String {
        hex(&self.trace)
    }
}

impl fmt::Debug for SpanContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", hex(&self.trace), hex(&self.span))
    }
}

/// Anything but 0. Nobody has to be unable to guess it.
fn random() -> u64 {
    draw().max(1)
}

/// Lower-case hexadecimal digits, two a byte.
fn bytes<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let value = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = value(pair[0])? << 4 | value(pair[1])?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const SPAN: &str = "b7ad6b7169203331";

    #[test]
    fn reads_what_is_valid() {
        for (text, is_sampled) in [
            (format!("00-{TRACE}-{SPAN}-01"), true),
            (format!("00-{TRACE}-{SPAN}-00"), false),
            (format!("00-{TRACE}-{SPAN}-03"), true),
            (format!("cc-{TRACE}-{SPAN}-01"), true),
            (format!("cc-{TRACE}-{SPAN}-01-more"), true),
        ] {
            let context = SpanContext::parse(text.as_bytes()).expect("a valid value");
            assert_eq!(format!("{context:?}"), format!("{TRACE}-{SPAN}"), "{text}");
            assert_eq!(context.is_sampled, is_sampled, "{text}");
        }
    }

    #[test]
    fn takes_nothing_else() {
        let (no_trace, no_span) = ("0".repeat(32), "0".repeat(16));
        for text in [
            String::new(),
            "00-1-2-01".to_owned(),
            format!("ff-{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}-01-more"),
            format!("00-{TRACE}-{SPAN}-01 "),
            format!("cc-{TRACE}-{SPAN}-01more"),
            format!("00-{TRACE}-{SPAN}-0"),
            format!("00-{TRACE}-{SPAN}-0g"),
            format!("00_{TRACE}-{SPAN}-01"),
            format!("00-{TRACE}_{SPAN}-01"),
            format!("00-{TRACE}-{SPAN}_01"),
            format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
            format!("00-{no_trace}-{SPAN}-01"),
            format!("00-{TRACE}-{no_span}-01"),
            "é".repeat(40),
        ] {
            assert_eq!(SpanContext::parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn two_values_are_none() {
        let mut headers = HeaderMap::new();
        let value = SpanContext::root().to_header_value();
        headers.append(TRACEPARENT, value.clone());
        assert!(SpanContext::of(&headers).is_some());
        headers.append(TRACEPARENT, value);
        assert_eq!(SpanContext::of(&headers), None);
    }

    #[test]
    fn writes_what_it_reads() {
        let root = SpanContext::root();
        for context in [root, root.next(), SpanContext { is_sampled: false, ..root }] {
            let value = context.to_header_value();
            assert_eq!(SpanContext::parse(value.as_bytes()), Some(context));
            assert_eq!(context.trace, root.trace);
        }
        assert_ne!(root.next().span, root.span);
        assert_ne!(SpanContext::root().trace, root.trace);
    }
}
